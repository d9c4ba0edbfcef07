#include "api/views.h"
#include "control/answers.h"
#include "control/services.h"
#include "store/codec.h"

namespace buoy::control {
namespace {

Result<MachineId> machineOf(const Call& call) {
  const auto id = MachineId::parse(call.captured[0]);
  if (!id) return fail(ErrorCode::not_found, "there is no machine '" + call.captured[0] + "'");
  return *id;
}

Result<std::string> listMachines(store::Store& store, const net::Request& request) {
  BUOY_TRY(const auto all, flagParameter(request, "all"));
  BUOY_TRY(const std::int64_t limit, numberParameter(request, "limit", 1000, 1, 100'000));
  // Of those that are there none is left out: who compares this with a cloud's list would take it for
  // nobody's.
  BUOY_TRY(const std::vector<store::MachineRow> rows,
           store.machines(all.value_or(false) ? static_cast<int>(limit) : 0));
  std::vector<api::MachineView> machines;
  for (const store::MachineRow& row : rows) {
    BUOY_TRY(const engine::Machine machine, store::decodeMachine(row.record));
    machines.push_back(api::viewOf(machine));
  }
  return api::toJson(machines);
}

Result<std::string> showMachine(store::Store& store, MachineId id) {
  BUOY_TRY(const store::MachineRow row, store.machine(id));
  BUOY_TRY(const engine::Machine machine, store::decodeMachine(row.record));
  return api::toJson(api::viewOf(machine));
}

// Sends one event to the engine and answers with the machine that it was about, as it is then.
void offer(Services& services, const std::shared_ptr<net::Responder>& responder, engine::Event event,
           int status, MachineId machine) {
  Submission submission;
  submission.events.push_back(std::move(event));
  submission.done = [responder, status, machine, &store = services.store](const Result<engine::Reply>& reply,
                                                                          const engine::State&) {
    if (!reply) return sendError(*responder, reply.error());
    auto view = showMachine(store, machine ? machine : reply->machine);
    if (!view) return sendError(*responder, view.error());
    sendJson(*responder, status, std::move(*view));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*responder, taken.error());
}

void open(Services& services, Call call) {
  auto request = api::parseOpenMachineRequest(call.request.body);
  if (!request) return sendError(*call.responder, request.error());
  engine::OpenMachine event;
  event.pool = std::move(request->pool);
  event.market = request->market;
  event.resources = request->resources;
  event.holder = std::move(request->holder);
  offer(services, call.responder, std::move(event), 201, {});
}

void reclaim(Services& services, Call call) {
  const auto machine = machineOf(call);
  if (!machine) return sendError(*call.responder, machine.error());
  const auto request = api::parseReclaimRequest(call.request.body);
  if (!request) return sendError(*call.responder, request.error());
  offer(services, call.responder, engine::ReclaimMachine{*machine, request->notice.value_or(Duration{0})},
        202, *machine);
}

}  // namespace

void addMachineRoutes(Router& router, Services& services) {
  router.add("GET", "/v1/machines", [&](Call call) {
    const auto list = listMachines(services.store, call.request);
    if (!list) return sendError(*call.responder, list.error());
    sendJson(*call.responder, 200, *list);
  });
  router.add("GET", "/v1/machines/{}", [&](Call call) {
    const auto id = machineOf(call);
    const auto machine =
        id ? showMachine(services.store, *id) : Result<std::string>(tl::unexpect, id.error());
    if (!machine) return sendError(*call.responder, machine.error());
    sendJson(*call.responder, 200, *machine);
  });
  router.add("POST", "/v1/machines", [&](Call call) { open(services, std::move(call)); });
  router.add("DELETE", "/v1/machines/{}", [&](Call call) {
    const auto machine = machineOf(call);
    if (!machine) return sendError(*call.responder, machine.error());
    offer(services, call.responder, engine::CloseMachine{*machine}, 200, *machine);
  });
  router.add("POST", "/v1/machines/{}/reclaim", [&](Call call) { reclaim(services, std::move(call)); });
}

}  // namespace buoy::control
