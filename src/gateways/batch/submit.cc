#include <algorithm>
#include <cctype>

#include "base/strings.h"
#include "gateways/batch/container.h"
#include "gateways/batch/job_definitions.h"
#include "gateways/batch/jobs.h"
#include "gateways/batch/node_ranges.h"

// SubmitJob: a job definition with what the call lays over it becomes a job like any other.
namespace buoy::gateways::batch {
namespace {

constexpr int kMostAttempts = 10;
constexpr std::size_t kMostRules = 5;
constexpr std::size_t kMostDependencies = 20;
constexpr int kMostTasks = 10'000;
constexpr std::int64_t kLeastTimeout = 60;  // seconds

Parameters parametersOf(const api::Node* definition, const api::Node* request) {
  Parameters parameters;
  for (const api::Node* const map : {definition, request}) {
    if (map == nullptr) continue;
    for (const api::Node& item : map->items) {
      if (const std::string* const text = api::scalarText(item)) parameters[item.key] = *text;
    }
  }
  return parameters;
}

// A part of the request, or of the definition where the request does not have it.
const api::Node* either(const front::Body& request, const Definition& definition, std::string_view key) {
  const api::Node* const given = request.root().find(key);
  return given != nullptr ? given : definition.document->find(key);
}

Status readRetry(front::Body& body, const api::Node* node, api::JobSpec& spec) {
  if (node == nullptr) return {};
  auto fields = body.fields(node, "retryStrategy");
  int attempts = 1;
  fields.get("attempts", attempts);
  BUOY_TRY_VOID(body.check());
  if (attempts < 1 || attempts > kMostAttempts)
    return failInvalid("retryStrategy.attempts must be from 1 to 10");
  spec.retry_failures = attempts - 1;
  const auto add = [&](const api::Node& item) -> Status {
    auto rule = body.fields(&item, "retryStrategy.evaluateOnExit");
    engine::RetryRule& read = spec.retry_rules.emplace_back();
    std::string action;
    rule.get("onExitCode", read.exit_code);
    rule.get("onReason", read.reason);
    rule.get("onStatusReason", read.status);
    rule.get("action", action);
    for (char& c : action) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (action != "RETRY" && action != "EXIT")
      rule.wrong("action", "must be RETRY or EXIT, not " + inQuotes(action));
    read.retry = action == "RETRY";
    return body.check();
  };
  BUOY_TRY_VOID(front::forEachMap(fields.list("evaluateOnExit"), "retryStrategy.evaluateOnExit", add));
  if (spec.retry_rules.size() > kMostRules)
    return failInvalid("retryStrategy.evaluateOnExit has more than 5 rules");
  return {};
}

Status readTimeout(front::Body& body, const api::Node* node, api::JobSpec& spec) {
  if (node == nullptr) return {};
  auto fields = body.fields(node, "timeout");
  std::int64_t seconds = 0;
  fields.get("attemptDurationSeconds", seconds);
  BUOY_TRY_VOID(body.check());
  if (seconds < kLeastTimeout) return failInvalid("timeout.attemptDurationSeconds must be at least 60");
  spec.timeout = std::chrono::seconds{seconds};
  return {};
}

Status readArray(front::Body& request, api::JobSpec& spec) {
  const api::Node* const array = request.fields().map("arrayProperties");
  BUOY_TRY_VOID(request.check());
  if (array == nullptr || array->items.empty()) return {};
  auto fields = request.fields(array, "arrayProperties");
  fields.get("size", spec.array);
  BUOY_TRY_VOID(request.check());
  if (spec.array < 2 || spec.array > kMostTasks)
    return failInvalid("arrayProperties.size must be from 2 to 10000");
  if (!spec.run.empty())
    spec.run =
        "export AWS_BATCH_JOB_ARRAY_INDEX=\"$BUOY_ARRAY_INDEX\" "
        "AWS_BATCH_JOB_ARRAY_SIZE=\"$BUOY_ARRAY_SIZE\" "
        "AWS_BATCH_JOB_ID=\"$BUOY_ARRAY_JOB:$BUOY_ARRAY_INDEX\"\n" +
        spec.run;
  spec.container->env["AWS_BATCH_JOB_ARRAY_INDEX"] = "${BUOY_ARRAY_INDEX}";
  spec.container->env["AWS_BATCH_JOB_ARRAY_SIZE"] = "${BUOY_ARRAY_SIZE}";
  spec.container->env["AWS_BATCH_JOB_ID"] = "${BUOY_ARRAY_JOB}:${BUOY_ARRAY_INDEX}";
  return {};
}

Status readDependencies(front::Body& request, api::JobSpec& spec) {
  const auto add = [&](const api::Node& item) -> Status {
    auto fields = request.fields(&item, "dependsOn");
    std::string job, type;
    fields.get("jobId", job);
    fields.get("type", type);
    BUOY_TRY_VOID(request.check());
    if (type == "SEQUENTIAL" && job.empty()) {
      spec.sequential = true;
      return spec.array > 0 ? Status() : failInvalid("dependsOn: SEQUENTIAL is for array jobs");
    }
    if (!type.empty() && type != "N_TO_N" && type != "SEQUENTIAL")
      return failInvalid("dependsOn.type must be N_TO_N or SEQUENTIAL, not " + inQuotes(type));
    BUOY_TRY(const JobReference reference, parseJobReference(job));
    const JobId id = reference.index ? engine::taskOf(reference.job, *reference.index) : reference.job;
    if (type == "N_TO_N" && spec.array == 0) return failInvalid("dependsOn: N_TO_N is for array jobs");
    spec.depends_on.push_back({id.toString(), type == "N_TO_N"});
    return {};
  };
  BUOY_TRY_VOID(front::forEachMap(request.root().find("dependsOn"), "dependsOn", add));
  return spec.depends_on.size() <= kMostDependencies ? Status()
                                                     : failInvalid("dependsOn has more than 20 jobs");
}

// For a shell, which knows Buoy's own.
std::map<std::string, std::string> variablesFor(const Desk& desk, const api::JobSpec& spec) {
  std::map<std::string, std::string> variables = {
      {"AWS_BATCH_JOB_ID", "\"${AWS_BATCH_JOB_ID:-$BUOY_JOB_ID}\""},
      {"AWS_BATCH_JOB_ATTEMPT", "\"$BUOY_ATTEMPT\""},
      {"AWS_BATCH_JQ_NAME", spec.queue}};
  const auto places = desk.backend.places();
  const engine::Queue* const queue = places->queue(spec.queue);
  if (queue != nullptr && queue->pools.size() == 1) variables["AWS_BATCH_CE_NAME"] = queue->pools.front();
  return variables;
}

// The same for a container, whose image need not have a shell.
std::map<std::string, std::string> filledIn(std::map<std::string, std::string> variables) {
  variables["AWS_BATCH_JOB_ID"] = "${BUOY_JOB_ID}";
  variables["AWS_BATCH_JOB_ATTEMPT"] = "${BUOY_ATTEMPT}";
  return variables;
}

// Where no container is run an image's own command is not known.
bool runsContainers(const Desk& desk, const std::string& queue_name) {
  const auto places = desk.backend.places();
  const engine::Queue* const queue = places->queue(queue_name);
  if (queue == nullptr) return true;
  return std::any_of(queue->pools.begin(), queue->pools.end(), [&](const std::string& name) {
    const engine::Pool* const pool = places->pool(name);
    return pool == nullptr || pool->isolation == engine::Isolation::container;
  });
}

void keep(api::JsonWriter& writer, std::string_view key, const api::Node* node) {
  if (node != nullptr) writer.key(key).raw(api::toJson(*node));
}

// What DescribeJobs tells that the engine does not know.
void writeDoor(api::JsonWriter& writer, const front::Body& request, const Definition& definition,
               const Parameters& parameters) {
  writer.beginObject().field("kind", "batch").field("definition", definition.nameAndRevision());
  writer.key("parameters").beginObject();
  for (const auto& [name, value] : parameters) writer.field(name, value);
  writer.endObject();
  for (const char* key : {"retryStrategy", "timeout", "propagateTags"})
    keep(writer, key, either(request, definition, key));
  for (const char* key : {"tags", "dependsOn", "shareIdentifier", "arrayProperties"})
    keep(writer, key, request.root().find(key));
  const api::Node* const priority = request.root().find("schedulingPriorityOverride");
  keep(writer, "schedulingPriority",
       priority != nullptr ? priority : definition.document->find("schedulingPriority"));
}

Status prepare(const Desk& desk, front::Body& request, const Definition& definition, api::JobSpec& spec) {
  const Parameters parameters =
      parametersOf(definition.document->find("parameters"), request.root().find("parameters"));
  api::JsonWriter door(spec.door);
  writeDoor(door, request, definition, parameters);
  const auto variables = variablesFor(desk, spec);
  if (front::textOf(*definition.document, "type") == "multinode") {
    BUOY_TRY_VOID(prepareNodes(request, definition, parameters, variables, spec, door));
  } else {
    const api::Node* const properties = definition.document->find("containerProperties");
    Container container;
    BUOY_TRY_VOID(layOver(request, properties, "containerProperties", container));
    BUOY_TRY_VOID(
        layOver(request, request.fields().map("containerOverrides"), "containerOverrides", container));
    container.command = withParameters(container.command, parameters);
    if (container.command.empty() && !runsContainers(desk, spec.queue))
      return failInvalid(
          "the job has no command: an image's own is not known where no container is run (isolation: "
          "process)");
    spec.container = containerSpec(container, filledIn(variables));
    spec.resources = container.resources;
    spec.env = container.env;
    spec.storage.file_systems = container.file_systems;
    if (!container.command.empty()) spec.run = processScript(container, container.command, variables);
    door.key("container");
    beginContainer(door, properties, container);
    door.endObject();
  }
  door.endObject();
  BUOY_TRY_VOID(readRetry(request, either(request, definition, "retryStrategy"), spec));
  return readTimeout(request, either(request, definition, "timeout"), spec);
}

Status identify(const Desk& desk, front::Body& request, api::JobSpec& spec, std::string& definition) {
  auto fields = request.fields();
  fields.get("jobName", spec.name);
  fields.get("jobQueue", spec.queue);
  fields.get("jobDefinition", definition);
  const api::Node* const tags = fields.map("tags");
  BUOY_TRY_VOID(request.check());
  BUOY_TRY_VOID(checkName("jobName", spec.name));
  if (definition.empty()) return failInvalid("jobDefinition is required");
  BUOY_TRY_VOID(checkTags(tags));
  spec.queue = nameIn(spec.queue, Thing::job_queue);
  const auto places = desk.backend.places();
  if (places->queue(spec.queue) == nullptr)
    return fail(ErrorCode::not_found, strCat({"JobQueue ", spec.queue, " does not exist"}));
  const auto queue = desk.library.find(kQueue, spec.queue);
  if (queue && front::textOf(*queue, "state") == "DISABLED")
    return fail(ErrorCode::failed_precondition, strCat({"JobQueue ", spec.queue, " is DISABLED"}));
  return {};
}

// In a queue with a scheduling policy: on whose account, and how urgent among the jobs of that.
Status readShare(const Desk& desk, front::Body& request, const Definition& definition, api::JobSpec& spec) {
  auto fields = request.fields();
  std::string share;
  fields.get("shareIdentifier", share);
  BUOY_TRY_VOID(request.check());
  int priority = 0;
  BUOY_TRY_VOID(readSchedulingPriority(request, *definition.document, "schedulingPriority", priority));
  BUOY_TRY_VOID(readSchedulingPriority(request, request.root(), "schedulingPriorityOverride", priority));
  const auto places = desk.backend.places();
  const engine::Queue* const queue = places->queue(spec.queue);
  const bool fair = queue != nullptr && queue->fair.has_value();
  if (fair && share.empty())
    return failInvalid("shareIdentifier is required: the job queue has a scheduling policy");
  if (!fair && !share.empty())
    return failInvalid("shareIdentifier must not be given: the job queue has no scheduling policy");
  if (!fair) return {};
  if (!api::isShare(share)) return failInvalid("shareIdentifier must be 1 to 255 letters and digits");
  spec.share = std::move(share);
  spec.priority = priority;
  return {};
}

Status refuseProblems(const std::vector<api::Problem>& problems) {
  return problems.empty() ? Status() : failInvalid(problems.front().toString());
}

}  // namespace

Result<Order> submitJob(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body request, front::Body::parse(call.body));
  api::JobSpec spec;
  std::string reference;
  BUOY_TRY_VOID(identify(desk, request, spec, reference));
  BUOY_TRY(const Definition definition, findDefinition(desk, reference));
  if (!definition.active())
    return fail(ErrorCode::failed_precondition,
                strCat({"JobDefinition ", definition.nameAndRevision(), " is INACTIVE"}));
  // What a job leaves in this directory is saved as it is complete, and is there again after a reclaim.
  spec.checkpoint.emplace();
  BUOY_TRY_VOID(prepare(desk, request, definition, spec));
  BUOY_TRY_VOID(readShare(desk, request, definition, spec));
  BUOY_TRY_VOID(readArray(request, spec));
  BUOY_TRY_VOID(readDependencies(request, spec));
  BUOY_TRY_VOID(refuseProblems(api::validate(spec)));
  engine::JobRequest wanted = api::toRequest(spec);
  std::vector<api::Problem> problems = desk.backend.admit(wanted, spec.storage);
  for (api::Problem& problem : problems) {
    if (problem.field == "file_systems") problem.field = "efsVolumeConfiguration";
  }
  BUOY_TRY_VOID(refuseProblems(problems));
  Order made;
  made.change.spec = api::toJson(spec);
  if (!call.invocation.empty()) made.change.request_id = "aws/" + call.invocation;
  made.change.events.emplace_back(engine::SubmitJob{std::move(wanted)});
  made.answer = [region = call.region, name = spec.name](const engine::Reply& reply) {
    std::string json;
    api::JsonWriter writer(json);
    writer.beginObject().field("jobArn", arnOf(region, Thing::job, reply.job.toString()));
    writer.field("jobName", name).field("jobId", reply.job.toString()).endObject();
    return json;
  };
  return made;
}

}  // namespace buoy::gateways::batch
