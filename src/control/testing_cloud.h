#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "api/agent_protocol.h"
#include "cloud/provider.h"
#include "control/control_plane.h"
#include "net/http.h"

// A cloud and its agents for the control plane's tests.
namespace buoy::control {

// Machines as files in a directory, so that they outlive a control plane that is killed. Threads: any.
class FakeCloud {
 public:
  explicit FakeCloud(std::string directory);

  ProviderFactory factory();
  // Waits until a machine that is not in `known` was launched and returns its agent's configuration.
  api::AgentConfig waitForMachine(const std::set<MachineId>& known = {});
  void waitForEnd(MachineId machine);
  std::vector<MachineId> alive();
  int launches(MachineId machine);  // calls of launch() that made it: never more than one
  void addOrphan(MachineId machine);
  void refuseToList(int times) { refusals_ = times; }
  void holdLists(bool held);                             // lists do not answer meanwhile
  void beRemote() { remote_ = true; }                    // before the control plane starts
  void loseAnswers(bool lost) { answers_lost_ = lost; }  // launches happen, and nobody hears
  // What the last launch of the machine was asked with; waits for `launches` of them.
  api::AgentConfig toldAtLaunch(MachineId machine, int launches);
  void vanish(MachineId machine);  // as by SIGKILL: the provider hears of it

 private:
  class Provider;
  std::string path(MachineId machine) const { return directory_ + "/" + machine.toString(); }
  std::string endedPath(MachineId machine, int earlier_ends) const {
    return path(machine) + ".ended." + std::to_string(earlier_ends);
  }
  bool exists(MachineId machine);
  void retire(MachineId machine);  // it exists no more
  void emit(engine::Event event);

  std::string directory_;
  std::atomic<int> refusals_{0};
  bool lists_held_ = false;
  std::condition_variable_any lists_released_;
  bool remote_ = false;
  std::atomic<bool> answers_lost_ = false;
  std::map<MachineId, std::vector<std::string>> asked_;  // agents' configurations
  std::mutex mutex_;
  std::condition_variable changed_;
  cloud::Provider::EventSink sink_;
};

// Speaks the agent's protocol for one machine, one call after another.
class FakeAgent {
 public:
  explicit FakeAgent(api::AgentConfig config);

  Result<api::DirectiveMessage> hello();
  // Long-polls until the directive is of this kind.
  Result<api::DirectiveMessage> await(engine::Directive::Kind kind);
  net::Response report(const api::ReportMessage& message);
  net::Response log(const engine::Directive& work, std::uint64_t offset, std::string bytes);
  api::ReportMessage aboutWork() const;  // an empty report of the last run directive
  // What a machine does with a job that prints `lines` and exits with `code`; ends with the machine's
  // shutdown.
  void runToTheEnd(const std::vector<std::string>& lines, int code);

  const api::AgentConfig& config() const { return config_; }

 private:
  Result<net::Response> call(std::string method, std::string target, std::string body);

  api::AgentConfig config_;
  std::unique_ptr<net::Client> client_;
  std::uint64_t seen_ = 0;
  engine::Directive work_;
};

}  // namespace buoy::control
