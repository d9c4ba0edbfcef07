#include <algorithm>

#include "base/parse_number.h"
#include "base/strings.h"
#include "gateways/batch/jobs.h"
#include "gateways/batch/node_view.h"
#include "store/codec.h"

// ListJobs: the jobs of a queue in one status, newest first, or those that filters name, whatever their
// status.
namespace buoy::gateways::batch {
namespace {

using engine::JobPhase;

constexpr std::size_t kMostListed = 1000;
constexpr std::size_t kRowsAtOnce = 101;
// Rows that one call looks through for its filters: the next page goes on where it stopped.
constexpr std::size_t kMostLookedAt = 20'000;

Result<std::vector<JobPhase>> phasesOf(const std::string& status) {
  if (status == "SUBMITTED") return std::vector<JobPhase>{};
  if (status == "PENDING") return std::vector{JobPhase::queued};
  if (status == "RUNNABLE") return std::vector{JobPhase::queued, JobPhase::recovering, JobPhase::paused};
  if (status == "STARTING") return std::vector{JobPhase::starting};
  if (status == "RUNNING") return std::vector{JobPhase::running, JobPhase::stopping};
  if (status == "SUCCEEDED") return std::vector{JobPhase::succeeded};
  if (status == "FAILED") return std::vector{JobPhase::failed, JobPhase::cancelled, JobPhase::timed_out};
  return fail(
      ErrorCode::invalid_argument,
      strCat({"jobStatus must be SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, SUCCEEDED or FAILED, not ",
              inQuotes(status)}));
}

struct Filter {
  enum class Kind { name, definition, before, after } kind = Kind::name;
  std::vector<std::string> values;
};

// Case does not matter; a '*' at the end stands for anything.
bool fits(std::string_view text, std::string_view pattern) {
  const std::string have = lowerCase(text), want = lowerCase(pattern);
  return want.ends_with('*') ? have.starts_with(std::string_view(want).substr(0, want.size() - 1))
                             : have == want;
}

Result<std::vector<Filter>> readFilters(front::Body& body) {
  std::vector<Filter> filters;
  BUOY_TRY_VOID(
      front::forEachMap(body.fields().list("filters"), "filters", [&](const api::Node& item) -> Status {
        auto fields = body.fields(&item, "filters");
        std::string name;
        Filter filter;
        fields.get("name", name);
        fields.get("values", filter.values);
        if (name == "JOB_NAME") {
          filter.kind = Filter::Kind::name;
        } else if (name == "JOB_DEFINITION") {
          filter.kind = Filter::Kind::definition;
        } else if (name == "BEFORE_CREATED_AT") {
          filter.kind = Filter::Kind::before;
        } else if (name == "AFTER_CREATED_AT") {
          filter.kind = Filter::Kind::after;
        } else {
          fields.wrong("name",
                       "must be JOB_NAME, JOB_DEFINITION, BEFORE_CREATED_AT or AFTER_CREATED_AT, not " +
                           inQuotes(name));
        }
        filters.push_back(std::move(filter));
        return body.check();
      }));
  return filters;
}

std::string definitionOf(const Desk& desk, JobId job) {
  const auto spec = desk.backend.store().jobSpec(job);
  const auto door = spec ? doorOf(*spec) : Result<front::Body>(tl::unexpect, spec.error());
  return door ? front::textOf(door->root(), "definition") : std::string();
}

bool passes(const Desk& desk, const engine::Job& job, const Filter& filter) {
  const auto any = [&](auto&& test) { return std::any_of(filter.values.begin(), filter.values.end(), test); };
  const std::int64_t created = epochMillis(job.submitted);
  switch (filter.kind) {
    case Filter::Kind::name:
      return any([&](const std::string& value) { return fits(job.request.name, value); });
    case Filter::Kind::definition: {
      const std::string definition = definitionOf(desk, job.id);
      return any([&](const std::string& value) {
        const std::string wanted = nameIn(value, Thing::job_definition);
        return fits(definition, wanted) || fits(definition.substr(0, definition.find(':')), wanted);
      });
    }
    case Filter::Kind::before:
      return any([&](const std::string& v) { return created < parseNumber<std::int64_t>(v).value_or(0); });
    case Filter::Kind::after:
      return any([&](const std::string& v) { return created > parseNumber<std::int64_t>(v).value_or(0); });
  }
  return false;
}

void write(api::JsonWriter& writer, const std::string& region, const engine::Job& job,
           const NodeView* node = nullptr) {
  std::string id = idOf(job);
  if (node) id += "#" + std::to_string(node->index);
  writer.beginObject().field("jobArn", arnOf(region, Thing::job, id)).field("jobId", id);
  writer.field("jobName", nameOf(job)).field("createdAt", epochMillis(job.submitted));
  writer.field("status", statusOf(job)).field("statusReason", statusReason(job));
  if (const Time at = startedAt(job); at != Time{}) writer.field("startedAt", epochMillis(at));
  if (const Time at = stoppedAt(job); at != Time{}) writer.field("stoppedAt", epochMillis(at));
  writer.key("container").beginObject();
  const bool told = !node || node->rank == 0;  // what decided it
  if (told && job.exit_code) writer.field("exitCode", *job.exit_code);
  if (told && engine::isTerminal(job.phase) && !job.exit_code) writer.field("reason", job.reason);
  writer.endObject();
  if (job.parent) writer.key("arrayProperties").beginObject().field("index", job.index).endObject();
  if (job.array) writer.key("arrayProperties").beginObject().field("size", job.request.array).endObject();
  if (job.request.machines > 1) {
    writer.key("nodeProperties").beginObject().field("numNodes", job.request.machines);
    if (node) writer.field("nodeIndex", node->index).field("isMainNode", node->rank == 0);
    writer.endObject();
  }
  writer.endObject();
}

// The tasks of an array, newest first: each is a job of its own from when it began.
Result<std::string> listTasks(const Desk& desk, const front::Call& call, const std::string& array,
                              const std::string& status, const Page& page) {
  BUOY_TRY(const JobReference reference, parseJobReference(array));
  BUOY_TRY(const store::JobRow row, desk.backend.store().job(reference.job));
  BUOY_TRY(const engine::Job parent, store::decodeJob(row.record));
  const auto size = static_cast<std::uint32_t>(parent.request.array);
  store::JobQuery query;
  query.before = JobId::parse(page.after).value_or(engine::taskOf(parent.id, size));
  query.limit = static_cast<int>(size) + 1;
  BUOY_TRY(const std::vector<store::JobRow> rows, desk.backend.store().jobs(query));
  std::string json, next;
  api::JsonWriter writer(json);
  writer.beginObject().key("jobSummaryList").beginArray();
  std::size_t written = 0;
  for (const store::JobRow& found : rows) {
    if (found.id <= parent.id) break;
    BUOY_TRY(const engine::Job job, store::decodeJob(found.record));
    if (job.parent != parent.id || (!status.empty() && statusOf(job) != status)) continue;
    if (written++ == page.most) {
      writer.endArray().field("nextToken", next).endObject();
      return json;
    }
    next = job.id.toString();
    write(writer, call.region, job);
  }
  writer.endArray().endObject();
  return json;
}

// The nodes of a job of several, by their numbers.
Result<std::string> listNodes(const Desk& desk, const front::Call& call, const std::string& id,
                              const std::string& status, const Page& page) {
  BUOY_TRY(const JobReference reference, parseJobReference(id));
  BUOY_TRY(const store::JobRow row, desk.backend.store().job(reference.job));
  BUOY_TRY(const engine::Job job, store::decodeJob(row.record));
  BUOY_TRY(const front::Body door, doorOf(row.spec));
  const api::Node* const kept = door.root().find("nodeProperties");
  const std::string properties = kept ? api::toJson(*kept) : "";
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("jobSummaryList").beginArray();
  std::uint32_t index = parseNumber<std::uint32_t>(page.after).value_or(0);
  std::optional<NodeView> node;
  const bool any = status.empty() || statusOf(job) == status;
  for (std::size_t written = 0; any && (node = nodeOf(job, properties, index)); ++index) {
    if (written++ == page.most) break;
    write(writer, call.region, job, &*node);
  }
  writer.endArray();
  if (any && node) writer.field("nextToken", std::to_string(index));
  writer.endObject();
  return json;
}

}  // namespace

Result<std::string> listJobs(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const Page page, readPage(body, kMostListed));
  auto fields = body.fields();
  std::string status = "RUNNING";
  store::JobQuery query;
  fields.get("jobStatus", status);
  fields.get("jobQueue", query.queue);
  BUOY_TRY_VOID(body.check());
  BUOY_TRY(const std::vector<Filter> filters, readFilters(body));
  std::string array, nodes;
  fields.get("arrayJobId", array);
  fields.get("multiNodeJobId", nodes);
  query.queue = nameIn(query.queue, Thing::job_queue);
  if (!array.empty())
    return listTasks(desk, call, array, fields.find("jobStatus") == nullptr ? "" : status, page);
  if (!nodes.empty())
    return listNodes(desk, call, nodes, fields.find("jobStatus") == nullptr ? "" : status, page);
  if (query.queue.empty()) return fail(ErrorCode::invalid_argument, "jobQueue is required");
  if (desk.backend.places()->queue(query.queue) == nullptr)
    return fail(ErrorCode::not_found, strCat({"JobQueue ", query.queue, " does not exist"}));
  BUOY_TRY(query.phases, phasesOf(status));
  if (!page.after.empty()) {
    const auto id = JobId::parse(page.after);
    if (!id) return fail(ErrorCode::invalid_argument, "nextToken is not one that was given out");
    query.before = *id;
  }
  // Tasks are listed with their array only; of what is queued some waits for other jobs.
  const auto shown = [&](const engine::Job& job) {
    if (filters.empty()) return statusOf(job) == status;
    return std::all_of(filters.begin(), filters.end(), [&](const Filter& f) { return passes(desk, job, f); });
  };
  const bool none = filters.empty() && query.phases.empty();
  if (!filters.empty()) query.phases.clear();  // any
  query.limit = static_cast<int>(std::max(page.most + 1, kRowsAtOnce));
  query.no_tasks = true;
  std::string json, next;
  api::JsonWriter writer(json);
  writer.beginObject().key("jobSummaryList").beginArray();
  std::size_t written = 0, looked_at = 0;
  bool more = !none;
  while (more && written < page.most && looked_at < kMostLookedAt) {
    BUOY_TRY(const std::vector<store::JobRow> rows, desk.backend.store().jobs(query));
    more = rows.size() == static_cast<std::size_t>(query.limit);
    for (const store::JobRow& row : rows) {
      if (written == page.most) {
        more = true;
        break;
      }
      BUOY_TRY(const engine::Job job, store::decodeJob(row.record));
      ++looked_at;
      query.before = job.id;
      next = job.id.toString();
      if (!shown(job)) continue;
      write(writer, call.region, job);
      ++written;
    }
  }
  writer.endArray();
  if (more) writer.field("nextToken", next);
  writer.endObject();
  return json;
}

}  // namespace buoy::gateways::batch
