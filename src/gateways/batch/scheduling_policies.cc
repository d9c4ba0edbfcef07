#include <algorithm>

#include "base/strings.h"
#include "gateways/batch/operations.h"

// Scheduling policies: how the jobs of a queue share it.
namespace buoy::gateways::batch {
namespace {

Result<std::string> policyName(front::Body& body) {
  std::string arn;
  auto fields = body.fields();
  fields.get("arn", arn);
  BUOY_TRY_VOID(body.check());
  if (arn.empty()) return fail(ErrorCode::invalid_argument, "arn is required");
  return nameIn(arn, Thing::scheduling_policy);
}

constexpr std::size_t kMostShares = 500;

Status checkPolicy(front::Body& body, const api::Node* policy) {
  auto fields = body.fields(policy, "fairsharePolicy");
  std::int64_t decay = 0, reservation = 0;
  if (fields.get("shareDecaySeconds", decay) && (decay < 0 || decay > 604'800))
    fields.wrong("shareDecaySeconds", "must be from 0 to 604800");
  if (fields.get("computeReservation", reservation) && (reservation < 0 || reservation > 99))
    fields.wrong("computeReservation", "must be from 0 to 99");
  const api::Node* const shares = fields.list("shareDistribution");
  if (shares != nullptr && shares->items.size() > kMostShares)
    fields.wrong("shareDistribution", "has more than 500 entries");
  return front::forEachMap(shares, "fairsharePolicy.shareDistribution", [&](const api::Node& item) -> Status {
    auto share = body.fields(&item, "fairsharePolicy.shareDistribution");
    std::string name;
    double weight = 1;
    share.require("shareIdentifier");
    if (share.get("shareIdentifier", name) &&
        !api::isShare(name.ends_with('*') ? name.substr(0, name.size() - 1) : name))
      share.wrong("shareIdentifier", "must be letters and digits, and perhaps * at its end");
    if (share.get("weightFactor", weight) && !(weight >= 0.0001 && weight <= 999.9999))
      share.wrong("weightFactor", "must be from 0.0001 to 999.9999");
    return body.check();
  });
}

// Of every queue that the policy is for.
void putQueues(const Desk& desk, const std::string& name, const api::Node* policy, Change& change) {
  const auto places = desk.backend.places();
  const api::Node empty;
  for (const Library::Entry& entry : desk.library.list(kQueue, {}, {}, SIZE_MAX)) {
    if (nameIn(front::textOf(*entry.document, "schedulingPolicyArn"), Thing::scheduling_policy) != name)
      continue;
    const engine::Queue* const queue = places->queue(entry.name);
    if (queue == nullptr) continue;
    engine::Queue put = *queue;
    put.fair = fairShareOf(policy == nullptr ? empty : *policy);
    change.events.emplace_back(engine::PutQueue{std::move(put)});
  }
}

Order orderFor(const std::string& name, std::string document, std::string answer) {
  Order made;
  made.change.resources.push_back({std::string(kPolicy), name, std::move(document)});
  made.answer = [answer = std::move(answer)](const engine::Reply&) { return answer; };
  return made;
}

}  // namespace

engine::FairShare fairShareOf(const api::Node& policy) {
  api::Problems unread{std::string()};
  api::MapReader fields(unread, policy, {});
  engine::FairShare fair;
  std::int64_t decay = 0;
  fields.get("shareDecaySeconds", decay);
  fields.get("computeReservation", fair.reserve);
  fair.decay = std::chrono::seconds{decay};
  const api::Node* const shares = policy.find("shareDistribution");
  if (shares == nullptr) return fair;
  for (const api::Node& item : shares->items) {
    api::MapReader share(unread, item, {});
    engine::FairShare::Weight& weight = fair.weights.emplace_back();
    double factor = 1;
    share.get("shareIdentifier", weight.share);
    share.get("weightFactor", factor);
    weight.weight = 1 / factor;  // AWS: the lower, the more
  }
  return fair;
}

Result<Order> createSchedulingPolicy(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::string name;
  fields.get("name", name);
  const api::Node* const policy = fields.map("fairsharePolicy");
  const api::Node* const tags = fields.map("tags");
  BUOY_TRY_VOID(checkPolicy(body, policy));
  BUOY_TRY_VOID(body.check());
  BUOY_TRY_VOID(checkName("name", name));
  if (desk.library.find(kPolicy, name))
    return fail(ErrorCode::already_exists, "Object already exists: " + name);
  Order made = orderFor(name, policy == nullptr ? "{}" : api::toJson(*policy),
                        namesAnswer(call.region, Thing::scheduling_policy, name, "name", "arn"));
  BUOY_TRY_VOID(addTags(made.change, Thing::scheduling_policy, name, tags));
  return made;
}

Result<Order> updateSchedulingPolicy(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const std::string name, policyName(body));
  if (!desk.library.find(kPolicy, name))
    return fail(ErrorCode::not_found, strCat({"SchedulingPolicy ", name, " does not exist"}));
  auto fields = body.fields();
  const api::Node* const policy = fields.map("fairsharePolicy");
  BUOY_TRY_VOID(checkPolicy(body, policy));
  BUOY_TRY_VOID(body.check());
  Order made = orderFor(name, policy == nullptr ? "{}" : api::toJson(*policy), "{}");
  putQueues(desk, name, policy, made.change);
  return made;
}

Result<Order> deleteSchedulingPolicy(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const std::string name, policyName(body));
  for (const Library::Entry& queue : desk.library.list(kQueue, {}, {}, SIZE_MAX)) {
    if (nameIn(front::textOf(*queue.document, "schedulingPolicyArn"), Thing::scheduling_policy) == name)
      return fail(ErrorCode::failed_precondition,
                  strCat({"JobQueue ", queue.name, " uses the scheduling policy"}));
  }
  Order made = orderFor(name, {}, "{}");
  made.change.resources.push_back(tagsOf(Thing::scheduling_policy, name, {}));
  return made;
}

Result<std::string> describeSchedulingPolicies(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  std::vector<std::string> arns;
  auto fields = body.fields();
  fields.get("arns", arns);
  BUOY_TRY_VOID(body.check());
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("schedulingPolicies").beginArray();
  for (const std::string& arn : arns) {
    const std::string name = nameIn(arn, Thing::scheduling_policy);
    const auto policy = desk.library.find(kPolicy, name);
    if (!policy) continue;
    writer.beginObject().field("name", name).field("arn", arnOf(call.region, Thing::scheduling_policy, name));
    writer.key("fairsharePolicy").raw(api::toJson(*policy));
    writeTags(writer, desk, Thing::scheduling_policy, name);
    writer.endObject();
  }
  writer.endArray().endObject();
  return json;
}

Result<std::string> listSchedulingPolicies(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const Page page, readPage(body));
  const auto entries = desk.library.list(kPolicy, {}, page.after, page.most + 1);
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("schedulingPolicies").beginArray();
  for (std::size_t i = 0; i < std::min(entries.size(), page.most); ++i)
    writer.beginObject()
        .field("arn", arnOf(call.region, Thing::scheduling_policy, entries[i].name))
        .endObject();
  writer.endArray();
  if (entries.size() > page.most) writer.field("nextToken", entries[page.most - 1].name);
  writer.endObject();
  return json;
}

}  // namespace buoy::gateways::batch
