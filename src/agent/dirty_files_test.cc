#include "agent/dirty_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buoy::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Time kStart{std::chrono::hours{1}};
Time at(int ms) {
  return kStart + milliseconds{ms};
}

TEST(DirtyFiles, AFileIsDirtyUntilItIsClosed) {
  DirtyFiles files;
  files.modified("a", at(0));
  EXPECT_THAT(files.dirty(), ElementsAre("a"));
  EXPECT_FALSE(files.firstChange()) << "nothing complete yet";
  files.modified("a", at(5));
  EXPECT_EQ(files.newestDirty(), at(0));
  files.closed("a", at(10));
  EXPECT_FALSE(files.any());
  EXPECT_EQ(files.firstChange(), at(10));
}

TEST(DirtyFiles, ARenameCarriesWhatIsBeingWrittenAlong) {
  DirtyFiles files;
  files.modified("a.tmp", at(0));
  files.modified("a", at(0));
  files.moved("a.tmp", "a", at(1));
  EXPECT_THAT(files.dirty(), ElementsAre("a"));
  files.closed("a", at(2));
  EXPECT_FALSE(files.any());
  files.modified("dir/x", at(3));
  files.modified("dirty", at(3));
  files.moved("dir", "other", at(4));
  EXPECT_THAT(files.dirty(), ElementsAre("dirty", "other/x"));
  files.removed("other", at(5));
  EXPECT_THAT(files.dirty(), ElementsAre("dirty"));
}

TEST(DirtyFiles, ACloseAfterTheKillIsTheKernels) {
  DirtyFiles files;
  files.modified("torn", at(0));
  files.freeze();
  files.modified("late", at(1));
  files.closed("torn", at(2));
  files.closed("late", at(2));
  EXPECT_THAT(files.dirty(), ElementsAre("late", "torn"));
}

TEST(DirtyFiles, ARenameAfterTheKillWasStillTheJobs) {
  DirtyFiles files;
  files.modified("a.tmp", at(0));
  files.freeze();  // the events below were under way when the kill was decided
  files.closed("a.tmp", at(1));
  files.moved("a.tmp", "a", at(1));
  EXPECT_FALSE(files.any()) << "closed, then renamed: only a living process renames";
  files.modified("b.tmp", at(2));
  files.moved("b.tmp", "b", at(3));
  EXPECT_THAT(files.dirty(), ElementsAre("b")) << "renamed while it was open";
}

TEST(DirtyFiles, ACloseJustBeforeACrashIsNotBelieved) {
  DirtyFiles files;
  files.modified("old", at(0));
  files.closed("old", at(10));
  files.modified("torn", at(900));
  files.closed("torn", at(990));
  files.modified("c.tmp", at(990));
  files.closed("c.tmp", at(991));
  files.moved("c.tmp", "c", at(992));
  files.diedAbnormally(at(1000), milliseconds{100});
  EXPECT_THAT(files.dirty(), ElementsAre("torn"));
}

TEST(DirtyFiles, AfterLostEventsOnlyWhatIsOpenIsDirty) {
  DirtyFiles files;
  files.modified("a", at(0));
  files.modified("b", at(0));
  files.reset({"b", "c"}, at(10));
  EXPECT_THAT(files.dirty(), ElementsAre("b", "c"));
  EXPECT_EQ(files.newestDirty(), at(10));
  EXPECT_TRUE(files.firstChange()) << "what was missed must be committed";
}

TEST(DirtyFiles, CountsTheChangesThatNoCommitCovers) {
  DirtyFiles files;
  files.changed(at(1));
  files.changed(at(2));
  EXPECT_EQ(files.firstChange(), at(1));
  EXPECT_EQ(files.lastChange(), at(2));
  files.commitBegins();
  EXPECT_FALSE(files.firstChange());
  files.commitFailed(at(3));
  EXPECT_EQ(files.firstChange(), at(3));
  EXPECT_EQ(files.lastChange(), at(2)) << "a failure is no change";
}

}  // namespace
}  // namespace buoy::agent
