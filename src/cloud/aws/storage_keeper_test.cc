#include "cloud/aws/storage_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>

#include "cloud/aws/fake_ec2.h"
#include "cloud/aws/names.h"
#include "os/system_clock.h"

namespace buoy::cloud::aws {
namespace {

using ::testing::HasSubstr;

// EC2's volumes and snapshots, as far as the keeper sees them.
class FakeDisks {
 public:
  explicit FakeDisks(FakeAws& aws) {
    const auto locked = [this, &aws](const std::string& action,
                                     std::function<std::string(const FakeCall&)> f) {
      aws.on(action, [this, action, f = std::move(f)](const FakeCall& call) {
        const std::lock_guard lock(mutex_);
        return buoy::aws::answerOf(ec2Answer(action, f(call)));
      });
    };
    locked("DescribeVolumes",
           [this](const FakeCall& call) { return "<volumeSet>" + describe(call) + "</volumeSet>"; });
    // Of EFS's calls, which are known by method and path: there are none.
    aws.on("", [](const FakeCall&) { return buoy::aws::answerOf(R"({"FileSystems":[]})"); });
    locked("DescribeSnapshots", [this](const FakeCall&) { return describeSnapshots(); });
    locked("CreateSnapshot", [this](const FakeCall& call) {
      snapshot_of = call.parameters.at("VolumeId");
      return std::string("<snapshotId>snap-1</snapshotId><status>pending</status>");
    });
    locked("CreateTags", [this](const FakeCall& call) {
      for (int i = 1; call.parameters.contains(key("Tag.", i, ".Key")); ++i)
        disks.at(call.parameters.at("ResourceId.1")).tags[call.parameters.at(key("Tag.", i, ".Key"))] =
            call.parameters.at(key("Tag.", i, ".Value"));
      return std::string();
    });
    locked("CreateVolume", [this](const FakeCall& call) {
      const std::string id = "vol-" + std::to_string(++made);
      Disk& disk = disks[id];
      disk.zone = call.parameters.at("AvailabilityZone");
      for (int i = 1; call.parameters.contains(key("TagSpecification.1.Tag.", i, ".Key")); ++i)
        disk.tags[call.parameters.at(key("TagSpecification.1.Tag.", i, ".Key"))] =
            call.parameters.at(key("TagSpecification.1.Tag.", i, ".Value"));
      return strCat({"<volumeId>", id, "</volumeId><size>10</size><status>creating</status>"});
    });
    locked("AttachVolume", [this](const FakeCall& call) {
      disks.at(call.parameters.at("VolumeId")).instance = call.parameters.at("InstanceId");
      return std::string();
    });
    locked("DetachVolume", [this](const FakeCall& call) {
      disks.at(call.parameters.at("VolumeId")).instance.clear();
      return std::string();
    });
    locked("DeleteVolume", [this](const FakeCall& call) {
      disks.erase(call.parameters.at("VolumeId"));
      return std::string();
    });
    locked("DeleteTags", [this](const FakeCall& call) {
      for (int i = 1; call.parameters.contains(key("Tag.", i, ".Key")); ++i)
        disks.at(call.parameters.at("ResourceId.1")).tags.erase(call.parameters.at(key("Tag.", i, ".Key")));
      return std::string();
    });
  }

  struct Disk {
    std::string zone, instance;
    std::map<std::string, std::string> tags;
  };
  std::map<std::string, Disk> all() {
    const std::lock_guard lock(mutex_);
    return disks;
  }
  void completeSnapshot() {
    const std::lock_guard lock(mutex_);
    snapshot_state = "completed";
  }
  std::map<std::string, Disk> disks;
  int made = 0;
  std::string snapshot_of, snapshot_state = "pending";  // there is one at most, of volume data of job j7

