#include "os/inotify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "os/files.h"

namespace buoy::os {
namespace {

TEST(Inotify, TellsWhatHappenedInADirectoryInOrder) {
  const TempDir dir = *TempDir::create("buoy-inotify-");
  Inotify inotify = *Inotify::create();
  const int watch = *inotify.add(dir.path(), IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE);
  ASSERT_TRUE(writeFileAtomic(dir.path() + "/a", "1"));
  ASSERT_TRUE(removeTree(dir.path() + "/a"));
  std::vector<std::string> seen;
  inotify.drain([&](const Inotify::Event& event) {
    EXPECT_EQ(event.watch, watch);
    if ((event.mask & IN_MOVED_TO) != 0) seen.push_back("moved " + std::string(event.name));
    if ((event.mask & IN_DELETE) != 0) seen.push_back("deleted " + std::string(event.name));
  });
  EXPECT_THAT(seen, testing::ElementsAre("moved a", "deleted a"));
  inotify.drain([](const Inotify::Event&) { ADD_FAILURE() << "the queue was empty"; });
}

TEST(Inotify, AMissingDirectoryIsAnError) {
  Inotify inotify = *Inotify::create();
  const auto watch = inotify.add("/nonexistent/directory", IN_CREATE);
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace buoy::os
