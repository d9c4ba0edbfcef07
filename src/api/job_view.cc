// The views of jobs: what listings are made of, so written without detours.
#include "api/message_codec.h"
#include "api/view_codec.h"
#include "api/views.h"

namespace buoy::api {
namespace {

constexpr std::array<engine::Use, engine::kUseCount> kUses{engine::Use::useful,   engine::Use::redone,
                                                           engine::Use::saving,   engine::Use::restoring,
                                                           engine::Use::starting, engine::Use::waiting};

std::size_t indexOf(engine::Use use) {
  return static_cast<std::size_t>(use);
}

template <class T>
void writeByUse(JsonWriter& writer, std::string_view key, const std::array<T, engine::kUseCount>& values) {
  writer.key(key).beginObject();
  for (const engine::Use use : kUses) writer.field(toString(use), values[indexOf(use)]);
  writer.endObject();
}

void writeLedger(JsonWriter& writer, const LedgerView& ledger) {
  writer.beginObject();
  writeByUse(writer, "time", ledger.time);
  writeByUse(writer, "cost", ledger.cost);
  writer.field("queued", ledger.queued)
      .field("total_seconds", ledger.totalTime())
      .field("total_cost", ledger.totalCost());
  writer.field("on_demand_cost", ledger.on_demand_cost).field("savings_percent", ledger.savingsPercent());
  writer.field("reclaims_noticed", ledger.reclaims_noticed)
      .field("reclaims_unnoticed", ledger.reclaims_unnoticed);
  writer.endObject();
}

LedgerView readLedger(MapReader& reader) {
  LedgerView ledger;
  readChild(reader, "time", [&](MapReader& child) {
    for (const engine::Use use : kUses) child.seconds(toString(use), ledger.time[indexOf(use)]);
  });
  readChild(reader, "cost", [&](MapReader& child) {
    for (const engine::Use use : kUses) child.get(toString(use), ledger.cost[indexOf(use)]);
  });
  reader.seconds("queued", ledger.queued);
  reader.get("on_demand_cost", ledger.on_demand_cost);
  reader.get("reclaims_noticed", ledger.reclaims_noticed);
  reader.get("reclaims_unnoticed", ledger.reclaims_unnoticed);
  return ledger;
}

void writeRequest(JsonWriter& writer, const engine::JobRequest& request) {
  writer.key("request").beginObject().field("machines", request.machines);
  writer.key("resources").beginObject();
  writeResourceFields(writer, request.resources);
  writer.endObject();
  writeTexts(writer, "pools", request.pools);
  writer.field("spot", toString(request.spot)).field("priority", request.priority);
  if (!request.share.empty()) writer.field("share", request.share);
  writer.field("retry_failures", request.retry_failures).field("max_run", request.max_run);
  writer.field("max_wait", request.max_wait).field("stop_grace", request.stop_grace);
  if (request.policy != engine::SpotRule::none) {
    writer.field("policy", toString(request.policy)).field("work", request.work);
    if (request.deadline_at != Time{}) {
      writer.field("deadline_at", request.deadline_at);
    } else {
      writer.field("deadline_in", request.deadline_in);
    }
  }
  if (request.budget != Money{}) writer.field("budget", request.budget);
  writer.endObject();
}

void readRequest(MapReader& reader, engine::JobRequest& request) {
  reader.get("machines", request.machines);
  readChild(reader, "resources", [&](MapReader& child) { readResourceFields(child, request.resources); });
  reader.get("pools", request.pools);
  readSpot(reader, request.spot);
  reader.get("share", request.share);
  reader.get("priority", request.priority);
  reader.get("retry_failures", request.retry_failures);
  reader.seconds("max_run", request.max_run);
  reader.seconds("max_wait", request.max_wait);
  reader.seconds("stop_grace", request.stop_grace);
  reader.word("policy", request.policy);
  reader.seconds("work", request.work);
  reader.get("deadline_at", request.deadline_at);
  reader.seconds("deadline_in", request.deadline_in);
  reader.get("budget", request.budget);
}

void writeMembers(JsonWriter& writer, const JobView& job) {
  writer.key("machines").beginArray();
  for (const MachineId machine : job.machines) writer.value(machine);
  writer.endArray();
  if (job.members.empty()) return;
  writer.key("members").beginArray();
  for (const MemberView& member : job.members) {
    writer.beginObject().field("machine", member.machine).field("rank", member.rank);
    writer.field("phase", toString(member.phase)).field("since", member.since).endObject();
  }
  writer.endArray();
}

void readMembers(MapReader& reader, JobView& job) {
  if (const Node* machines = reader.list("machines")) {
    for (const Node& item : machines->items) {
      if (const auto id = MachineId::parse(item.text)) {
        job.machines.push_back(*id);
      } else {
        reader.wrong("machines", "must be ids like m7, not " + describe(item));
      }
    }
  }
  readList(reader, "members", [&](MapReader& item) {
    MemberView& member = job.members.emplace_back();
    item.get("machine", member.machine);
    item.get("rank", member.rank);
    item.word("phase", member.phase);
    item.get("since", member.since);
  });
}

// What only the answer about one job has.
void writeDetails(JsonWriter& writer, const JobView& job) {
  if (!job.spec.empty()) writer.key("spec").raw(job.spec);
  if (!job.spans.empty()) {
    writer.key("spans").beginArray();
    for (const SpanView& span : job.spans) writeSpan(writer, span);
    writer.endArray();
  }
  if (job.metrics.empty()) return;
  writer.key("metrics").beginArray();
  for (const MetricSummaryView& metric : job.metrics) {
    writer.beginObject()
        .field("name", metric.name)
        .field("points", metric.points)
        .field("first", metric.first);
    writer.field("last", metric.last).field("min", metric.min).field("max", metric.max).endObject();
  }
  writer.endArray();
}

void readDetails(MapReader& reader, JobView& job) {
  if (const Node* spec = reader.map("spec")) job.spec = toJson(*spec);
  readList(reader, "spans", [&](MapReader& item) { job.spans.push_back(readSpan(item)); });
  readList(reader, "metrics", [&](MapReader& item) {
    MetricSummaryView& metric = job.metrics.emplace_back();
    item.get("name", metric.name);
    item.get("points", metric.points);
    item.get("first", metric.first);
    item.get("last", metric.last);
    item.get("min", metric.min);
    item.get("max", metric.max);
  });
}

void writeJob(JsonWriter& writer, const JobView& job) {
  writer.beginObject().field("id", job.id).field("name", job.request.name).field("queue", job.request.queue);
  writer.field("phase", toString(job.phase)).field("reason", job.reason).key("exit_code");
  job.exit_code ? writer.value(*job.exit_code) : writer.null();
  writer.field("submitted", job.submitted).field("phase_since", job.phase_since).field("ran", job.ran);
  writer.field("attempts", job.attempts).field("failures", job.failures);
  writeMembers(writer, job);
  writeRequest(writer, job.request);
  writer.key("ledger");
  if (job.ledger) {
    writeLedger(writer, *job.ledger);
  } else {
    writer.null();
  }
  writer.field("last_version", job.last_version);
  if (job.last_version != 0) {
    writer.key("last_save");
    writeSave(writer, job.last_save);
  }
  if (job.save_pending) writer.field("save_pending", true);
  writeDetails(writer, job);
  writer.endObject();
}

JobView readJobView(MapReader& reader) {
  JobView job;
  reader.get("id", job.id);
  reader.get("name", job.request.name);
  reader.get("queue", job.request.queue);
  reader.word("phase", job.phase);
  reader.get("reason", job.reason);
  reader.get("exit_code", job.exit_code);
  reader.get("submitted", job.submitted);
  reader.get("phase_since", job.phase_since);
  reader.seconds("ran", job.ran);
  reader.get("attempts", job.attempts);
  reader.get("failures", job.failures);
  readMembers(reader, job);
  readChild(reader, "request", [&](MapReader& child) { readRequest(child, job.request); });
  readChild(reader, "ledger", [&](MapReader& child) { job.ledger = readLedger(child); });
  reader.get("last_version", job.last_version);
  readChild(reader, "last_save", [&](MapReader& child) { job.last_save = readSave(child); });
  reader.get("save_pending", job.save_pending);
  readDetails(reader, job);
  reader.require("id");
  reader.require("phase");
  return job;
}

}  // namespace

Duration LedgerView::totalTime() const {
  Duration total{};
  for (const Duration part : time) total += part;
  return total;
}

Money LedgerView::totalCost() const {
  Money total;
  for (const Money part : cost) total += part;
  return total;
}

double LedgerView::savingsPercent() const {
  if (on_demand_cost.nano_usd <= 0) return 0;
  const double paid =
      static_cast<double>(totalCost().nano_usd) / static_cast<double>(on_demand_cost.nano_usd);
  return 100.0 * (1.0 - paid);
}

std::string toJson(const LedgerView& ledger) {
  std::string out;
  JsonWriter writer(out);
  writeLedger(writer, ledger);
  return out;
}

Result<LedgerView> parseLedger(std::string_view json) {
  return parseObject(json, readLedger);
}

void appendJson(std::string& out, const JobView& job) {
  JsonWriter writer(out);
  writeJob(writer, job);
}

std::string toJson(const JobView& job) {
  std::string out;
  appendJson(out, job);
  return out;
}

Result<JobView> parseJob(std::string_view json) {
  return parseObject(json, readJobView);
}

std::string toJson(const JobListView& list) {
  constexpr std::size_t kUsualRow = 640;
  std::string out;
  out.reserve(list.jobs.size() * kUsualRow + 64);
  JsonWriter writer(out);
  writer.beginObject().key("jobs").beginArray();
  for (const JobView& job : list.jobs) writeJob(writer, job);
  writer.endArray().key("counts").beginObject();
  writer.field("unfinished", list.unfinished).field("finished", list.finished).endObject().endObject();
  return out;
}

Result<JobListView> parseJobList(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    JobListView list;
    readList(reader, "jobs", [&](MapReader& item) { list.jobs.push_back(readJobView(item)); });
    readChild(reader, "counts", [&](MapReader& child) {
      child.get("unfinished", list.unfinished);
      child.get("finished", list.finished);
    });
    reader.require("jobs");
    return list;
  });
}

