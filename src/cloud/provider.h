#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cloud/storage.h"
#include "engine/events.h"

namespace buoy::cloud {

struct LaunchRequest {
  MachineId machine;
  std::string pool;
  std::string provider_config;  // the pool's own section, JSON
  engine::MachineType type;
  engine::Market market = engine::Market::spot;
  // Types of the pool that would do as well: none is smaller in anything.
  std::vector<engine::MachineType> alternatives = {};
  std::string group = {};    // machines of one gang have the same; empty: it is alone
  std::string agent_config;  // JSON (api/agent_config.h): control plane's address, machine token, store;
                             // given to the agent
  // The job that it is launched for and what that keeps, which may say where the machine must be.
  JobId job = {};
  Storage storage = {};
};

// What an attempt of a job needs on one of its machines.
struct StorageRequest {
  MachineId machine;
  std::string provider_config;  // of the machine's pool
  JobId job;
  Epoch epoch = 0;
  std::string job_prefix;  // of the job's objects in the store
  Storage storage;         // this machine's own: storageOf()
};

struct ListedMachine {
  MachineId machine;
  std::string provider_ref;
  bool alive = true;
};

// A source of machines. Threads: calls come from worker threads, several at once for different machines;
// events are delivered from the provider's own threads to the sink, which never blocks for long. Every call
// is idempotent by machine id: launching a machine that exists returns the one that exists.
class Provider {
 public:
  using EventSink =
      std::function<void(engine::Event)>;  // LaunchSucceeded/Failed, MachineGone, MachineAlive, PriceChanged
  // What a provider did for a job beside its machines: one sentence for the job's history. Never blocks for
  // long.
  using JobTeller = std::function<void(JobId job, std::string detail)>;
  virtual ~Provider() = default;

  // Whether machines are elsewhere: their agents need an address of the control plane that they can reach.
  virtual bool remote() const { return false; }
  virtual void launch(const LaunchRequest& request) = 0;  // answers by LaunchSucceeded or LaunchFailed
  virtual void terminate(MachineId machine) = 0;  // answers by MachineGone (also when it never existed)
  virtual void query(MachineId machine) = 0;      // answers by MachineAlive or MachineGone
  virtual void reclaim(MachineId machine, Duration notice) = 0;  // as the market would do it
  // All machines that carry this cluster's mark, for reaping orphans and for reattaching after a restart.
  // Machines in the list are watched from then on: their end comes as MachineGone. May ask a cloud, for as
  // long as that takes; `stop` ends it.
  virtual Result<std::vector<ListedMachine>> list(const std::stop_token& stop) = 0;

  // All pools that there are, as the state has them: at the start and whenever one has changed. Of those that
  // are its own the prices of the types are told from then on, where they are known better (PriceChanged).
  // Returns at once.
  virtual void offers(const std::vector<engine::Pool>&) {}

  // Why its machines can run no containers, in a sentence; empty: they can, or only they know. Quick.
  virtual std::string containerProblem() { return {}; }

  // ---- volumes and shared file systems. Both orders may be given again and again.
  virtual bool hasStorage() const { return false; }
  // Makes or finds what the attempt needs and connects it to its machine, which is up; then lays the answer
  // for the agent into the store (mountKey). Returns at once.
  virtual void provideStorage(const StorageRequest&) {}
  // The job has ended: what becomes of everything that was made or taken for it. Told in its history (a
  // JobTeller). Returns at once.
  virtual void releaseStorage(JobId) {}
  // The jobs that something is kept for whose release has not come to its end: after a restart their
  // releases are ordered again.
  virtual Result<std::vector<JobId>> storageJobs(const std::stop_token&) { return std::vector<JobId>{}; }
};

}  // namespace buoy::cloud
