// Why things are as they are: histories in which every placement decision is found again from what was known.
#include <algorithm>
#include <limits>
#include <set>

#include "api/views.h"
#include "control/answers.h"
#include "control/services.h"

namespace buoy::control {
namespace {

constexpr int kAllRecords = std::numeric_limits<int>::max();

bool same(const engine::Record::Candidate& a, const engine::Record::Candidate& b) {
  return a.pool == b.pool && a.type == b.type && a.market == b.market && a.price == b.price &&
         a.score == b.score && a.rejected == b.rejected;
}

api::RecordView viewOf(store::RecordRow row, const engine::PlacementPolicy& policy) {
  api::RecordView view{row.seq, std::move(row.record), std::nullopt};
  const engine::Record& record = view.record;
  if (!record.decision) return view;
  if (record.decision->steered) {
    view.rederived = engine::rederives(*record.decision->steered, policy);
    return view;
  }
  const engine::Placement again = engine::rederive(*record.decision, record.at, policy);
  view.rederived = std::equal(again.candidates.begin(), again.candidates.end(), record.candidates.begin(),
                              record.candidates.end(), same);
  return view;
}

bool took(const engine::Record& record, MachineId machine) {
  if (!record.decision) return false;
  const auto& machines = record.decision->machines;
  return std::find(machines.begin(), machines.end(), machine) != machines.end();
}

// What happened to the machine, and the decisions of its jobs that took it.
Result<std::vector<store::RecordRow>> rowsOf(store::Store& store, MachineId machine) {
  BUOY_TRY_VOID(store.machine(machine).map([](const store::MachineRow&) {}));
  BUOY_TRY(std::vector<store::RecordRow> rows, store.records({}, machine, 0, kAllRecords));
  std::set<JobId> jobs;
  std::set<std::int64_t> known;
  for (const store::RecordRow& row : rows) {
    if (row.record.job) jobs.insert(row.record.job);
    known.insert(row.seq);
  }
  for (const JobId job : jobs) {
    BUOY_TRY(std::vector<store::RecordRow> of_job, store.records(job, {}, 0, kAllRecords));
    for (store::RecordRow& row : of_job) {
      if (took(row.record, machine) && known.insert(row.seq).second) rows.push_back(std::move(row));
    }
  }
  std::sort(rows.begin(), rows.end(),
            [](const store::RecordRow& a, const store::RecordRow& b) { return a.seq < b.seq; });
  return rows;
}

void answer(Services& services, net::Responder& responder, Result<std::vector<store::RecordRow>> rows) {
  if (!rows) return sendError(responder, rows.error());
  std::string lines;
  for (store::RecordRow& row : *rows) lines += api::toJson(viewOf(std::move(row), services.policy)) + "\n";
  responder.send({.status = 200, .content_type = "application/x-ndjson", .body = std::move(lines)});
}

// Histories are long: not on the threads that answer everybody.
template <class Rows>
void answerLater(Services& services, const std::shared_ptr<net::Responder>& responder, std::uint64_t key,
                 Rows rows) {
  const bool taken =
      services.io.post(key, [&services, responder, rows] { answer(services, *responder, rows()); });
  if (!taken)
    sendError(*responder, {ErrorCode::unavailable, "too many histories are being read; try again", true});
}

}  // namespace

void addWhyRoutes(Router& router, Services& services) {
  router.add("GET", "/v1/jobs/{}/why", [&services](Call call) {
    const auto row = findJob(services.store, call.captured[0]);
    if (!row) return sendError(*call.responder, row.error());
    answerLater(services, call.responder, row->id.value,
                [&services, id = row->id] { return services.store.records(id, {}, 0, kAllRecords); });
  });
  router.add("GET", "/v1/machines/{}/why", [&services](Call call) {
    const auto id = MachineId::parse(call.captured[0]);
    if (!id)
      return sendError(*call.responder,
                       {ErrorCode::not_found, "there is no machine '" + call.captured[0] + "'", false});
    answerLater(services, call.responder, id->value,
                [&services, id = *id] { return rowsOf(services.store, id); });
  });
}

}  // namespace buoy::control
