#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/synchronized.h"
#include "cloud/aws/ec2.h"
#include "cloud/aws/efs.h"
#include "cloud/aws/volume_plan.h"
#include "cloud/provider.h"

namespace buoy::cloud::aws {

// Brings what EC2 has of volumes, and EFS of file systems, to what jobs want, one step a round for each
// (volume_plan.h, efs.h), on a thread of its own that sleeps while nothing is wanted. What it must not forget
// is in their tags. Threads: any.
class StorageKeeper {
 public:
  struct Place {
    std::shared_ptr<Ec2> ec2;
    std::string instance, zone;
    bool left_zone = false;  // of the volumes some are elsewhere and follow it
  };
  struct Ports {
    std::function<std::optional<Place>(MachineId)> place;  // nullopt: not known (yet)
    std::function<std::vector<std::shared_ptr<Ec2>>()> accounts;
    std::function<Status(const std::string& key, const std::string& content)> lay;  // into the store
    Provider::JobTeller tell;
  };
  struct Options {
    std::string cluster;
    Duration every = std::chrono::seconds{1};
    // How long a machine's storage may take, and a volume of a job that has ended be in use.
    Duration patience = std::chrono::minutes{8};
  };

  StorageKeeper(Options options, const Clock& clock, Ports ports);
  ~StorageKeeper();
  StorageKeeper(const StorageKeeper&) = delete;
  StorageKeeper& operator=(const StorageKeeper&) = delete;

  void provide(const StorageRequest& request);
  void release(JobId job);
  // Asks EC2.
  Answer<std::vector<JobId>> jobs(const std::stop_token& stop);

 private:
  struct Part {
    VolumeWish wish;
    std::string told;   // what was done, for the job's history
    std::string error;  // not empty: given up
    bool elsewhere = false;
    std::optional<Mount> ready;
    bool over() const { return ready || !error.empty(); }
  };
  struct SharedPart {
    SharedWish wish;
    std::string told, error;
    std::optional<Mount> ready;
    bool over() const { return ready || !error.empty(); }
  };
  struct Order {
    StorageRequest request;
    std::vector<Tag> tags;
    std::vector<Part> parts;
    std::vector<SharedPart> shared;
    Time since{};
    std::string waiting;        // for what, said last
    std::uint64_t minutes = 0;  // of waiting for snapshots, told to the agent
    std::optional<Time> snapshot_since;
  };
  struct Release {
    Time since{};
  };
  using Orders = std::map<MachineId, std::shared_ptr<Order>>;

  void begin();
  void run(const std::stop_token& stop);
  void round(const std::stop_token& stop);
  void advance(Order& order, const Place& place, const std::stop_token& stop);
  Answer<void> advance(Ebs& ebs, Order& order, Part& part, const std::vector<Volume>& volumes,
                       std::vector<std::string>& devices, const std::vector<Snapshot>& snapshots,
                       const std::stop_token& stop);
  void advanceShared(Order& order, const Place& place, const std::stop_token& stop);
  Answer<void> advance(Efs& efs, const Place& place, Order& order, SharedPart& part,
                       const std::vector<SharedFileSystem>& systems, const std::stop_token& stop);
  Answer<void> move(Ebs& ebs, Order& order, Part& part, const Volume& volume, const ReleaseStep& step,
                    const std::stop_token& stop);
  void tellWait(MachineId machine, Order& order);
  bool finish(MachineId machine, const Order& order);
  // True: nothing of the job is left to be done in this account.
  bool release(Ec2& ec2, JobId job, Release& release, const std::stop_token& stop);
  bool releaseVolumes(Ec2& ec2, JobId job, Release& release, const std::stop_token& stop);
  bool releaseShared(Ec2& ec2, JobId job, Release& release, const std::stop_token& stop);
  bool settle(Ebs& ebs, JobId job, const Volume& volume, Release& release,
              const std::vector<Snapshot>& snapshots, bool is_turn, const std::stop_token& stop);
  Answer<void> carryOut(Ebs& ebs, JobId job, const Volume& volume, const ReleaseStep& step,
                        const std::stop_token& stop);
  void tell(JobId job, std::string detail);

  const Options options_;
  const Clock& clock_;
  const Ports ports_;
  Synchronized<Orders> orders_;
  Synchronized<std::map<JobId, std::shared_ptr<Release>>> releases_;
  Synchronized<std::set<JobId>> known_;               // jobs that have, or may have, something
  std::set<std::pair<JobId, std::string>> given_up_;  // told once; the thread's own
  std::mutex mutex_;
  std::condition_variable_any woken_;
  bool wake_ = false;
  std::once_flag begun_;
  std::stop_source stop_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace buoy::cloud::aws
