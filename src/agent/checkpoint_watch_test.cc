#include "agent/checkpoint_watch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "os/files.h"

namespace buoy::agent {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class CheckpointWatchTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return dir_.path() + "/" + name; }
  os::Fd openForWriting(const std::string& name) {
    return *os::openFile(path(name), O_WRONLY | O_CREAT | O_TRUNC);
  }
  void write(const os::Fd& fd) { ASSERT_TRUE(os::writeAll(fd.get(), "content")); }
  void writeWhole(const std::string& name) { write(openForWriting(name)); }
  DirtyFiles& files() {
    watch_->drain();
    return watch_->files();
  }

  const os::TempDir dir_ = *os::TempDir::create("buoy-watch-");
  FakeClock clock_;
  os::EventLoop loop_{clock_};
  std::unique_ptr<CheckpointWatch> watch_ = *CheckpointWatch::create(loop_, clock_, dir_.path(), [] {});
};

TEST_F(CheckpointWatchTest, SeesWhatIsBeingWrittenAndWhatIsComplete) {
  os::Fd open = openForWriting("a");
  EXPECT_THAT(files().dirty(), ElementsAre("a")) << "created, about to be written";
  write(open);
  EXPECT_THAT(files().dirty(), ElementsAre("a"));
  EXPECT_FALSE(files().firstChange());
  open.reset();
  EXPECT_FALSE(files().any());
  EXPECT_TRUE(files().firstChange());
}

TEST_F(CheckpointWatchTest, FollowsRenamesRemovalsAndLinks) {
  os::Fd open = openForWriting("a.tmp");
  write(open);
  ASSERT_EQ(::rename(path("a.tmp").c_str(), path("a").c_str()), 0);
  EXPECT_THAT(files().dirty(), ElementsAre("a"));
  ASSERT_EQ(::unlink(path("a").c_str()), 0);
  write(open);
  EXPECT_FALSE(files().any()) << "written on, but nobody can reach it";
  writeWhole("b");
  ASSERT_EQ(::link(path("b").c_str(), path("c").c_str()), 0);
  EXPECT_FALSE(files().any());
}

TEST_F(CheckpointWatchTest, SeesFilesInDirectoriesThatAppearLater) {
  ASSERT_TRUE(os::makeDirectories(path("step-1/deep")));
  os::Fd open = openForWriting("step-1/deep/a");
  write(open);
  writeWhole("step-1/b");
  EXPECT_THAT(files().dirty(), ElementsAre("step-1/deep/a"))
      << "written before the directory could be watched";
  os::Fd later = openForWriting("step-1/deep/c");
  write(later);
  EXPECT_THAT(files().dirty(), UnorderedElementsAre("step-1/deep/a", "step-1/deep/c"));
  ASSERT_EQ(::rename(path("step-1").c_str(), path("final").c_str()), 0);
  EXPECT_THAT(files().dirty(), UnorderedElementsAre("final/deep/a", "final/deep/c"));
  open.reset();
  later.reset();
  EXPECT_FALSE(files().any());
  writeWhole("final/deep/d");
  EXPECT_FALSE(files().any());
}

TEST_F(CheckpointWatchTest, ADirectoryFromOutsideIsTakenIn) {
  const os::TempDir outside = *os::TempDir::create("buoy-outside-");
  ASSERT_TRUE(os::makeDirectories(outside.path() + "/in"));
  const os::Fd open = *os::openFile(outside.path() + "/in/a", O_WRONLY | O_CREAT);
  write(open);
  ASSERT_EQ(::rename((outside.path() + "/in").c_str(), path("in").c_str()), 0);
  EXPECT_THAT(files().dirty(), ElementsAre("in/a"));
  ASSERT_EQ(::rename(path("in").c_str(), (outside.path() + "/in").c_str()), 0);
  EXPECT_FALSE(files().any());
}

TEST_F(CheckpointWatchTest, AsksTheKernelWhatIsReallyOpen) {
  writeWhole("a");
  const os::Fd open = openForWriting("b");
  write(open);
  files().commitBegins();
  ASSERT_EQ(::truncate(path("a").c_str(), 3), 0);  // a change without open and close
  EXPECT_THAT(files().dirty(), ElementsAre("a", "b"));
  watch_->verifyDirty();
  EXPECT_THAT(files().dirty(), ElementsAre("b"));
  EXPECT_TRUE(files().firstChange());
}

TEST_F(CheckpointWatchTest, ADirectoryThatTheJobMakesAnewIsFoundAgain) {
  ASSERT_TRUE(os::removeTree(dir_.path()));
  watch_->drain();
  ASSERT_TRUE(os::makeDirectories(dir_.path()));
  const os::Fd open = openForWriting("a");
  write(open);
  clock_.advance(std::chrono::seconds{2});
  loop_.runOnce(Duration{0});
  EXPECT_THAT(files().dirty(), ElementsAre("a"));
}

TEST_F(CheckpointWatchTest, LooksEverywhereAgainWhenTheQueueOverflowed) {
  const auto limit = os::readFile("/proc/sys/fs/inotify/max_queued_events");
  ASSERT_TRUE(limit);
  const int events = std::stoi(*limit) + 10;
  if (events > 100'000) GTEST_SKIP() << "the queue is too long here to be filled";
  const os::Fd open = openForWriting("z");
  for (int i = 0; i < events; ++i) {
    const os::Fd touched = *os::openFile(path(i % 2 == 0 ? "even" : "odd"), O_WRONLY | O_CREAT);
    if (i < events - 5) continue;
    write(open);
  }
  EXPECT_THAT(files().dirty(), ElementsAre("z"));
  EXPECT_TRUE(files().firstChange());
}

}  // namespace
}  // namespace buoy::agent
