#include <algorithm>

#include "base/strings.h"
#include "gateways/batch/operations.h"

// A job queue is a queue. Disabling one refuses new jobs and lets those that it has go on, as on AWS; a queue
// that is paused by Buoy's own means starts nothing.
namespace buoy::gateways::batch {
namespace {

constexpr std::size_t kMostEnvironments = 3;

struct Stuck {
  engine::StuckFor cause;
  std::string_view reason;
};
constexpr Stuck kStuck[] = {
    {engine::StuckFor::no_capacity, "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"},
    {engine::StuckFor::too_large, "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"},
    {engine::StuckFor::no_type, "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"}};
constexpr std::size_t kMostLimits = 10;
constexpr std::int64_t kLeastLimit = 600, kMostLimit = 86'400;  // seconds

struct WantedQueue {
  std::string name, state = "ENABLED", policy;
  std::int32_t priority = 0;
  std::vector<std::string> environments;  // in order
  std::string limits = "[]";              // jobStateTimeLimitActions, JSON
  std::vector<engine::StuckLimit> stuck;  // the same
};

Status readEnvironments(front::Body& body, const api::Node* list, WantedQueue& wanted) {
  struct Place {
    std::int64_t order;
    std::string name;
  };
  std::vector<Place> places;
  BUOY_TRY_VOID(front::forEachMap(list, "computeEnvironmentOrder", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, "computeEnvironmentOrder");
    Place place{0, {}};
    fields.require("order");
    fields.require("computeEnvironment");
    fields.get("order", place.order);
    fields.get("computeEnvironment", place.name);
    place.name = nameIn(place.name, Thing::compute_environment);
    places.push_back(std::move(place));
    return body.check();
  }));
  if (places.empty() || places.size() > kMostEnvironments)
    return failInvalid("computeEnvironmentOrder must name 1 to 3 compute environments");
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.order < b.order; });
  wanted.environments.clear();
  for (Place& place : places) {
    const auto& names = wanted.environments;
    if (std::find(names.begin(), names.end(), place.name) != names.end())
      return failInvalid("computeEnvironmentOrder names " + place.name + " twice");
    wanted.environments.push_back(std::move(place.name));
  }
  return {};
}

Status readQueue(front::Body& body, WantedQueue& wanted) {
  auto fields = body.fields();
  fields.get("state", wanted.state);
  fields.get("priority", wanted.priority);
  fields.get("schedulingPolicyArn", wanted.policy);
  const api::Node* const limits = fields.list("jobStateTimeLimitActions");
  BUOY_TRY_VOID(body.check());
  if (limits != nullptr) {
    wanted.limits = api::toJson(*limits);
    BUOY_TRY(wanted.stuck, stuckLimitsOf(body, limits));
  }
  if (const api::Node* const list = fields.list("computeEnvironmentOrder"))
    BUOY_TRY_VOID(readEnvironments(body, list, wanted));
  if (wanted.state != "ENABLED" && wanted.state != "DISABLED")
    return failInvalid("state must be ENABLED or DISABLED, not " + inQuotes(wanted.state));
  if (wanted.priority < 0 || wanted.priority > 1'000'000)
    return failInvalid("priority must be from 0 to 1000000");
  return {};
}

