#include "control/testing_cloud.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "api/views.h"
#include "os/files.h"

namespace buoy::control {
namespace {

constexpr std::chrono::seconds kLimit{60};  // that anything may take before the test is given up

}  // namespace

class FakeCloud::Provider final : public cloud::Provider {
 public:
  explicit Provider(FakeCloud& cloud) : cloud_(cloud) {}
  ~Provider() override {
    const std::lock_guard lock(cloud_.mutex_);
    cloud_.sink_ = nullptr;
  }

  void launch(const cloud::LaunchRequest& request) override {
    {
      const std::lock_guard lock(cloud_.mutex_);
      (void)os::createFileExclusive(cloud_.path(request.machine), request.agent_config);
      cloud_.asked_[request.machine].push_back(request.agent_config);
      cloud_.changed_.notify_all();
    }
    if (cloud_.answers_lost_) return;
    cloud_.emit(engine::LaunchSucceeded{request.machine, "fake-" + request.machine.toString(), "127.0.0.1"});
  }
  void terminate(MachineId machine) override { end(machine, engine::GoneReason::terminated); }
  void query(MachineId machine) override {
    if (cloud_.exists(machine)) return cloud_.emit(engine::MachineAlive{machine});
    cloud_.emit(engine::MachineGone{machine, engine::GoneReason::vanished, "it is not there"});
  }
  void reclaim(MachineId machine, Duration) override { end(machine, engine::GoneReason::reclaimed); }
  bool remote() const override { return cloud_.remote_; }
  Result<std::vector<cloud::ListedMachine>> list(const std::stop_token& stop) override {
    {
      std::unique_lock lock(cloud_.mutex_);
      cloud_.lists_released_.wait(lock, stop, [this] { return !cloud_.lists_held_; });
    }
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    if (cloud_.refusals_ > 0 && cloud_.refusals_-- > 0) return fail(ErrorCode::unavailable, "not now", true);
    std::vector<cloud::ListedMachine> listed;
    for (const MachineId machine : cloud_.alive())
      listed.push_back({machine, "fake-" + machine.toString(), true});
    return listed;
  }

 private:
  void end(MachineId machine, engine::GoneReason reason) {
    {
      const std::lock_guard lock(cloud_.mutex_);
      cloud_.retire(machine);
      cloud_.changed_.notify_all();
    }
    cloud_.emit(engine::MachineGone{machine, reason, ""});
  }
  FakeCloud& cloud_;
};

FakeCloud::FakeCloud(std::string directory) : directory_(std::move(directory)) {
  EXPECT_TRUE(os::makeDirectories(directory_));
}

ProviderFactory FakeCloud::factory() {
  return
      [this](
          const ProviderContext& context) -> Result<std::map<std::string, std::unique_ptr<cloud::Provider>>> {
        {
          const std::lock_guard lock(mutex_);
          sink_ = context.sink;
        }
        std::map<std::string, std::unique_ptr<cloud::Provider>> providers;
        providers.emplace("local", std::make_unique<Provider>(*this));
        return providers;
      };
}

void FakeCloud::emit(engine::Event event) {
  cloud::Provider::EventSink sink;
  {
    const std::lock_guard lock(mutex_);
    sink = sink_;
  }
  if (sink) sink(std::move(event));
}

bool FakeCloud::exists(MachineId machine) {
  return std::filesystem::exists(path(machine));
}

std::vector<MachineId> FakeCloud::alive() {
  std::vector<MachineId> machines;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (const auto id = MachineId::parse(entry.path().filename().string())) machines.push_back(*id);
  }
  return machines;
}

api::AgentConfig FakeCloud::waitForMachine(const std::set<MachineId>& known) {
  std::unique_lock lock(mutex_);
  MachineId fresh;
  const bool found = changed_.wait_for(lock, kLimit, [&] {
    for (const MachineId machine : alive()) {
      if (!known.contains(machine)) fresh = machine;
    }
    return static_cast<bool>(fresh);
  });
  EXPECT_TRUE(found) << "no machine was launched";
  if (!found) return {};
  return *api::parseAgentConfig(*os::readFile(path(fresh)));
}

api::AgentConfig FakeCloud::toldAtLaunch(MachineId machine, int launches) {
  std::unique_lock lock(mutex_);
  const auto enough = [&] { return asked_[machine].size() >= static_cast<std::size_t>(launches); };
  EXPECT_TRUE(changed_.wait_for(lock, kLimit, enough)) << machine.toString() << " was not launched again";
  return enough() ? *api::parseAgentConfig(asked_[machine].back()) : api::AgentConfig{};
}

void FakeCloud::waitForEnd(MachineId machine) {
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, kLimit, [&] { return !exists(machine); }))
      << machine.toString() << " goes on";
}