 private:
  static std::string key(const std::string& before, int number, const std::string& after) {
    return before + std::to_string(number) + after;
  }
  bool matches(const std::string& id, const Disk& disk, const FakeCall& call) const {
    for (int i = 1; call.parameters.contains(key("Filter.", i, ".Name")); ++i) {
      const std::string name = call.parameters.at(key("Filter.", i, ".Name"));
      std::string value = name == "attachment.instance-id" ? disk.instance : "";
      if (name.starts_with("tag:") && disk.tags.contains(name.substr(4)))
        value = disk.tags.at(name.substr(4));
      bool found = false;
      for (int k = 1; call.parameters.contains(key(key("Filter.", i, ".Value."), k, "")); ++k) {
        const std::string wanted = call.parameters.at(key(key("Filter.", i, ".Value."), k, ""));
        found = found || (name == "tag-key" ? disk.tags.contains(wanted) : value == wanted && !value.empty());
      }
      if (!found) return false;
    }
    return !id.empty();
  }
  std::string describeSnapshots() const {
    if (snapshot_of.empty()) return "<snapshotSet/>";
    std::string tags;
    for (const Tag& tag : snapshotTags("c1", JobId{7}, "data"))
      tags += strCat({"<item><key>", tag.key, "</key><value>", tag.value, "</value></item>"});
    return strCat({"<snapshotSet><item><snapshotId>snap-1</snapshotId><volumeId>", snapshot_of,
                   "</volumeId><volumeSize>10</volumeSize><status>", snapshot_state, "</status><tagSet>",
                   tags, "</tagSet></item></snapshotSet>"});
  }
  std::string describe(const FakeCall& call) const {
    std::string items;
    for (const auto& [id, disk] : disks) {
      if (!matches(id, disk, call)) continue;
      std::string tags;
      for (const auto& [name, value] : disk.tags)
        tags += strCat({"<item><key>", name, "</key><value>", value, "</value></item>"});
      const std::string attachment =
          disk.instance.empty()
              ? ""
              : strCat({"<item><instanceId>", disk.instance,
                        "</instanceId><device>/dev/sdf</device><status>attached</status></item>"});
      items += strCat({"<item><volumeId>", id, "</volumeId><size>10</size><availabilityZone>", disk.zone,
                       "</availabilityZone><status>", disk.instance.empty() ? "available" : "in-use",
                       "</status><attachmentSet>", attachment, "</attachmentSet><tagSet>", tags,
                       "</tagSet></item>"});
    }
    return items;
  }
  std::mutex mutex_;
};

class StorageKeeperTest : public ::testing::Test {
 protected:
  StorageKeeperTest() : disks_(aws_), ec2_(std::make_shared<Ec2>(aws_.options(clock_))) {
    keeper_ = std::make_unique<StorageKeeper>(
        StorageKeeper::Options{.cluster = "c1", .every = std::chrono::milliseconds{1}}, clock_,
        StorageKeeper::Ports{.place =
                                 [this](MachineId machine) {
                                   const bool far = machine == far_.load();
                                   return std::optional(StorageKeeper::Place{ec2_, "i-" + machine.toString(),
                                                                             far ? "zone-b" : "zone-a", far});
                                 },
                             .accounts = [this] { return std::vector{ec2_}; },
                             .lay = [this](const std::string& key, const std::string& content) -> Status {
                               const std::lock_guard lock(mutex_);
                               laid_[key] = content;
                               changed_.notify_all();
                               return {};
                             },
                             .tell =
                                 [this](JobId, const std::string& detail) {
                                   const std::lock_guard lock(mutex_);
                                   told_.push_back(detail);
                                   changed_.notify_all();
                                 }});
  }
  static StorageRequest request(MachineId machine, Epoch epoch, std::vector<VolumeSpec> volumes) {
    StorageRequest made;
    made.machine = machine;
    made.job = JobId{7};
    made.epoch = epoch;
    made.job_prefix = "c1/j7";
    made.storage.volumes = std::move(volumes);
    return made;
  }
  static VolumeSpec spec(const std::string& name, Deletion deletion = Deletion::retain) {
    VolumeSpec made;
    made.name = name;
    made.size = ByteCount{std::uint64_t{10} << 30};
    made.mount = "/mnt/" + name;
    made.deletion = deletion;
    return made;
  }
  MountOrder orderFor(MachineId machine, Epoch epoch, bool waiting = false) {
    std::unique_lock lock(mutex_);
    MountOrder order;
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds{60}, [&] {
      const auto found = laid_.find(mountKey("c1/j7", machine));
      if (found == laid_.end()) return false;
      order = parseMountOrder(found->second).value();
      return order.epoch == epoch && order.waiting.empty() != waiting;
    }));
    return order;
  }
  std::string firstTold() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds{60}, [&] { return !told_.empty(); }));
    return told_.empty() ? "" : told_.front();
  }

  const os::SystemClock clock_;
  std::atomic<MachineId> far_{};  // in zone-b, as zone-a had none
  FakeAws aws_;
  FakeDisks disks_;
  std::shared_ptr<Ec2> ec2_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> laid_;
  std::vector<std::string> told_;
  std::unique_ptr<StorageKeeper> keeper_;  // last: it uses the others
};

