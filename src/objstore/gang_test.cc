#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "objstore/checkpoint.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/forwarding_store.h"
#include "objstore/gang_parts.h"
#include "objstore/merge_parts.h"
#include "objstore/test_tree.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::objstore {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kGangPrefix = "main/j1/checkpoints";

CheckpointFile partEntry(const std::string& path, const std::string& content, std::uint32_t rank = 0) {
  CheckpointFile made;
  made.path = path;
  made.sha256 = content;
  made.size = content.size();
  made.rank = rank;
  return made;
}
CheckpointFile folder(const std::string& path) {
  CheckpointFile made;
  made.path = path;
  made.kind = CheckpointFile::Kind::directory;
  return made;
}
std::vector<std::string> texts(const std::vector<CheckpointFile>& files) {
  std::vector<std::string> result;
  for (const CheckpointFile& f : files)
    result.push_back(f.path + "=" + f.sha256 + "@" + std::to_string(f.rank));
  return result;
}

TEST(MergeParts, IsTheUnionOfWhatRanksHaveWritten) {
  EXPECT_THAT(texts(mergeParts({}, {}, {{0, {partEntry("a", "0")}}, {1, {partEntry("b", "1")}}})),
              ElementsAre("a=0@0", "b=1@1"));
}

TEST(MergeParts, TheLowestOfThoseThatHaveChangedAFileHasIt) {
  const auto base = std::vector{partEntry("x", "old", 1)};
  EXPECT_THAT(texts(mergeParts(
                  base, base,
                  {{0, {partEntry("x", "old")}}, {1, {partEntry("x", "1")}}, {2, {partEntry("x", "2")}}})),
              ElementsAre("x=1@1"));
}

TEST(MergeParts, WhatNobodyHasChangedIsThereAsLongAsItsOwnerKeepsIt) {
  const auto base = std::vector{partEntry("a", "a", 0), partEntry("b", "b", 1), partEntry("c", "c", 2)};
  // Rank 0 has removed all of its copies, rank 1 its own file; rank 2 has said nothing yet.
  EXPECT_THAT(texts(mergeParts(base, base, {{0, {}}, {1, {partEntry("a", "a"), partEntry("c", "c")}}})),
              ElementsAre("c=c@2"));
  EXPECT_THAT(texts(mergeParts(base, {}, {{0, {}}, {1, {}}})), IsEmpty());
  EXPECT_THAT(texts(mergeParts(base, {}, {{0, {partEntry("c", "c")}}, {1, {}}})), ElementsAre("c=c@2"));
}

TEST(MergeParts, AFileHasItsDirectoriesAndNoFileIsOne) {
  EXPECT_THAT(texts(mergeParts({folder("d")}, {}, {{0, {}}, {1, {folder("d"), partEntry("d/x", "1")}}})),
              ElementsAre("d=@1", "d/x=1@1"));
  EXPECT_THAT(
      texts(mergeParts({}, {}, {{0, {partEntry("d", "file")}}, {1, {folder("d"), partEntry("d/x", "1")}}})),
      ElementsAre("d=file@0"));
}

// A gang of two with a store of files or a store of packs.
class GangTest : public ::testing::TestWithParam<bool> {
 protected:
  ObjectStore& store() { return GetParam() ? static_cast<ObjectStore&>(far_) : *near_; }
  CheckpointRepository member(Epoch epoch, std::uint32_t rank) {
    return CheckpointRepository(store(), kGangPrefix, epoch, static_cast<std::uint32_t>(epoch),
                                {.grace = grace_, .rank = rank, .ranks = 2, .gang_patience = patience_});
  }
  std::string work(std::uint32_t rank) const { return dir_.path() + "/work" + std::to_string(rank); }
  void write(std::uint32_t rank, const std::string& name, const std::string& content) {
    writeFile(work(rank) + "/" + name, content);
  }
  void restore(CheckpointRepository& repo, std::uint32_t rank) {
    const auto restored = repo.restore(work(rank));
    ASSERT_TRUE(restored) << restored.error().message;
  }
  CommitStats commit(CheckpointRepository& repo, std::uint32_t rank) {
    const auto stats = repo.commit(work(rank), {}, {});
    EXPECT_TRUE(stats) << stats.error().message;
    return stats.value_or(CommitStats{});
  }
  Tree treeOf(Epoch epoch) {
    const std::string target = dir_.path() + "/target" + std::to_string(epoch);
    auto repo = CheckpointRepository(store(), kGangPrefix, epoch, 1);
    const auto restored = repo.restore(target);
    EXPECT_TRUE(restored) << restored.error().message;
    EXPECT_TRUE(restored && restored->fallbacks.empty());
    return readTree(target);
  }
  std::size_t contents() {
    return store().list(std::string(kGangPrefix) + "/objects/", "", 1000)->size() +
           store().list(std::string(kGangPrefix) + "/packs/", "", 1000)->size();
  }
  // Both have saved "shard0" and "shard1" with this content, and it is a version.
  void saveBoth(CheckpointRepository& rank0, CheckpointRepository& rank1, const std::string& content) {
    write(0, "shard0", content);
    write(1, "shard1", content);
    commit(rank1, 1);
    EXPECT_THAT(commit(rank0, 0).missed, IsEmpty());
  }