// A launch is one step, making a file, and so is an end, naming it otherwise: a process that is killed leaves
// no launch that is half counted.
int FakeCloud::launches(MachineId machine) {
  int ended = 0;
  while (std::filesystem::exists(endedPath(machine, ended))) ++ended;
  return ended + (exists(machine) ? 1 : 0);
}

void FakeCloud::retire(MachineId machine) {
  int ended = 0;
  while (std::filesystem::exists(endedPath(machine, ended))) ++ended;
  std::error_code not_there;
  std::filesystem::rename(path(machine), endedPath(machine, ended), not_there);
}

void FakeCloud::holdLists(bool held) {
  const std::lock_guard lock(mutex_);
  lists_held_ = held;
  lists_released_.notify_all();
}

void FakeCloud::addOrphan(MachineId machine) {
  EXPECT_TRUE(os::createFileExclusive(path(machine), "{}"));
}

void FakeCloud::vanish(MachineId machine) {
  retire(machine);
  emit(engine::MachineGone{machine, engine::GoneReason::vanished, "killed"});
}

FakeAgent::FakeAgent(api::AgentConfig config) : config_(std::move(config)) {
  net::ClientOptions options;
  options.bearer_token = config_.token;
  client_ = net::makeClient(*net::parseEndpoint(config_.server), options);
}

Result<net::Response> FakeAgent::call(std::string method, std::string target, std::string body) {
  net::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  return client_->send(request, kLimit);
}

Result<api::DirectiveMessage> FakeAgent::hello() {
  BUOY_TRY(const net::Response response,
           call("POST", "/v1/agent/hello", api::toJson(api::Hello{config_.machine, "test", "127.0.0.1"})));
  if (response.status != 200) return fail(api::errorFromAnswer(response.status, response.body));
  BUOY_TRY(const api::DirectiveMessage message, api::parseDirectiveMessage(response.body));
  seen_ = message.generation;
  if (message.directive.kind == engine::Directive::Kind::run) work_ = message.directive;
  return message;
}

Result<api::DirectiveMessage> FakeAgent::await(engine::Directive::Kind kind) {
  BUOY_TRY(api::DirectiveMessage message, hello());
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  while (message.directive.kind != kind) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(ErrorCode::deadline_exceeded, "no such directive");
    BUOY_TRY(const net::Response response,
             call("GET", "/v1/agent/directive?wait=10&seen=" + std::to_string(seen_), {}));
    if (response.status == 204) continue;
    if (response.status != 200) return fail(api::errorFromAnswer(response.status, response.body));
    BUOY_TRY(message, api::parseDirectiveMessage(response.body));
    EXPECT_GT(message.generation, seen_);
    seen_ = message.generation;
    if (message.directive.kind == engine::Directive::Kind::run) work_ = message.directive;
  }
  return message;
}

net::Response FakeAgent::report(const api::ReportMessage& message) {
  const auto response = call("POST", "/v1/agent/report", api::toJson(message));
  EXPECT_TRUE(response) << response.error().message;
  return response ? *response : net::Response{};
}

net::Response FakeAgent::log(const engine::Directive& work, std::uint64_t offset, std::string bytes) {
  const auto response =
      call("POST",
           "/v1/agent/logs?job=" + work.job.toString() + "&attempt=" + std::to_string(work.attempt) +
               "&rank=" + std::to_string(work.rank) + "&offset=" + std::to_string(offset),
           std::move(bytes));
  EXPECT_TRUE(response) << response.error().message;
  return response ? *response : net::Response{};
}

api::ReportMessage FakeAgent::aboutWork() const {
  api::ReportMessage message;
  message.machine = config_.machine;
  message.job = work_.job;
  message.epoch = work_.epoch;
  return message;
}

void FakeAgent::runToTheEnd(const std::vector<std::string>& lines, int code) {
  const auto directive = await(engine::Directive::Kind::run);
  if (!directive) return;  // the machine has done its work already
  std::string bytes;
  for (const std::string& line : lines) bytes += "1000000 o " + line + "\n";
  const net::Response first = log(work_, 0, bytes);
  EXPECT_TRUE(first.status == 200 || first.status == 409) << first.status << first.body;
  api::ReportMessage message = aboutWork();
  message.phases = {{engine::MemberPhase::preparing, Duration{3}},
                    {engine::MemberPhase::running, Duration{2}}};
  message.events = {"prepared"};
  message.events_from = 1;
  message.metrics = {{"loss", 0.5, Duration{1}, 1}};
  EXPECT_EQ(report(message).status, 200);
  message.phases.push_back({engine::MemberPhase::done, Duration{0}});
  message.result = engine::MemberResult{engine::MemberResult::Kind::exited, code, ""};
  EXPECT_EQ(report(message).status, 200);
}

}  // namespace buoy::control
