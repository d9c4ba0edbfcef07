#include "cli/rehearse/stage.h"

#include <algorithm>

#include "api/config.h"
#include "api/json_writer.h"
#include "api/views.h"
#include "base/pause.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/server_process.h"

namespace buoy::cli {
namespace {

constexpr Duration kEndPatience = std::chrono::seconds{20};
constexpr Duration kStageLook = std::chrono::milliseconds{20};
// Of a job that names no memory: more than any host has, so that nothing is limited.
constexpr ByteCount kNoLimit{std::uint64_t{1} << 44};

std::string configuration(const api::JobSpec& spec) {
  engine::MachineType type;
  type.name = "rehearsal";
  type.resources = spec.resources;
  if (type.resources.memory == ByteCount{}) type.resources.memory = kNoLimit;
  engine::Pool pool;
  pool.name = pool.provider = "local";
  pool.types = {type};
  pool.max_machines = spec.machines * 2 + 1;
  std::string text;
  api::JsonWriter writer(text);  // JSON is YAML
  writer.beginObject().key("pools").beginArray().raw(api::toJson(pool)).endArray();
  writer.key("queues").beginArray().beginObject().field("name", "default");
  writer.key("pools").beginArray().value("local").endArray().endObject().endArray().endObject();
  return text + "\n";
}

template <class Condition>
void waitFor(Condition condition) {
  for (const Time until = wallClock() + kEndPatience; !condition() && wallClock() < until;)
    (void)pauseFor(kStageLook, {});
}

}  // namespace

RehearsalStage::RehearsalStage(os::TempDir directory) : directory_(std::move(directory)) {}

Result<std::unique_ptr<RehearsalStage>> RehearsalStage::open(const api::JobSpec& spec) {
  BUOY_TRY(os::TempDir directory, os::TempDir::create("buoy-rehearsal-"));
  std::unique_ptr<RehearsalStage> stage(new RehearsalStage(std::move(directory)));
  ServerAddress& address = stage->address_;
  address.state_dir = stage->directory() + "/state";
  address.endpoint = {net::Endpoint::Kind::unix_socket, address.socket(), "", 0};
  address.own = true;
  const std::string file = stage->directory() + "/config.yaml";
  BUOY_TRY_VOID(os::writeFileAtomic(file, configuration(spec)));
  BUOY_TRY_VOID(startServer(address, {"--config=" + file}));
  stage->connection_ = std::make_unique<Connection>(address, Connection::Start::never);
  return stage;
}

RehearsalStage::~RehearsalStage() {
  if (connection_) endEverything();
}

std::string RehearsalStage::workOf(MachineId machine) const {
  return strCat({address_.state_dir, "/machines/", machine.toString(), "/work"});
}

bool RehearsalStage::machinesGone() {
  const auto body = connection_->get("/v1/machines");
  const auto machines =
      body ? api::parseMachines(*body) : Result<std::vector<api::MachineView>>(tl::unexpect, body.error());
  return !machines || machines->empty();
}

void RehearsalStage::waitForMachines() {
  waitFor([this] { return machinesGone(); });
}

void RehearsalStage::endEverything() {
  endJobs();
  (void)connection_->post("/v1/server/stop", "{}");
  waitFor([this] { return !serverAnswers(address_); });
}

// A job that is cancelled gets no machine any more; those that it has need not wait for it to save.
void RehearsalStage::endJobs() {
  if (const auto body = connection_->get("/v1/jobs?finished=0")) {
    if (const auto list = api::parseJobList(*body)) {
      for (const api::JobView& job : list->jobs)
        (void)connection_->post("/v1/jobs/" + job.id.toString() + "/cancel", "{}");
    }
  }
  if (const auto body = connection_->get("/v1/machines")) {
    if (const auto machines = api::parseMachines(*body)) {
      for (const api::MachineView& machine : *machines)
        (void)connection_->post("/v1/machines/" + machine.id.toString() + "/reclaim", "{}");
    }
  }
  waitForMachines();
}

}  // namespace buoy::cli
