#include "agent/mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The system's programs, played: what each was given, and what it answers.
class MountsTest : public ::testing::Test {
 protected:
  MountsTest() {
    EXPECT_TRUE(os::makeDirectories(path("dev/disk/by-id")));
    EXPECT_TRUE(os::makeDirectories(path("sys/block/nvme3n1/device")));
    options_.dev = path("dev");
    options_.sys = path("sys");
    options_.mounted = path("mounts");
    options_.device_patience = options_.server_patience = options_.busy_patience = Duration{0};
    options_.run = [this](const std::vector<std::string>& command, Duration) -> Result<os::CommandOutput> {
      calls_.push_back(join(command, " "));
      const auto found = answers_.find(command[0]);
      if (found != answers_.end()) return found->second;
      return os::CommandOutput{};
    };
    answers_["blkid"] = os::CommandOutput{{2, false}, "", ""};
    EXPECT_TRUE(os::writeFileAtomic(path("dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc"), ""));
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  cloud::Mount volume() const {
    return {.name = "data", .path = path("mnt/data"), .volume = "vol-0abc", .device = "/dev/sdf"};
  }
  std::string device() const { return path("dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc"); }

  const os::TempDir directory_ = *os::TempDir::create("buoy-mounts-");
  Mounts::Options options_;
  std::vector<std::string> calls_;
  std::map<std::string, Result<os::CommandOutput>> answers_;
};

TEST_F(MountsTest, MakesAFileSystemOnlyWhereThereIsNone) {
  Mounts mounts(options_);
  ASSERT_TRUE(mounts.mount({volume()}, {}));
  EXPECT_THAT(calls_, ElementsAre("blkid -p -o export " + device(), "mkfs.ext4 -q -m 0 " + device(),
                                  strCat({"mount -t ext4 ", device(), " ", path("mnt/data")})));
  calls_.clear();
  mounts.release();
  EXPECT_THAT(calls_, ElementsAre("umount " + path("mnt/data")));
  answers_["blkid"] = os::CommandOutput{{}, "DEVNAME=/dev/x\nUUID=1\nTYPE=xfs\n", ""};
  calls_.clear();
  ASSERT_TRUE(mounts.mount({volume()}, {}));
  EXPECT_THAT(calls_, ElementsAre("blkid -p -o export " + device(),
                                  strCat({"mount -t xfs -o nouuid ", device(), " ", path("mnt/data")}),
                                  "xfs_growfs " + path("mnt/data")))
      << "what is on it stays, whatever was asked for, and fills the device";
}

TEST_F(MountsTest, GrowsAFileSystemUnmountedWhereItMayNotOtherwise) {
  answers_["blkid"] = os::CommandOutput{{}, "TYPE=ext4\n", ""};
  const auto run = options_.run;
  options_.run = [&](const std::vector<std::string>& command, Duration limit) -> Result<os::CommandOutput> {
    const bool first = command[0] == "resize2fs" && calls_.size() == 2;
    const auto answer = run(command, limit);
    return first ? os::CommandOutput{{1, false}, "", "resize2fs: Permission denied to resize filesystem"}
                 : answer;
  };
  Mounts mounts(options_);
  ASSERT_TRUE(mounts.mount({volume()}, {}));
  const std::string path = this->path("mnt/data");
  EXPECT_THAT(calls_,
              ElementsAre("blkid -p -o export " + device(), strCat({"mount -t ext4 ", device(), " ", path}),
                          "resize2fs " + device(), "umount " + path, "e2fsck -f -p " + device(),
                          "resize2fs " + device(), strCat({"mount -t ext4 ", device(), " ", path})));
}

TEST_F(MountsTest, TouchesNothingThatItDoesNotUnderstand) {
  for (const os::CommandOutput& answer :
       {os::CommandOutput{{}, "DEVNAME=/dev/x\nPTTYPE=gpt\n", ""},
        os::CommandOutput{{8, false}, "", "ambivalent result"}, os::CommandOutput{{9, true}, "", ""}}) {
    answers_["blkid"] = answer;
    calls_.clear();
    Mounts mounts(options_);
    EXPECT_FALSE(mounts.mount({volume()}, {}));
    EXPECT_EQ(calls_.size(), 1u);
  }
}

TEST_F(MountsTest, FindsADeviceByItsSerialOrByTheNameThatItWasAttachedAs) {
  cloud::Mount other = volume();
  other.volume = "vol-0def";
  ASSERT_TRUE(os::writeFileAtomic(path("sys/block/nvme3n1/device/serial"), "vol0def             \n"));
  ASSERT_TRUE(os::writeFileAtomic(path("dev/nvme3n1"), ""));
  Mounts mounts(options_);
  ASSERT_TRUE(mounts.mount({other}, {}));
  EXPECT_EQ(calls_[0], "blkid -p -o export " + path("dev/nvme3n1"));
  other.volume = "vol-0old";
  other.path = path("mnt/old");
  const Status missing = mounts.mount({other}, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::unavailable);
  EXPECT_THAT(missing.error().message, HasSubstr("volume data: the machine has no device for vol-0old"));
  ASSERT_TRUE(os::writeFileAtomic(path("dev/xvdf"), ""));
  calls_.clear();
  ASSERT_TRUE(mounts.mount({other}, {}));
  EXPECT_EQ(calls_[0], "blkid -p -o export " + path("dev/xvdf"));
}

TEST_F(MountsTest, MountsASharedFileSystemAsItsServerWantsIt) {
  const cloud::Mount shared{
      .name = "shared", .path = path("mnt/shared"), .volume = "", .device = "", .server = "10.0.0.7:/"};
  Mounts mounts(options_);
  ASSERT_TRUE(mounts.mount({shared}, {}));
  EXPECT_THAT(calls_,
              ElementsAre("mount -t nfs4 -o nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,"
                          "noresvport 10.0.0.7:/ " +
                          path("mnt/shared")));
  mounts.release();
  answers_["mount"] = os::CommandOutput{
      {32, false}, "", "mount: bad option; you might need a /sbin/mount.nfs4 helper program."};
  const Status without = mounts.mount({shared}, {});
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(without.error().message, HasSubstr("nfs-common"));
}

TEST_F(MountsTest, TriesAgainUntilTheServerAnswers) {
  options_.server_patience = std::chrono::minutes{5};
  options_.every = Duration{1};
  int tries = 0;
  const auto run = options_.run;
  options_.run = [&](const std::vector<std::string>& command, Duration limit) -> Result<os::CommandOutput> {
    if (command[0] == "mount" && ++tries < 3)
      return os::CommandOutput{{32, false}, "", "mount.nfs4: Connection timed out"};
    return run(command, limit);
  };
  Mounts mounts(options_);
  EXPECT_TRUE(mounts.mount(
      {{.name = "s", .path = path("mnt/s"), .volume = "", .device = "", .server = "10.0.0.7:/"}}, {}));
  EXPECT_EQ(tries, 3);
}

TEST_F(MountsTest, LetsGoOfWhatIsBusyWhenItsLastUserEnds) {
  Mounts mounts(options_);
  ASSERT_TRUE(mounts.mount({volume()}, {}));
  (void)mounts.takeEvents();
  answers_["umount"] = os::CommandOutput{{32, false}, "", "umount: target is busy."};
  calls_.clear();
  mounts.release();
  EXPECT_THAT(calls_, ElementsAre("umount " + path("mnt/data"), "sync -f " + path("mnt/data"),
                                  "umount -l " + path("mnt/data")));
  EXPECT_THAT(mounts.takeEvents(),
              ElementsAre(HasSubstr("is still in use (umount: umount: target is busy.)")));
}

}  // namespace
}  // namespace buoy::agent