Result<Order> order(const Desk& desk, const front::Call& call, const WantedQueue& wanted) {
  const auto places = desk.backend.places();
  for (const std::string& name : wanted.environments) {
    if (places->pool(name) == nullptr)
      return fail(ErrorCode::not_found, strCat({"ComputeEnvironment ", name, " does not exist"}));
  }
  if (!wanted.policy.empty() && !desk.library.find(kPolicy, nameIn(wanted.policy, Thing::scheduling_policy)))
    return fail(ErrorCode::not_found, strCat({"SchedulingPolicy ", wanted.policy, " does not exist"}));
  engine::Queue queue;
  if (const engine::Queue* const before = places->queue(wanted.name)) queue = *before;
  queue.name = wanted.name;
  queue.priority = wanted.priority;
  queue.pools = wanted.environments;
  queue.stuck_limits = wanted.stuck;
  queue.fair.reset();
  if (!wanted.policy.empty())
    queue.fair = fairShareOf(*desk.library.find(kPolicy, nameIn(wanted.policy, Thing::scheduling_policy)));
  Order order;
  std::string document;
  api::JsonWriter writer(document);
  writer.beginObject().field("state", wanted.state).field("schedulingPolicyArn", wanted.policy);
  writer.key("jobStateTimeLimitActions").raw(wanted.limits).endObject();
  order.change.resources.push_back({std::string(kQueue), wanted.name, std::move(document)});
  order.change.events.emplace_back(engine::PutQueue{std::move(queue)});
  order.answer = [region = call.region, name = wanted.name](const engine::Reply&) {
    return namesAnswer(region, Thing::job_queue, name, "jobQueueName", "jobQueueArn");
  };
  return order;
}

Result<std::string> existing(const Desk& desk, front::Body& body) {
  std::string reference;
  auto fields = body.fields();
  fields.get("jobQueue", reference);
  BUOY_TRY_VOID(body.check());
  std::string name = nameIn(reference, Thing::job_queue);
  if (name.empty()) return fail(ErrorCode::invalid_argument, "jobQueue is required");
  if (desk.backend.places()->queue(name) == nullptr)
    return fail(ErrorCode::not_found, strCat({"JobQueue ", name, " does not exist"}));
  return name;
}

void write(api::JsonWriter& writer, const Desk& desk, const std::string& region, const engine::Queue& queue) {
  const auto document = desk.library.find(kQueue, queue.name);
  const auto kept = [&](std::string_view key) {
    return document ? front::textOf(*document, key) : std::string();
  };
  const std::string state = kept("state");
  writer.beginObject().field("jobQueueName", queue.name);
  writer.field("jobQueueArn", arnOf(region, Thing::job_queue, queue.name));
  writer.field("state", state.empty() ? "ENABLED" : state).field("status", "VALID");
  writer.field("statusReason", "JobQueue Healthy").field("priority", queue.priority);
  if (const std::string policy = kept("schedulingPolicyArn"); !policy.empty())
    writer.field("schedulingPolicyArn", policy);
  writer.key("computeEnvironmentOrder").beginArray();
  for (std::size_t i = 0; i < queue.pools.size(); ++i) {
    writer.beginObject().field("order", i + 1);
    writer.field("computeEnvironment", arnOf(region, Thing::compute_environment, queue.pools[i])).endObject();
  }
  writer.endArray();
  if (document && document->find("jobStateTimeLimitActions") != nullptr)
    writer.key("jobStateTimeLimitActions").raw(api::toJson(*document->find("jobStateTimeLimitActions")));
  writeTags(writer, desk, Thing::job_queue, queue.name);
  writer.endObject();
}

}  // namespace

Result<std::vector<engine::StuckLimit>> stuckLimitsOf(front::Body& body, const api::Node* list) {
  std::vector<engine::StuckLimit> limits;
  const auto add = [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, "jobStateTimeLimitActions");
    std::string reason, state, action;
    std::int64_t seconds = 0;
    fields.get("reason", reason);
    fields.get("state", state);
    fields.get("action", action);
    fields.get("maxTimeSeconds", seconds);
    BUOY_TRY_VOID(body.check());
    const auto known = std::find_if(std::begin(kStuck), std::end(kStuck),
                                    [&](const Stuck& each) { return each.reason == reason; });
    if (known == std::end(kStuck))
      return failInvalid(strCat({"jobStateTimeLimitActions.reason must be ", kStuck[0].reason, ", ",
                                 kStuck[1].reason, " or ", kStuck[2].reason, ", not ", inQuotes(reason)}));
    if (state != "RUNNABLE")
      return failInvalid("jobStateTimeLimitActions.state must be RUNNABLE, not " + inQuotes(state));
    if (action != "CANCEL")
      return failInvalid("jobStateTimeLimitActions.action must be CANCEL, not " + inQuotes(action));
    if (seconds < kLeastLimit || seconds > kMostLimit)
      return failInvalid("jobStateTimeLimitActions.maxTimeSeconds must be from 600 to 86400");
    limits.push_back({.cause = known->cause,
                      .after = std::chrono::seconds{seconds},
                      .reason = strCat({"Canceled by JobStateTimeLimit action due to reason: ", reason})});
    return {};
  };
  BUOY_TRY_VOID(front::forEachMap(list, "jobStateTimeLimitActions", add));
  if (limits.size() > kMostLimits) return failInvalid("jobStateTimeLimitActions has more than 10 entries");
  return limits;
}