  Duration grace_ = hours{1};
  Duration patience_ = hours{1};
  os::TempDir dir_ = os::TempDir::create("buoy-gang-").value();
  std::unique_ptr<ObjectStore> near_ = openStore("file://" + dir_.path() + "/store").value();
  FarStore far_{*near_};
};
INSTANTIATE_TEST_SUITE_P(Stores, GangTest, ::testing::Bool(),
                         [](const auto& store) { return store.param ? "packs" : "files"; });

TEST_P(GangTest, EveryMemberBeginsFromWhatAllHaveSaved) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  auto next0 = member(2, 0), next1 = member(2, 1);
  restore(next0, 0);
  restore(next1, 1);
  for (const std::uint32_t rank : {0u, 1u})
    EXPECT_EQ(readTree(work(rank)), (Tree{{"shard0", file("step 1")}, {"shard1", file("step 1")}}));
  // The copies that restoring left are nobody's changes.
  write(1, "shard1", "step 2");
  commit(next1, 1);
  write(0, "shard0", "step 2");
  EXPECT_EQ(commit(next0, 0).bytes, 12u);
  EXPECT_EQ(treeOf(3), (Tree{{"shard0", file("step 2")}, {"shard1", file("step 2")}}));
  const auto fenced = next0.commit(work(0), {}, {});
  ASSERT_FALSE(fenced);
  EXPECT_EQ(fenced.error().code, ErrorCode::failed_precondition);
}

TEST_P(GangTest, AVersionWaitsForWhoHasBegunToSave) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  ASSERT_TRUE(rank1.beginPart());
  write(0, "shard0", "step 1");
  std::jthread saver([&] {
    // When rank 0 looks, rank 1 has only begun.
    while (contents() == 0) std::this_thread::yield();
    write(1, "shard1", "step 1");
    commit(rank1, 1);
  });
  commit(rank0, 0);
  saver.join();
  EXPECT_EQ(treeOf(2), (Tree{{"shard0", file("step 1")}, {"shard1", file("step 1")}}));
}

TEST_P(GangTest, AVersionIsNotMadeOfStatesThatDoNotBelongTogether) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  // Rank 1 is lost before it saves step 2, and the job ends.
  write(0, "shard0", "step 2");
  const os::SystemClock clock;
  rank0.hurry({.patience = Duration{0}, .deadline = clock.now(), .whole_only = true});
  const auto refused = rank0.commit(work(0), {}, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::deadline_exceeded);
  EXPECT_THAT(refused.error().message, HasSubstr("rank 1 has saved nothing"));
  EXPECT_EQ(treeOf(2), (Tree{{"shard0", file("step 1")}, {"shard1", file("step 1")}}));
}

TEST_P(GangTest, AtAGoodEndNobodyIsWaitedForWhoHasEnded) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  write(0, "model", "final");
  ASSERT_TRUE(rank1.endParts());
  rank0.hurry({.patience = hours{1}, .whole_only = false});
  EXPECT_THAT(commit(rank0, 0).missed, ElementsAre(1u));
  EXPECT_EQ(treeOf(2).size(), 3u);
}

TEST_P(GangTest, WhoSavedOnlyOnceIsWaitedForOnlyOnce) {
  patience_ = milliseconds{1};
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  write(0, "shard0", "step 2");
  EXPECT_THAT(commit(rank0, 0).missed, ElementsAre(1u));
  write(0, "shard0", "step 3");
  EXPECT_THAT(commit(rank0, 0).missed, IsEmpty());
}

TEST_P(GangTest, RankZeroNeedNotSaveItself) {
  patience_ = milliseconds{0};
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  EXPECT_FALSE(rank0.othersAreAhead().value());
  write(1, "shard1", "step 1");
  commit(rank1, 1);
  EXPECT_TRUE(rank0.othersAreAhead().value());
  commit(rank0, 0);
  EXPECT_FALSE(rank0.othersAreAhead().value());
  EXPECT_EQ(treeOf(2), (Tree{{"shard1", file("step 1")}}));
}

TEST_P(GangTest, NothingToSaveIsTakenBack) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  ASSERT_TRUE(rank1.beginPart());
  commit(rank1, 1);  // what was written is what was there
  const auto heard = GangParts(store(), std::string(kGangPrefix) + "/", 1).listen(2).value();
  EXPECT_FALSE(heard[1].saving());
  EXPECT_EQ(heard[1].saved, 1u);
}

TEST_P(GangTest, ASaveThatChangesNothingForgetsNobody) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  commit(rank0, 0);  // nothing new
  write(0, "shard0", "step 2");
  rank0.hurry({.patience = Duration{0}});
  EXPECT_FALSE(rank0.commit(work(0), {}, {})) << "rank 1 was not waited for";
}

