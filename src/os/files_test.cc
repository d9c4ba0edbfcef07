#include "os/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "os/paths.h"

namespace buoy::os {
namespace {

class FilesTest : public testing::Test {
 protected:
  TempDir directory_ = *TempDir::create("files-test-");
  std::string at(const std::string& name) const { return directory_.path() + "/" + name; }
};

TEST_F(FilesTest, WritesWholeFilesWithTheModeAsked) {
  ASSERT_TRUE(writeFileAtomic(at("f"), "one", 0600));
  ASSERT_TRUE(writeFileAtomic(at("f"), "two", 0600));
  EXPECT_EQ(*readFile(at("f")), "two");
  struct stat info {};
  ASSERT_EQ(::stat(at("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(FilesTest, AFailedWriteLeavesTheOldContentAndNoTemporaryFile) {
  ASSERT_TRUE(makeDirectories(at("target/full")));
  EXPECT_FALSE(writeFileAtomic(at("target"), "x"));  // a directory stands there
  EXPECT_FALSE(writeFileAtomic(at("nowhere/f"), "x"));
  ASSERT_TRUE(removeTree(at("target")));
  EXPECT_EQ(::rmdir(directory_.path().c_str()), 0) << "something was left behind";
}

TEST_F(FilesTest, ExactlyOneOfManyCreatesExclusively) {
  std::atomic<int> winners{0};
  {
    std::vector<std::jthread> threads;
    for (int n = 0; n < 8; ++n) {
      threads.emplace_back([&, n] {
        const auto status = createFileExclusive(at("slot"), std::to_string(n));
        if (status) {
          ++winners;
        } else {
          EXPECT_EQ(status.error().code, ErrorCode::already_exists);
        }
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TEST_F(FilesTest, ReadingHasALimit) {
  ASSERT_TRUE(writeFileAtomic(at("f"), std::string(1000, 'x')));
  EXPECT_EQ(readFile(at("f"), 999).error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(readFile(at("g")).error().code, ErrorCode::not_found);
}

TEST_F(FilesTest, RemovingATreeFollowsNoLink) {
  ASSERT_TRUE(makeDirectories(at("keep")));
  ASSERT_TRUE(writeFileAtomic(at("keep/f"), "x"));
  ASSERT_TRUE(makeDirectories(at("tree/a/b")));
  ASSERT_EQ(::symlink("../keep", at("tree/link").c_str()), 0);
  ASSERT_EQ(::symlink("loop", at("tree/a/loop").c_str()), 0);
  ASSERT_TRUE(removeTree(at("tree")));
  ASSERT_TRUE(removeTree(at("tree"))) << "missing is success";
  EXPECT_EQ(*readFile(at("keep/f")), "x");
}

TEST_F(FilesTest, MakingADirectoryWhereAFileIsFails) {
  ASSERT_TRUE(writeFileAtomic(at("f"), "x"));
  EXPECT_FALSE(makeDirectories(at("f")));
  EXPECT_FALSE(makeDirectories(at("f/g")));
}

TEST(Paths, ParentOfANameAndBelowTheRoot) {
  EXPECT_EQ(parentOf("name"), ".");
  EXPECT_EQ(parentOf("/name"), "/");
  EXPECT_EQ(parentOf("a/b/c"), "a/b");
}

}  // namespace
}  // namespace buoy::os