TEST_F(StorageKeeperTest, ConnectsAVolumeAndTakesItAlongToTheNextMachine) {
  keeper_->provide(request(MachineId{1}, 1, {spec("data")}));
  const MountOrder first = orderFor(MachineId{1}, 1);
  ASSERT_EQ(first.mounts.size(), 1u) << first.error;
  EXPECT_EQ(first.mounts[0].volume, "vol-1");
  EXPECT_EQ(first.mounts[0].path, "/mnt/data");
  EXPECT_THAT(first.told.at(0), HasSubstr("made volume data (vol-1"));
  EXPECT_EQ(disks_.all().at("vol-1").tags.at(kJobTag), "j7");

  keeper_->provide(request(MachineId{2}, 2, {spec("data")}));
  const MountOrder second = orderFor(MachineId{2}, 2);
  ASSERT_EQ(second.mounts.size(), 1u) << second.error;
  EXPECT_EQ(disks_.all().at("vol-1").instance, "i-m2");
  EXPECT_EQ(aws_.calls("CreateVolume").size(), 1u);

  keeper_->release(JobId{7});
  EXPECT_EQ(firstTold(), "volume data (vol-1, 10 GiB) is kept");
  EXPECT_FALSE(disks_.all().at("vol-1").tags.contains(kJobTag));
}

TEST_F(StorageKeeperTest, TakesAVolumeToAnotherZoneAsASnapshot) {
  keeper_->provide(request(MachineId{1}, 1, {spec("data", Deletion::update_snapshot)}));
  ASSERT_EQ(orderFor(MachineId{1}, 1).mounts.size(), 1u);
  far_ = MachineId{2};
  keeper_->provide(request(MachineId{2}, 2, {spec("data", Deletion::update_snapshot)}));
  const MountOrder waiting = orderFor(MachineId{2}, 2, true);
  EXPECT_EQ(waiting.waiting, "volume data: its snapshot is being made");
  EXPECT_GT(waiting.progress, 0u) << "the agent has patience as long as this grows";
  EXPECT_EQ(disks_.all().at("vol-1").tags.at(kMovingTag), "j7");
  disks_.completeSnapshot();
  const MountOrder moved = orderFor(MachineId{2}, 2);
  ASSERT_EQ(moved.mounts.size(), 1u) << moved.error;
  EXPECT_EQ(moved.mounts[0].volume, "vol-2");
  EXPECT_EQ(disks_.all().at("vol-2").zone, "zone-b");
  EXPECT_FALSE(disks_.all().contains("vol-1"));
  EXPECT_THAT(firstTold(), HasSubstr("there was no machine in zone-a: volume data (vol-1) was deleted"));
}

TEST_F(StorageKeeperTest, SaysWhatFailedAndDoesTheOthers) {
  VolumeSpec bad = spec("bad");
  bad.snapshot = "nowhere";
  keeper_->provide(request(MachineId{1}, 1, {bad, spec("good", Deletion::remove)}));
  const MountOrder order = orderFor(MachineId{1}, 1);
  EXPECT_EQ(order.error, "volume bad: there is no snapshot 'nowhere' in the region");
  EXPECT_FALSE(order.elsewhere);
  EXPECT_EQ(order.mounts.size(), 1u);
  keeper_->release(JobId{7});
  EXPECT_EQ(firstTold(), "volume good (vol-1) was deleted");
}

TEST_F(StorageKeeperTest, GivesUpOneVolumeAndReleasesTheOthers) {
  aws_.on("DeleteVolume", [](const FakeCall&) { return ec2Refusal(403, "UnauthorizedOperation"); });
  keeper_->provide(request(MachineId{1}, 1, {spec("stuck", Deletion::remove), spec("kept")}));
  ASSERT_EQ(orderFor(MachineId{1}, 1).mounts.size(), 2u);
  keeper_->release(JobId{7});
  EXPECT_THAT(firstTold(), HasSubstr("volume stuck (vol-1) is kept: "));
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds{60}, [&] { return told_.size() == 2; }));
  lock.unlock();
  EXPECT_EQ(disks_.all().at("vol-1").tags.at(kDeletionTag), "delete") << "among what is left over";
}

TEST_F(StorageKeeperTest, KnowsAfterARestartForWhichJobsThereIsSomething) {
  disks_.disks["vol-1"] = {
      "zone-a", "", {{"Name", "data"}, {kClusterTag, "c1"}, {kJobTag, "j7"}, {kDeletionTag, "delete"}}};
  disks_.disks["vol-2"] = {"zone-a", "", {{"Name", "other"}, {kClusterTag, "c2"}, {kJobTag, "j8"}}};
  keeper_->release(JobId{7});  // not known yet: no call is made for jobs that keep nothing
  const auto jobs = keeper_->jobs({});
  ASSERT_TRUE(jobs);
  EXPECT_EQ(*jobs, std::vector{JobId{7}});
  keeper_->release(JobId{7});
  EXPECT_EQ(firstTold(), "volume data (vol-1) was deleted");
}

}  // namespace
}  // namespace buoy::cloud::aws