TEST_P(GangTest, WhatRankZeroHasLeftBehindIsNotPairedWithWhatComes) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  write(0, "shard0", "step 2");
  ASSERT_TRUE(rank1.beginPart());
  const std::size_t stored = contents();
  std::jthread other([&] {
    // Rank 0 has stored step 2 and waits; it is at step 3 when rank 1 has saved step 2.
    while (contents() == stored) std::this_thread::yield();
    write(0, "shard0", "step 3");
    write(1, "shard1", "step 2");
    commit(rank1, 1);
  });
  const auto too_late = rank0.commit(work(0), {}, {});
  other.join();
  if (too_late) return;  // it was quicker than the change
  EXPECT_EQ(too_late.error().code, ErrorCode::unavailable);
  rank0.hurry({.patience = Duration{0}});
  EXPECT_FALSE(rank0.commit(work(0), {}, {})) << "step 3 of rank 0 with step 2 of rank 1";
}

TEST_P(GangTest, ADamagedPartIsNoPart) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  write(0, "shard0", "step 1");
  write(1, "shard1", "step 1");
  commit(rank1, 1);
  const std::string part = std::string(kGangPrefix) + "/" + partsPrefix(1) + "1/" + fixedWidth(1);
  ASSERT_TRUE(store().put(part, "torn"));
  commit(rank0, 0);
  EXPECT_EQ(treeOf(2), (Tree{{"shard0", file("step 1")}}));
}

TEST_P(GangTest, WhatAllFoundAtTheStartIsNobodysWork) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  for (const std::uint32_t rank : {0u, 1u}) write(rank, "shard1", "from elsewhere");
  ASSERT_TRUE(rank0.beginWith(work(0)));
  ASSERT_TRUE(rank1.beginWith(work(1)));
  write(1, "shard1", "step 1");
  commit(rank1, 1);
  commit(rank0, 0);
  EXPECT_EQ(treeOf(2), (Tree{{"shard1", file("step 1")}}));
}

TEST_P(GangTest, ARemovedFileStaysRemoved) {
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  saveBoth(rank0, rank1, "step 1");
  auto next = member(2, 0);
  restore(next, 0);
  // Rank 1 saves nothing in this attempt; rank 0 takes its file over and removes it.
  patience_ = Duration{0};
  write(0, "shard1", "taken over");
  next.hurry({.patience = Duration{0}, .whole_only = false});
  commit(next, 0);
  std::filesystem::remove(work(0) + "/shard1");
  commit(next, 0);
  EXPECT_EQ(treeOf(3), (Tree{{"shard0", file("step 1")}}));
}

// Versions are made, dropped and begun from at random, by members that run at their own pace; whatever a
// version names is there.
TEST_P(GangTest, RetentionNeverTakesWhatAVersionNames) {
  grace_ = Duration{0};
  patience_ = Duration{0};
  std::mt19937 random(20'261'121);
  const auto chance = [&](int of) { return std::uniform_int_distribution<int>(0, of - 1)(random) == 0; };
  const auto content = [&] {
    return std::string(std::uniform_int_distribution<std::size_t>(0, 4)(random), 'x');
  };
  for (Epoch epoch = 1; epoch <= 8; ++epoch) {
    auto rank0 = member(2 * epoch, 0), rank1 = member(2 * epoch, 1);
    restore(rank0, 0);
    restore(rank1, 1);
    for (int round = 0; round < 25; ++round) {
      for (const std::uint32_t rank : {0u, 1u}) {
        CheckpointRepository& repo = rank == 0 ? rank0 : rank1;
        for (const char* name : {"a", "b", "shared"}) {
          // The same few contents come and go, in every file.
          if (chance(3)) write(rank, chance(2) ? name : name + std::to_string(rank), content());
        }
        if (chance(8)) std::filesystem::remove(work(rank) + "/a");
        if (chance(2)) commit(repo, rank);
        const bool tidy = chance(2);
        ASSERT_TRUE(!tidy || repo.retain(chance(2) ? 1 : 2));
      }
    }
    commit(rank1, 1);
    commit(rank0, 0);
    ASSERT_TRUE(rank1.retain(1));
    ASSERT_TRUE(rank0.retain(1));
    treeOf(2 * epoch + 1);  // fails if a fallback is needed
  }
}

TEST_P(GangTest, OldContentOfEveryRankGoes) {
  grace_ = Duration{0};
  auto rank0 = member(1, 0), rank1 = member(1, 1);
  restore(rank0, 0);
  restore(rank1, 1);
  for (int step = 0; step < 10; ++step) {
    saveBoth(rank0, rank1, "step " + std::to_string(step));
    ASSERT_TRUE(rank0.retain(1));
    ASSERT_TRUE(rank1.retain(1));
  }
  std::size_t left = 0;
  for (const char* below : {"/objects/", "/packs/", "/parts/"})
    left += store().list(kGangPrefix + std::string(below), "", 1000)->size();
  // What version 10 names, and what the part before it named.
  EXPECT_LE(left, 5u);
}

}  // namespace
}  // namespace buoy::objstore
