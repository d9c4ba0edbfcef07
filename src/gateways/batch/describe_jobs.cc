#include <map>
#include <optional>

#include "base/strings.h"
#include "gateways/batch/jobs.h"
#include "gateways/batch/node_view.h"
#include "gateways/front/members.h"
#include "store/codec.h"

// DescribeJobs: the engine's account of a job beside what submitJob kept of it.
namespace buoy::gateways::batch {
namespace {

constexpr std::size_t kMostIds = 100;

struct Shown {
  const Desk& desk;
  const std::string& region;
  engine::Job job;
  std::vector<front::Member> door;
  std::string definition;        // "train:3"
  std::optional<NodeView> node;  // it alone, of a job of several

  std::uint32_t rank() const { return node ? node->rank : 0; }
};

std::string taskArn(const Shown& shown, std::uint32_t attempt) {
  std::string arn = strCat({"arn:aws:ecs:", shown.region, ":", kAccount, ":task/", shown.job.request.queue,
                            "/", shown.job.id.toString(), ".", std::to_string(attempt)});
  if (shown.rank() > 0) arn += "." + std::to_string(shown.rank());
  return arn;
}

std::string instanceArn(const Shown& shown, MachineId machine) {
  return strCat({"arn:aws:ecs:", shown.region, ":", kAccount, ":container-instance/", shown.job.request.queue,
                 "/", machine.toString()});
}

// Of a container that has ended: in AWS's words where the kernel ended it for want of memory.
std::string containerReason(const std::string& reason, bool has_exit_code) {
  if (reason.find(": out of memory: ") != std::string::npos)
    return "OutOfMemoryError: Container killed due to memory usage";
  return has_exit_code ? "" : reason;
}

void writeReason(api::JsonWriter& writer, const std::string& reason) {
  if (!reason.empty()) writer.field("reason", reason);
}

void writeAttempts(api::JsonWriter& writer, const Shown& shown) {
  writer.key("attempts").beginArray();
  for (const engine::PastAttempt& past : shown.job.past) {
    writer.beginObject().key("container").beginObject();
    // What is kept of an attempt is what decided it.
    const bool told = shown.rank() == 0;
    if (told && past.exit_code) writer.field("exitCode", *past.exit_code);
    if (told) writeReason(writer, containerReason(past.reason, past.exit_code.has_value()));
    writer.field("taskArn", taskArn(shown, past.number));
    if (told) writer.field("containerInstanceArn", instanceArn(shown, past.machine));
    writer.field("logStreamName", logStreamName(shown.definition, shown.job.id, past.number, shown.rank()));
    writer.key("networkInterfaces").beginArray().endArray().endObject();
    if (past.started != Time{}) writer.field("startedAt", epochMillis(past.started));
    writer.field("stoppedAt", epochMillis(past.stopped));
    const std::string lost = strCat({"Host EC2 (instance ", past.machine.toString(), ") terminated."});
    writer.field("statusReason", past.interrupted ? lost
                                 : past.exit_code ? "Essential container in task exited"
                                                  : past.reason);
    writer.endObject();
  }
  writer.endArray();
}

void writeContainer(api::JsonWriter& writer, const Shown& shown) {
  const auto container =
      front::membersOf(shown.node ? shown.node->container : front::valueOf(shown.door, "container"));
  const engine::Job& job = shown.job;
  const std::uint32_t rank = shown.rank();
  writer.key("container").beginObject();
  if (container) {
    for (const front::Member& item : *container) writer.key(item.key).raw(item.value);
  }
  if (rank == 0 && job.exit_code) writer.field("exitCode", *job.exit_code);
  if (rank == 0 && engine::isTerminal(job.phase))
    writeReason(writer, containerReason(job.reason, job.exit_code.has_value()));
  const bool running = job.current && job.current->directed;
  if (running || !job.past.empty()) {
    const std::uint32_t attempt = running ? job.current->number : job.past.back().number;
    const MachineId machine = running     ? job.current->members[rank].machine
                              : rank == 0 ? job.past.back().machine
                                          : MachineId{};
    writer.field("taskArn", taskArn(shown, attempt));
    if (machine) writer.field("containerInstanceArn", instanceArn(shown, machine));
    writer.field("logStreamName", logStreamName(shown.definition, job.id, attempt, rank));
  }
  writer.endObject();
}

// How many tasks are in which status; those that have not begun wait for a machine, or ended with the array.
void writeArray(api::JsonWriter& writer, const engine::Job& job) {
  if (job.parent) writer.key("arrayProperties").beginObject().field("index", job.index).endObject();
  if (!job.array) return;
  const engine::ArrayState& array = *job.array;
  const bool over = engine::isTerminal(job.phase);
  const auto size = static_cast<std::uint32_t>(array.tasks.size());
  const std::uint32_t waiting = size - array.begun, live = array.begun - array.succeeded - array.failed;
  writer.key("arrayProperties").beginObject().field("size", size).key("statusSummary").beginObject();
  const std::uint32_t pending = !over && !job.waits_for.empty() ? waiting : 0;
  writer.field("SUBMITTED", 0).field("PENDING", pending).field("RUNNABLE", over ? 0 : waiting - pending);
  writer.field("STARTING", 0).field("RUNNING", live).field("SUCCEEDED", array.succeeded);
  writer.field("FAILED", array.failed + (over ? waiting : 0)).endObject().endObject();
}

void write(api::JsonWriter& writer, const Shown& shown) {
  const engine::Job& job = shown.job;
  std::string id = idOf(job);
  if (shown.node) id += "#" + std::to_string(shown.node->index);
  writer.beginObject().field("jobName", nameOf(job)).field("jobId", id);
  writer.field("jobArn", arnOf(shown.region, Thing::job, id));
  writer.field("jobQueue", arnOf(shown.region, Thing::job_queue, job.request.queue));
  writer.field("status", statusOf(job)).field("statusReason", statusReason(job));
  writer.field("createdAt", epochMillis(job.submitted));
  writer.field("startedAt", epochMillis(startedAt(job)));
  if (const Time stopped = stoppedAt(job); stopped != Time{}) writer.field("stoppedAt", epochMillis(stopped));
  writer.field("jobDefinition", arnOf(shown.region, Thing::job_definition, shown.definition));
  writeAttempts(writer, shown);
  bool depends = false;
  const auto tags = shown.desk.library.find(kTags, "job/" + idOf(job));
  for (const front::Member& item : shown.door) {
    if (item.key == "kind" || item.key == "definition" || item.key == "container") continue;
    if ((item.key == "tags" && tags) || item.key == "arrayProperties") continue;
    if (shown.node && item.key == "nodeProperties") continue;
    depends = depends || item.key == "dependsOn";
    writer.key(item.key).raw(item.value);
  }
  if (tags) writer.key("tags").raw(api::toJson(*tags));
  writeArray(writer, job);
  if (!depends) writer.key("dependsOn").beginArray().endArray();
  if (shown.node)
    writer.key("nodeDetails")
        .beginObject()
        .field("nodeIndex", shown.node->index)
        .field("isMainNode", shown.node->rank == 0)
        .endObject();
  if (job.request.machines == 1 || shown.node) writeContainer(writer, shown);
  writer.field("isCancelled", job.stop == engine::StopReason::cancelled);
  writer.field("isTerminated", job.stop == engine::StopReason::cancelled);
  writer.key("platformCapabilities").beginArray().value("EC2").endArray();
  writer.endObject();
}

engine::Job notBegun(const engine::Job& array, std::uint32_t index) {
  engine::Job task = engine::clone(array);
  task.array.reset();
  task.parent = array.id;
  task.index = static_cast<std::int32_t>(index);
  task.request.name += "." + std::to_string(index);
  return task;
}

using Rows = std::map<JobId, store::JobRow>;

// Of a task its own row, if it has begun, and its array's.
Result<Rows> rowsOf(const Desk& desk, const std::vector<JobReference>& references) {
  std::vector<JobId> ids;
  for (const JobReference& reference : references) {
    ids.push_back(reference.job);
    if (reference.index) ids.push_back(engine::taskOf(reference.job, *reference.index));
  }
  BUOY_TRY(std::vector<std::optional<store::JobRow>> found, desk.backend.store().jobsById(ids));
  Rows rows;
  for (std::optional<store::JobRow>& row : found) {
    if (row) rows.emplace(row->id, std::move(*row));
  }
  return rows;
}

// nullopt: there is no such job, or task.
Result<std::optional<engine::Job>> jobOf(const Rows& rows, const JobReference& reference) {
  if (reference.index) {
    if (const auto row = rows.find(engine::taskOf(reference.job, *reference.index)); row != rows.end()) {
      BUOY_TRY(engine::Job task, store::decodeJob(row->second.record));
      if (task.parent == reference.job) return std::optional(std::move(task));
    }
  }
  const auto row = rows.find(reference.job);
  if (row == rows.end()) return std::optional<engine::Job>();
  BUOY_TRY(engine::Job job, store::decodeJob(row->second.record));
  if (!reference.index) return std::optional(std::move(job));
  if (*reference.index >= static_cast<std::uint32_t>(job.request.array)) return std::optional<engine::Job>();
  return std::optional(notBegun(job, *reference.index));
}

// What submitJob kept; nothing for a job of another door.
std::vector<front::Member> doorIn(std::string_view spec) {
  const auto members = front::membersOf(spec);
  if (!members) return {};
  return front::membersOf(front::valueOf(*members, "door")).value_or(std::vector<front::Member>());
}

}  // namespace

Result<std::string> describeJobs(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::vector<std::string> ids;
  fields.get("jobs", ids);
  BUOY_TRY_VOID(body.check());
  if (ids.empty() || ids.size() > kMostIds)
    return fail(ErrorCode::invalid_argument, "jobs must hold 1 to 100 ids");
  std::vector<JobReference> references;
  for (const std::string& id : ids) {
    if (const auto reference = parseJobReference(id)) references.push_back(*reference);
  }
  BUOY_TRY(const Rows rows, rowsOf(desk, references));
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("jobs").beginArray();
  for (const JobReference& reference : references) {
    BUOY_TRY(std::optional<engine::Job> job, jobOf(rows, reference));
    if (!job) continue;
    std::vector<front::Member> door = doorIn(rows.at(job->id).spec);
    std::string definition = front::textOf(front::valueOf(door, "definition"));
    if (definition.empty()) definition = job->request.name + ":1";
    std::optional<NodeView> node;
    if (reference.node) {
      node = nodeOf(*job, front::valueOf(door, "nodeProperties"), *reference.node);
      if (!node) continue;
    }
    write(writer,
          {desk, call.region, std::move(*job), std::move(door), std::move(definition), std::move(node)});
  }
  writer.endArray().endObject();
  return json;
}

}  // namespace buoy::gateways::batch
