#include "objstore/transfer/local_walk.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "os/files.h"

namespace buoy::objstore {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LocalWalkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = os::TempDir::create("walk");
    ASSERT_TRUE(made.has_value());
    directory_.emplace(std::move(*made));
  }
  std::string at(const std::string& path) const { return directory_->path() + "/" + path; }
  void write(const std::string& path, const std::string& content = "x") const {
    ASSERT_TRUE(os::makeDirectories(std::filesystem::path(at(path)).parent_path().string()).has_value());
    auto fd = os::openFile(at(path), O_WRONLY | O_CREAT | O_TRUNC);
    ASSERT_TRUE(fd.has_value()) << path;
    ASSERT_TRUE(os::writeAll(fd->get(), content).has_value());
  }
  std::vector<std::string> paths(bool follow_links = true) {
    skipped_.clear();
    auto walk = LocalWalk::open(
        directory_->path(), {follow_links, [this](const Skipped& skipped) { skipped_.push_back(skipped); }});
    EXPECT_TRUE(walk.has_value());
    std::vector<std::string> found;
    TreeEntry entry;
    while (true) {
      const auto more = walk->next(entry);
      EXPECT_TRUE(more.has_value());
      if (!more || !*more) return found;
      found.push_back(entry.path);
    }
  }

  std::optional<os::TempDir> directory_;
  std::vector<Skipped> skipped_;
};

TEST_F(LocalWalkTest, GoesInByteOrderOfWholePaths) {
  for (const char* path : {"a/b", "a-b", "a.b", "a0", "a/b.c/d", "a/b.c.d", ".hidden", "ü", "z", "A", "a b"})
    write(path);
  EXPECT_THAT(paths(),
              ElementsAre(".hidden", "A", "a b", "a-b", "a.b", "a/b", "a/b.c.d", "a/b.c/d", "a0", "z", "ü"));
  EXPECT_THAT(skipped_, IsEmpty());
}

TEST_F(LocalWalkTest, TellsSizeAndTime) {
  write("file", "12345");
  const timespec times[2] = {{1'700'000'000, 0}, {1'700'000'001, 123'456'789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, at("file").c_str(), times, 0), 0);
  auto walk = LocalWalk::open(directory_->path(), {});
  ASSERT_TRUE(walk.has_value());
  TreeEntry entry;
  ASSERT_TRUE(walk->next(entry).value());
  EXPECT_EQ(entry.size, 5u);
  EXPECT_EQ(entry.modified.time_since_epoch(), Duration{1'700'000'001'123'456});
  EXPECT_FALSE(walk->next(entry).value());
}

TEST_F(LocalWalkTest, FollowsLinksUnlessTold) {
  write("real/file");
  std::filesystem::create_symlink("real", at("link"));
  std::filesystem::create_symlink("real/file", at("alias"));
  std::filesystem::create_symlink("nowhere", at("dangling"));
  EXPECT_THAT(paths(), ElementsAre("alias", "link/file", "real/file"));
  ASSERT_EQ(skipped_.size(), 1u);
  EXPECT_EQ(skipped_[0].path, "dangling");
  EXPECT_EQ(skipped_[0].why, Skipped::Why::special);
  EXPECT_THAT(paths(false), ElementsAre("real/file"));
  EXPECT_THAT(skipped_, IsEmpty());
}

TEST_F(LocalWalkTest, EndsInALoopOfLinks) {
  write("a/b/file");
  std::filesystem::create_symlink("..", at("a/b/up"));
  EXPECT_THAT(paths(), ElementsAre("a/b/file"));
  ASSERT_EQ(skipped_.size(), 1u);
  EXPECT_EQ(skipped_[0].why, Skipped::Why::loop);
}

TEST_F(LocalWalkTest, NamesWhatIsNoFile) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  write("file");
  EXPECT_THAT(paths(), ElementsAre("file"));
  ASSERT_EQ(skipped_.size(), 1u);
  EXPECT_THAT(skipped_[0].message, HasSubstr("FIFO"));
}

TEST_F(LocalWalkTest, NamesWhatCannotBeAKey) {
  write("bad\xff/file");
  write("good");
  EXPECT_THAT(paths(), ElementsAre("good"));
  ASSERT_EQ(skipped_.size(), 1u);
  EXPECT_EQ(skipped_[0].why, Skipped::Why::not_utf8);
}

TEST_F(LocalWalkTest, PassesOverUnfinishedDownloads) {
  write(".buoy-part-abc");
  write("dir/.buoy-part-abc");
  EXPECT_THAT(paths(), IsEmpty());
}

TEST_F(LocalWalkTest, FileThatVanishesIsNoError) {
  write("a");
  write("b");
  auto walk = LocalWalk::open(directory_->path(), {});
  ASSERT_TRUE(walk.has_value());
  std::filesystem::remove(at("b"));
  TreeEntry entry;
  ASSERT_TRUE(walk->next(entry).value());
  EXPECT_EQ(entry.path, "a");
  EXPECT_FALSE(walk->next(entry).value());
}

TEST_F(LocalWalkTest, SaysWhatIsNoDirectory) {
  write("file");
  EXPECT_EQ(LocalWalk::open(at("file"), {}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(LocalWalk::open(at("missing"), {}).error().code, ErrorCode::not_found);
}

RC_GTEST_FIXTURE_PROP(LocalWalkTest, IsSortedAndWhole, ()) {
  // Names that sort around '/': as files and as directories.
  const auto part = rc::gen::element<std::string>("a", "a-", "a0", "a.b", "b", "aa", "!", "ä");
  const auto path = rc::gen::map(rc::gen::container<std::vector<std::string>>(2, part),
                                 [](auto parts) { return parts[0] + "_/" + parts[1] + "_/file"; });
  std::set<std::string> names;
  for (const std::string& name : *rc::gen::container<std::vector<std::string>>(5, path)) names.insert(name);
  std::filesystem::remove_all(directory_->path());
  std::filesystem::create_directory(directory_->path());
  for (const std::string& name : names) write(name);
  const auto found = paths();
  RC_ASSERT(found == std::vector<std::string>(names.begin(), names.end()));
}

}  // namespace
}  // namespace buoy::objstore
