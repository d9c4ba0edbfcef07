#include "os/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "base/strings.h"
#include "os/files.h"
#include "os/process.h"

namespace buoy::os {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kHybrid =
    "30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "31 30 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755\n"
    "32 31 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
    "33 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:10 master:2 - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:29 /docker/abc /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
    "torn line\n";
constexpr const char* kSelf =
    "9:name=systemd:/x\n4:memory:/docker/abc/inner\n1:cpu,cpuacct:/user.slice\n0::/user.slice/"
    "session-1.scope\n";

TEST(CgroupText, MountsOfBothVersionsAreFound) {
  const auto mounts = parseCgroupMounts(kHybrid);
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_TRUE(mounts[0].v2);
  EXPECT_EQ(mounts[0].path, "/sys/fs/cgroup/unified");
  EXPECT_FALSE(mounts[1].v2);
  EXPECT_THAT(mounts[1].controllers, Contains("cpuacct"));
  EXPECT_EQ(mounts[2].root, "/docker/abc");
}

TEST(CgroupText, OnesOwnGroupIsWhereTheMountShowsIt) {
  const auto mounts = parseCgroupMounts(kHybrid);
  EXPECT_EQ(ownGroupDirectory(mounts[0], kSelf), "/sys/fs/cgroup/unified/user.slice/session-1.scope");
  EXPECT_EQ(ownGroupDirectory(mounts[1], kSelf), "/sys/fs/cgroup/cpu,cpuacct/user.slice");
  EXPECT_EQ(ownGroupDirectory(mounts[2], kSelf), "/sys/fs/cgroup/memory/inner")
      << "only a part of it is mounted";
  EXPECT_EQ(ownGroupDirectory(mounts[2], "4:memory:/docker/abcd\n"), "") << "not below the mount";
  EXPECT_EQ(ownGroupDirectory(mounts[1], "1:cpu,cpuacct:/\n"), "/sys/fs/cgroup/cpu,cpuacct")
      << "the root group";
  EXPECT_EQ(ownGroupDirectory(mounts[0], "nonsense"), "");
}

TEST(Cgroup, WithoutSupportThereIsNothingToEnter) {
  const auto group = Cgroup::create({}, "x", {1000, ByteCount{1u << 30}});
  ASSERT_TRUE(group);
  EXPECT_THAT(group->directories(), IsEmpty());
  EXPECT_THAT(*group->openProcs(), IsEmpty());
  EXPECT_THAT(group->processes(), IsEmpty());
}

TEST(Cgroup, LimitsHoldForWhatEnters) {
  const CgroupSupport support = detectCgroups();
  EXPECT_THAT(support.reason, Not(IsEmpty()));
  if (!support.memory() || !support.cpu()) GTEST_SKIP() << support.reason;
  const std::string name = "buoy-cgroup-test-" + std::to_string(::getpid());
  const CgroupLimits limits{250, ByteCount{64u << 20}};
  const auto group = Cgroup::create(support, name, limits);
  ASSERT_TRUE(group) << group.error().message;
  EXPECT_TRUE(Cgroup::create(support, name, limits)) << "taken over";
  const auto files = group->openProcs();
  ASSERT_TRUE(files);
  SpawnOptions options;
  options.command = {"/bin/sleep", "1000"};
  for (const Fd& file : *files) options.cgroup_procs.push_back(file.get());
  const auto child = spawn(options);
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_THAT(group->processes(), ElementsAre(child->pid));
  for (const std::string& directory : group->directories()) {
    EXPECT_EQ(removeCgroup(directory, Duration{}).error().code, ErrorCode::internal) << "busy";
  }
  ASSERT_TRUE(child->handle.signal(SIGKILL));
  ASSERT_TRUE(child->handle.waitEnded(60s));
  EXPECT_TRUE(child->handle.reap());
  for (const std::string& directory : group->directories()) {
    EXPECT_TRUE(removeCgroup(directory));
    EXPECT_TRUE(removeCgroup(directory)) << "missing is success";
  }
}

}  // namespace
}  // namespace buoy::os