Result<Order> createJobQueue(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  WantedQueue wanted;
  fields.get("jobQueueName", wanted.name);
  BUOY_TRY_VOID(checkName("jobQueueName", wanted.name));
  BUOY_TRY_VOID(readQueue(body, wanted));
  if (wanted.environments.empty())
    return fail(ErrorCode::invalid_argument, "computeEnvironmentOrder is required");
  const api::Node* const tags = fields.map("tags");
  BUOY_TRY_VOID(body.check());
  if (desk.backend.places()->queue(wanted.name) != nullptr)
    return fail(ErrorCode::already_exists, "Object already exists: a queue is called " + wanted.name);
  BUOY_TRY(Order made, order(desk, call, wanted));
  BUOY_TRY_VOID(addTags(made.change, Thing::job_queue, wanted.name, tags));
  return made;
}

Result<Order> updateJobQueue(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const std::string name, existing(desk, body));
  const auto places = desk.backend.places();
  const engine::Queue* const before = places->queue(name);
  if (before == nullptr) return fail(ErrorCode::not_found, "JobQueue " + name + " does not exist");
  WantedQueue wanted;
  wanted.name = name;
  wanted.priority = before->priority;
  wanted.environments = before->pools;
  wanted.stuck = before->stuck_limits;
  if (const auto document = desk.library.find(kQueue, name)) {
    wanted.state = front::textOf(*document, "state");
    wanted.policy = front::textOf(*document, "schedulingPolicyArn");
    if (const api::Node* const limits = document->find("jobStateTimeLimitActions"))
      wanted.limits = api::toJson(*limits);
  }
  BUOY_TRY_VOID(readQueue(body, wanted));
  return order(desk, call, wanted);
}

Result<Order> deleteJobQueue(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const std::string name, existing(desk, body));
  const auto document = desk.library.find(kQueue, name);
  if (!document || front::textOf(*document, "state") != "DISABLED")
    return fail(ErrorCode::failed_precondition, strCat({"Cannot delete, found existing JobQueue ", name,
                                                        " in state ENABLED: disable it first"}));
  Order made;
  made.change.resources = {{std::string(kQueue), name, {}}, tagsOf(Thing::job_queue, name, {})};
  made.change.events.emplace_back(engine::RemoveQueue{name});
  made.answer = [](const engine::Reply&) { return std::string("{}"); };
  return made;
}

Result<std::string> describeJobQueues(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const Page page, readPage(body));
  auto fields = body.fields();
  std::vector<std::string> names;
  fields.get("jobQueues", names);
  BUOY_TRY_VOID(body.check());
  for (std::string& name : names) name = nameIn(name, Thing::job_queue);
  const auto places = desk.backend.places();
  std::string json, next;
  api::JsonWriter writer(json);
  writer.beginObject().key("jobQueues").beginArray();
  std::size_t written = 0;
  for (const engine::Queue& queue : places->queues) {
    if (!names.empty() && std::find(names.begin(), names.end(), queue.name) == names.end()) continue;
    if (queue.name <= page.after) continue;
    if (written++ == page.most) {
      writer.endArray().field("nextToken", next).endObject();
      return json;
    }
    write(writer, desk, call.region, queue);
    next = queue.name;
  }
  writer.endArray().endObject();
  return json;
}

}  // namespace buoy::gateways::batch