LedgerView viewOf(const engine::Ledger& ledger) {
  return LedgerView{.time = ledger.time,
                    .cost = ledger.cost,
                    .queued = ledger.queued,
                    .on_demand_cost = ledger.on_demand_cost,
                    .reclaims_noticed = ledger.reclaims_noticed,
                    .reclaims_unnoticed = ledger.reclaims_unnoticed};
}

JobView viewOf(const engine::Job& job) {
  JobView view;
  view.id = job.id;
  view.request = job.request;
  view.phase = job.phase;
  view.reason = job.reason;
  view.exit_code = job.exit_code;
  view.submitted = job.submitted;
  view.phase_since = job.phase_since;
  view.ran = job.ran;
  view.attempts = job.attempts;
  view.failures = job.failures;
  view.last_version = job.last_version;
  view.last_save = job.last_save;
  view.save_pending = job.save_asked != Time{} && !engine::isTerminal(job.phase);
  if (job.ledger) view.ledger = viewOf(*job.ledger);
  if (!job.current) return view;
  for (std::size_t rank = 0; rank < job.current->members.size(); ++rank) {
    const engine::Member& member = job.current->members[rank];
    if (!member.machine) continue;  // vacant
    view.machines.push_back(member.machine);
    view.members.push_back(
        MemberView{member.machine, static_cast<std::int32_t>(rank), member.phase, member.phase_since});
  }
  return view;
}

}  // namespace buoy::api
