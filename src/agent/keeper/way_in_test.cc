#include "agent/keeper/way_in.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/files.h"

namespace buoy::agent {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
    "service:x:1000:1000::/srv/service:/bin/sh\n"
    "broken:x:1002\n"
    "ubuntu:x:1001:1002:Ubuntu:/home/ubuntu:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

TEST(WayIn, IsThePersonWhoLetsKeysIn) {
  const LoginUser user = loginUser(kPasswd, [](const std::string& home) { return home == "/home/ubuntu"; });
  EXPECT_EQ(user.name, "ubuntu");
  EXPECT_EQ(user.uid, 1001u);
  EXPECT_EQ(user.gid, 1002u);
  EXPECT_EQ(loginUser(kPasswd, [](const std::string& home) { return home == "/nonexistent"; }).name, "root");
  EXPECT_EQ(loginUser("", [](const std::string&) { return true; }).name, "root");
}

TEST(WayIn, HasWhatTheKeeperKnowsOfContainersAndAws) {
  const auto directory = os::TempDir::create("way-in");
  ASSERT_TRUE(directory);
  const Desk desk(directory->path());
  ASSERT_TRUE(writeWayIn(desk, {{"AWS_REGION", "eu-west-1"}, {"PATH", "/a b"}, {"BUOY_JOB_ID", "j1"}}));
  const std::string text = os::readFile(desk.wayIn(), 4096).value();
  EXPECT_NE(text.find("export AWS_REGION="), std::string::npos);
  EXPECT_NE(text.find("export PATH='/a b'\n"), std::string::npos);
  EXPECT_EQ(text.find("BUOY_JOB_ID"), std::string::npos);
  EXPECT_EQ(::access(desk.wayIn().c_str(), X_OK), 0);
}

}  // namespace
}  // namespace buoy::agent
