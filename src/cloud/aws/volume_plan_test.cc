#include "cloud/aws/volume_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

using Kind = VolumeStep::Kind;
using Release = ReleaseStep::Kind;
constexpr const char* kCluster = "c1";
const JobId kJob{7};
const Time kNow{std::chrono::seconds{1'700'000'000}};

VolumeWish wish(Deletion deletion = Deletion::retain, std::uint64_t gib = 10) {
  VolumeWish made;
  made.spec.name = "data";
  made.spec.size = ByteCount{gib << 30};
  made.spec.mount = "/mnt/data";
  made.spec.deletion = deletion;
  made.cluster = kCluster;
  made.job = kJob;
  made.instance = "i-new";
  made.zone = "a";
  return made;
}

Volume volume(const VolumeWish& of = wish(), Volume::State state = Volume::State::available) {
  Volume made;
  made.id = "vol-1";
  made.zone = "a";
  made.state = state;
  made.gib = 10;
  made.tags = volumeTags(of);
  return made;
}

Volume attached(const std::string& instance, bool already = true, const VolumeWish& of = wish()) {
  Volume made = volume(of, Volume::State::in_use);
  made.attachments = {{instance, "/dev/sdf", already}};
  return made;
}

Snapshot snapshot(const std::string& id, std::vector<Tag> tags,
                  Snapshot::State state = Snapshot::State::completed) {
  return {id, "vol-1", state, 8, kNow, std::move(tags)};
}

VolumeStep next(const VolumeWish& of, const std::vector<Volume>& volumes,
                const std::vector<Snapshot>& snapshots = {}) {
  return nextStep(of, volumes, {}, snapshots, kNow);
}

TEST(VolumePlan, MakesOneWhereThereIsNone) {
  const VolumeStep step = next(wish(), {});
  EXPECT_EQ(step.kind, Kind::create);
  EXPECT_EQ(step.gib, 10);
  EXPECT_EQ(step.snapshot, "");
}

TEST(VolumePlan, MakesItFromTheSnapshotOfItsNameOrTheOneThatIsNamed) {
  const Snapshot old = {
      "snap-1", "vol-0", Snapshot::State::completed, 8, kNow - std::chrono::hours{1}, {{"Name", "data"}}};
  const Snapshot newer = snapshot("snap-2", {{"Name", "data"}});
  EXPECT_EQ(next(wish(), {}, {newer, old}).snapshot, "snap-2");
  VolumeWish named = wish();
  named.spec.snapshot = "snap-1";
  EXPECT_EQ(next(named, {}, {newer, old}).snapshot, "snap-1");
  named.spec.snapshot = "elsewhere";
  EXPECT_EQ(next(named, {}, {newer, old}).kind, Kind::fail);
  EXPECT_EQ(next(wish(), {}, {snapshot("snap-3", {{"Name", "data"}}, Snapshot::State::pending)}).kind,
            Kind::wait);
}

TEST(VolumePlan, DoesNotMakeItSmallerThanItsSnapshotNorOfNoSize) {
  const Snapshot from = snapshot("snap-1", {{"Name", "data"}});
  EXPECT_EQ(next(wish(Deletion::retain, 7), {}, {from}).kind, Kind::fail);
  EXPECT_EQ(next(wish(Deletion::retain, 0), {}, {from}).gib, 0) << "as large as the snapshot";
  EXPECT_EQ(next(wish(Deletion::retain, 0), {}).kind, Kind::fail);
}

TEST(VolumePlan, TakesOneThatIsThereWhoeverMadeIt) {
  Volume found = volume();
  found.tags = {{"Name", "data"}};
  EXPECT_EQ(next(wish(), {found}).kind, Kind::mark);
  const VolumeStep step = next(wish(), {volume()});
  EXPECT_EQ(step.kind, Kind::attach);
  EXPECT_EQ(step.device, "/dev/sdf");
  EXPECT_EQ(nextStep(wish(), {volume()}, {"/dev/sdf"}, {}, kNow).device, "/dev/sdg");
  VolumeWish later = wish();
  later.device_tries = 1;
  EXPECT_EQ(nextStep(later, {volume()}, {"/dev/sdf"}, {}, kNow).device, "/dev/sdh");
}

TEST(VolumePlan, IsReadyWhenItIsAttachedHere) {
  EXPECT_EQ(next(wish(), {attached("i-new", false)}).kind, Kind::wait);
  const VolumeStep step = next(wish(), {attached("i-new")});
  EXPECT_EQ(step.kind, Kind::ready);
  EXPECT_EQ(step.device, "/dev/sdf");
}

TEST(VolumePlan, TakesItFromTheMachineOfAnEarlierAttempt) {
  const VolumeStep step = next(wish(), {attached("i-old")});
  EXPECT_EQ(step.kind, Kind::detach);
  EXPECT_EQ(step.instance, "i-old");
  EXPECT_EQ(next(wish(), {attached("i-old", false)}).kind, Kind::wait);
}

TEST(VolumePlan, LeavesAnotherJobsAlone) {
  VolumeWish other = wish();
  other.job = JobId{8};
  const VolumeStep step = next(wish(), {attached("i-other", true, other)});
  EXPECT_EQ(step.kind, Kind::wait);
  EXPECT_EQ(step.why, "vol-1 is in use by job j8");
}

TEST(VolumePlan, SaysThatAMachineElsewhereMayHaveIt) {
  Volume far = volume();
  far.zone = "b";
  const VolumeStep step = next(wish(), {far});
  EXPECT_EQ(step.kind, Kind::fail);
  EXPECT_TRUE(step.elsewhere);
}

TEST(VolumePlan, GrowsOnceAndNeverShrinks) {
  VolumeWish large = wish(Deletion::retain, 20);
  EXPECT_EQ(next(large, {volume(large)}).kind, Kind::grow);
  large.grown = true;
  EXPECT_EQ(next(large, {volume(large)}).kind, Kind::wait);
  const VolumeWish small = wish(Deletion::retain, 5);
  EXPECT_EQ(next(small, {volume(small)}).kind, Kind::attach);
}

TEST(VolumePlan, TakesOfSeveralOnlyItsOwn) {
  Volume stranger = volume();
  stranger.id = "vol-2";
  stranger.tags = {{"Name", "data"}};
  EXPECT_EQ(next(wish(), {stranger, volume()}).volume, "vol-1");
  Volume third = stranger;
  third.id = "vol-3";
  EXPECT_EQ(next(wish(), {stranger, third}).kind, Kind::fail);
}

TEST(PinnedZone, IsThatOfTheVolumesThatExist) {
  const std::vector<VolumeSpec> specs{{.name = "data"}, {.name = "more"}};
  EXPECT_EQ(pinnedZone(specs, {}, kCluster, kJob)->zone, "");
  Volume more = volume();
  more.zone = "b";
  more.tags[0].value = "more";
  EXPECT_EQ(pinnedZone(specs, {more}, kCluster, kJob)->zone, "b");
  const auto both = pinnedZone(specs, {volume(), more}, kCluster, kJob);
  ASSERT_FALSE(both);
  EXPECT_NE(both.error().message.find("a machine is in one zone"), std::string::npos);
}

TEST(PinnedZone, MayBeLeftWhereASnapshotMayTakeTheVolumesPlace) {
  const std::vector<VolumeSpec> specs{{.name = "data", .deletion = Deletion::update_snapshot},
                                      {.name = "more"}};
  const Volume data = volume(wish(Deletion::update_snapshot));
  const auto alone = pinnedZone(specs, {data}, kCluster, kJob);
  EXPECT_EQ(alone->zone, "a");
  EXPECT_TRUE(alone->may_move);
  Volume more = volume();
  more.zone = "b";
  more.tags[0].value = "more";
  const auto both = pinnedZone(specs, {data, more}, kCluster, kJob);
  EXPECT_EQ(both->zone, "b") << "the one that stays decides";
  EXPECT_FALSE(both->may_move);
  EXPECT_TRUE(both->split) << "the other one follows";
  EXPECT_FALSE(alone->split);
  Volume others = data;
  others.tags[2].value = "j8";
  EXPECT_FALSE(pinnedZone(specs, {others}, kCluster, kJob)->may_move) << "another job has it";
}

TEST(PinnedZone, FollowsTheVolumesThatHaveArrived) {
  const std::vector<VolumeSpec> specs{{.name = "data", .deletion = Deletion::update_snapshot},
                                      {.name = "more", .deletion = Deletion::create_snapshot}};
  Volume leaving = volume(wish(Deletion::update_snapshot));
  leaving.tags.push_back({kMovingTag, "j7"});
  Volume more = volume(wish(Deletion::create_snapshot));
  more.tags[0].value = "more";
  more.zone = "b";
  EXPECT_EQ(pinnedZone(specs, {leaving, more}, kCluster, kJob)->zone, "b");
  EXPECT_TRUE(pinnedZone(specs, {leaving, more}, kCluster, kJob)->split);
  leaving.tags.pop_back();
  EXPECT_TRUE(pinnedZone(specs, {leaving, more}, kCluster, kJob)->split)
      << "also where its move was given up";
}

// A volume in zone a, whose machine is in zone b, as a series of looks at what EC2 has.
class Move : public ::testing::Test {
 protected:
  Move() {
    wish_.zone = "b";
    wish_.may_move = true;
  }
  VolumeStep look() { return next(wish_, volumes_, snapshots_); }
  void mark() { volumes_[0].tags = look().tags; }
  static std::vector<Tag> mine() { return snapshotTags(kCluster, kJob, "data"); }

  VolumeWish wish_ = wish(Deletion::create_snapshot);
  std::vector<Volume> volumes_{volume(wish_)};
  std::vector<Snapshot> snapshots_;
};

TEST_F(Move, IsMarkedSnapshotAndVolumeAnew) {
  EXPECT_EQ(look().kind, Kind::mark);
  mark();
  EXPECT_EQ(look().release.kind, Release::create_snapshot);
  snapshots_ = {snapshot("snap-1", mine(), Snapshot::State::pending)};
  EXPECT_EQ(look().release.kind, Release::wait);
  wish_.may_move = false;  // a server that began meanwhile
  snapshots_[0].state = Snapshot::State::completed;
  snapshots_[0].gib = 20;
  EXPECT_EQ(look().kind, Kind::settle);
  EXPECT_EQ(look().release.kind, Release::erase);
  volumes_.clear();
  wish_.spec.snapshot = "snap-first";  // from which it was made once
  EXPECT_EQ(look().kind, Kind::create);
  EXPECT_EQ(look().snapshot, "snap-1");
  EXPECT_EQ(look().gib, 20) << "it was larger than the job asks for";
}

TEST_F(Move, WaitsForItsMachineOfBefore) {
  mark();
  volumes_[0].state = Volume::State::in_use;
  volumes_[0].attachments = {{"i-old", "/dev/sdf", true}};
  EXPECT_EQ(look().release.kind, Release::detach);
  EXPECT_EQ(look().release.instance, "i-old");
}

TEST_F(Move, IsNotForVolumesThatAreKeptAsTheyAre) {
  wish_.spec.deletion = Deletion::retain;
  EXPECT_EQ(look().kind, Kind::fail);
  EXPECT_TRUE(look().elsewhere);
  wish_.spec.deletion = Deletion::update_snapshot;
  wish_.may_move = false;
  EXPECT_EQ(look().kind, Kind::fail) << "its zone may have a machine";
}

TEST_F(Move, IsTakenBackWhenItsZoneHasAMachine) {
  mark();
  snapshots_ = {snapshot("snap-1", mine())};
  wish_.zone = "a";
  const VolumeStep back = look();
  EXPECT_EQ(back.kind, Kind::settle);
  EXPECT_EQ(back.release.kind, Release::undo) << "what is written from now on is not in it";
  EXPECT_EQ(back.release.snapshot, "snap-1");
  std::erase_if(volumes_[0].tags, [](const Tag& tag) {
    const auto keys = jobTagKeys();
    return std::find(keys.begin(), keys.end(), tag.key) != keys.end();
  });
  snapshots_.clear();
  EXPECT_EQ(look().kind, Kind::mark);
  mark();
  EXPECT_EQ(look().kind, Kind::attach);
}

TEST_F(Move, LeavesNoSnapshotBehindItself) {
  Volume arrived = volume(wish_);
  arrived.id = "vol-2";
  const Snapshot way = snapshot("snap-1", mine());
  const auto release = [&](const std::vector<Snapshot>& snapshots) {
    return nextRelease(arrived, snapshots, kCluster, kJob, true, kNow);
  };
  EXPECT_EQ(release({way}).kind, Release::create_snapshot)
      << "that of the way here is older than the content";
  Snapshot last = snapshot("snap-2", mine());
  last.volume = "vol-2";
  EXPECT_EQ(release({way, last}).kind, Release::erase_snapshot);
  EXPECT_EQ(release({way, last}).snapshot, "snap-1");
  EXPECT_EQ(release({last}).kind, Release::erase);
}

ReleaseStep release(const Volume& of, const std::vector<Snapshot>& snapshots = {}, bool is_turn = true) {
  return nextRelease(of, snapshots, kCluster, kJob, is_turn, kNow);
}

TEST(ReleasePlan, KeepsAndErases) {
  EXPECT_EQ(release(volume()).kind, Release::keep);
  EXPECT_EQ(release(volume(wish(Deletion::remove))).kind, Release::erase);
  EXPECT_EQ(release(attached("i-1", true, wish(Deletion::remove))).kind, Release::detach);
  EXPECT_EQ(release(volume(wish(Deletion::remove), Volume::State::in_use)).kind, Release::wait);
}

TEST(ReleasePlan, SnapshotsInTheOrderThatLosesNothing) {
  const Volume kept = volume(wish(Deletion::create_snapshot));
  const Snapshot old = snapshot("snap-old", {{"Name", "data"}});
  const ReleaseStep rename = release(kept, {old});
  EXPECT_EQ(rename.kind, Release::rename_snapshot);
  EXPECT_EQ(rename.snapshot, "snap-old");
  EXPECT_EQ(rename.name, "data-1700000000");
  const Snapshot renamed =
      snapshot("snap-old", {{"Name", rename.name}, {kClusterTag, kCluster}, {kReplacedTag, "j7/data"}});
  EXPECT_EQ(release(kept, {renamed}).kind, Release::create_snapshot);
  const std::vector<Tag> own{{"Name", "data"}, {kClusterTag, kCluster}, {kJobTag, "j7"}};
  EXPECT_EQ(release(kept, {renamed, snapshot("snap-new", own, Snapshot::State::pending)}).kind,
            Release::wait);
  const Snapshot made = snapshot("snap-new", own);
  EXPECT_EQ(release(kept, {renamed, made}, false).kind, Release::wait)
      << "the volumes before it are not settled";
  EXPECT_EQ(release(kept, {renamed, made}).kind, Release::erase);
  const Volume updated = volume(wish(Deletion::update_snapshot));
  const ReleaseStep before = release(updated, {renamed, made});
  EXPECT_EQ(before.kind, Release::erase_snapshot);
  EXPECT_EQ(before.snapshot, "snap-old");
  EXPECT_EQ(release(updated, {made}).kind, Release::erase);
}

TEST(ReleasePlan, KeepsVolumeAndOldSnapshotWhenTheNewOneFails) {
  const Snapshot renamed =
      snapshot("snap-old", {{"Name", "data-1"}, {kClusterTag, kCluster}, {kReplacedTag, "j7/data"}});
  const Snapshot failed = snapshot("snap-new", {{"Name", "data"}, {kClusterTag, kCluster}, {kJobTag, "j7"}},
                                   Snapshot::State::error);
  const ReleaseStep step = release(volume(wish(Deletion::update_snapshot)), {renamed, failed});
  EXPECT_EQ(step.kind, Release::undo);
  EXPECT_EQ(step.snapshot, "snap-new");
  EXPECT_EQ(step.previous, "snap-old");
}

}  // namespace
}  // namespace buoy::cloud::aws
