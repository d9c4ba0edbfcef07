#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/agent_protocol.h"
#include "base/clock.h"
#include "cloud/provider.h"
#include "control/access.h"
#include "control/agent_hub.h"
#include "control/catalog.h"
#include "control/feed.h"
#include "control/hazard_book.h"
#include "control/serial_workers.h"
#include "control/writer.h"
#include "store/store.h"

namespace buoy::control {

using Providers = std::map<std::string, std::unique_ptr<cloud::Provider>>;

// A machine that a provider has; nobody's if the state does not know it.
struct Orphan {
  cloud::Provider* provider = nullptr;
  std::string provider_name;
  MachineId machine;
};

// What follows from a commit: launches and terminations go to the providers' workers, directives to the hub,
// news to those who follow. Called on the writer's thread (and by adopt() before it starts).
class Dispatcher final : public Writer::Effects {
 public:
  struct Context {
    store::Store& store;
    AgentHub& hub;
    Catalog& catalog;
    Feed& feed;
    Access& access;
    Providers& providers;
    SerialWorkers& workers;  // a machine's provider calls in order: its id is the key
    SerialWorkers& planner;  // plans of spot policies are solved there
    const engine::PlacementPolicy& policy;
    const Clock& clock;
    std::string cluster;
    api::AgentConfig agent;  // of every machine here, but for its id and token
    // Where agents on machines elsewhere reach this control plane: server and server_fingerprint; an empty
    // server: they cannot. Called when such a machine is launched.
    std::function<api::RemoteEndpoint()> remote;
    std::function<void(engine::Event)> emit;  // to the writer
  };
  explicit Dispatcher(Context context) : context_(std::move(context)) {}

  void carryOut(const engine::State& state, const store::Batch& batch,
                const std::vector<engine::Action>& actions) override;

  // Before the first batch: the hub and the catalog learn what the store kept.
  Status adopt(const engine::State& state);
  enum class Reach : std::uint8_t { here, everywhere };
  // Asks the providers of this host what they have: what the state does not know is ended. The calls watch
  // what is listed. Before the first batch, which waits for no cloud; true if there are no other providers
  // and all of them answered.
  bool reap(const engine::State& state);
  // The same in two halves, while the writer runs: listing (not on its thread), then what to end.
  std::vector<Orphan> listed(Reach reach, const std::stop_token& stop,
                             bool* all);  // `all`: whether every provider answered
  void endOrphans(const engine::State& state, const std::vector<Orphan>& listed);
  // The same for what jobs keep: for which jobs there is something, and the release of those that have ended.
  std::vector<JobId> storageJobs(const std::stop_token& stop);
  void releaseEnded(const engine::State& state, const std::vector<JobId>& jobs);

 private:
  void direct(const engine::State& state, MachineId machine);
  void tell(const engine::State& state, MachineId machine, const engine::Directive& directive);
  api::DirectiveMessage::Saving savingOf(const engine::State& state, MachineId machine, JobId job);
  void launch(const engine::State& state, MachineId machine);
  void provideStorage(const engine::State& state, MachineId machine, const api::DirectiveMessage& message);
  void releaseStorage(JobId job);
  void act(const engine::State& state, const engine::Action& action);
  void solve(const engine::SolvePlan& wanted);
  cloud::Provider* providerOf(const engine::State& state, MachineId machine);
  // Of a machine that the state has forgotten nobody knows whose it is: all of them are told.
  std::vector<cloud::Provider*> providersFor(const engine::State& state, MachineId machine);
  void refreshCatalog();
  void offer(const std::vector<engine::Pool>& pools);
  void notify(const engine::State& state, const store::Batch& batch);

  Context context_;
  HazardBook hazards_;
};

}  // namespace buoy::control
