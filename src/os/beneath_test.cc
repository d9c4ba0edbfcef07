#include "os/beneath.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/files.h"

namespace buoy::os {
namespace {

using ::testing::ElementsAre;

class BeneathTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(makeDirectories(dir_.path() + "/root/a/b"));
    ASSERT_TRUE(writeFileAtomic(dir_.path() + "/root/a/b/f", "inside"));
    ASSERT_TRUE(writeFileAtomic(dir_.path() + "/secret", "outside"));
    ASSERT_EQ(::symlink("a", (dir_.path() + "/root/link").c_str()), 0);
    ASSERT_EQ(::symlink("..", (dir_.path() + "/root/up").c_str()), 0);
    ASSERT_EQ(::symlink("../secret", (dir_.path() + "/root/out").c_str()), 0);
    root_ = openFile(dir_.path() + "/root", O_RDONLY | O_DIRECTORY).value();
  }
  TempDir dir_ = TempDir::create("buoy-beneath-").value();
  Fd root_;
};

TEST_F(BeneathTest, OpensWhatIsBelow) {
  EXPECT_TRUE(openBeneath(root_.get(), "a/b/f", O_RDONLY));
  EXPECT_TRUE(openBeneath(root_.get(), "", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(openBeneath(root_.get(), "a/none", O_RDONLY).error().code, ErrorCode::not_found);
}

TEST_F(BeneathTest, FollowsNoLinkAndDoesNotClimb) {
  for (const char* path : {"out", "up/secret", "link/b/f", "../secret", "a/../../secret", "/etc/passwd"}) {
    const auto fd = openBeneath(root_.get(), path, O_RDONLY);
    ASSERT_FALSE(fd) << path;
    EXPECT_EQ(fd.error().code, ErrorCode::permission_denied) << path;
  }
  EXPECT_FALSE(openBeneath(root_.get(), "up/new", O_WRONLY | O_CREAT, 0600));
  EXPECT_FALSE(makeDirectoriesBeneath(root_.get(), "up/new", 0755, false));
  EXPECT_NE(::access((dir_.path() + "/new").c_str(), F_OK), 0);
}

TEST_F(BeneathTest, MakesDirectories) {
  ASSERT_TRUE(makeDirectoriesBeneath(root_.get(), "x/y/z", 0755, true));
  ASSERT_TRUE(makeDirectoriesBeneath(root_.get(), "x/y/z", 0755, true));
  EXPECT_TRUE(openBeneath(root_.get(), "x/y/z", O_RDONLY | O_DIRECTORY));
  EXPECT_EQ(makeDirectoriesBeneath(root_.get(), "a/b/f/g", 0755, false).error().code, ErrorCode::not_found);
}

TEST_F(BeneathTest, NamesAreSorted) {
  EXPECT_THAT(directoryNames(root_.get()).value(), ElementsAre("a", "link", "out", "up"));
}

TEST_F(BeneathTest, RemovesTreesButNotWhatLinksPointTo) {
  ASSERT_EQ(::symlink("../..", (dir_.path() + "/root/a/b/up").c_str()), 0);
  ASSERT_EQ(::chmod((dir_.path() + "/root/a/b").c_str(), 0), 0);
  for (const char* name : {"a", "up", "out", "link", "none"})
    EXPECT_TRUE(removeEntry(root_.get(), name)) << name;
  EXPECT_THAT(directoryNames(root_.get()).value(), ElementsAre());
  EXPECT_EQ(readFile(dir_.path() + "/secret").value(), "outside");
}

}  // namespace
}  // namespace buoy::os
