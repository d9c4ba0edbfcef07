#include <algorithm>
#include <map>
#include <optional>

#include "base/parse_number.h"
#include "base/strings.h"
#include "gateways/batch/operations.h"
#include "store/codec.h"

// A compute environment is a pool. Its machines are like those of another pool of this control plane, the one
// that it was modelled on: provider, machine types, prices and market are taken from there.
namespace buoy::gateways::batch {
namespace {

constexpr std::string_view kModelTag = "buoy:pool";
constexpr const char* kUsualModel = "local";
constexpr int kMostVcpus = 1'000'000;
constexpr const char* kUnmanagedVcpus = "unmanagedvCpus";

struct WantedEnvironment {
  std::string name, type = "MANAGED", state = "ENABLED", model;
  bool spot = false;
  std::int64_t min_vcpus = 0, max_vcpus = 0, bid_percentage = 100;  // unmanaged ones have max_vcpus alone
  std::optional<std::int64_t> desired_vcpus;                        // by hand
  std::vector<std::string> instance_types;
};

Status oneOf(std::string_view field, const std::string& value,
             std::initializer_list<std::string_view> words) {
  if (std::find(words.begin(), words.end(), value) != words.end()) return {};
  std::string known;
  for (const std::string_view word : words) known += strCat({known.empty() ? "" : ", ", word});
  return failInvalid(strCat({field, " must be one of ", known, "; not ", inQuotes(value)}));
}

Status readResources(front::Body& body, const api::Node* node, bool create, WantedEnvironment& wanted) {
  auto fields = body.fields(node, "computeResources");
  std::string type = wanted.spot ? "SPOT" : "EC2", strategy = "BEST_FIT_PROGRESSIVE";
  const bool typed = fields.get("type", type);
  fields.get("minvCpus", wanted.min_vcpus);
  const bool limited = fields.get("maxvCpus", wanted.max_vcpus);
  std::int64_t desired = 0;
  if (fields.get("desiredvCpus", desired)) wanted.desired_vcpus = desired;
  fields.get("bidPercentage", wanted.bid_percentage);
  fields.get("instanceTypes", wanted.instance_types);
  fields.get("allocationStrategy", strategy);
  BUOY_TRY_VOID(body.check());
  if (create && !typed) return failInvalid("computeResources.type is required: SPOT or EC2");
  if (create && !limited) return failInvalid("computeResources.maxvCpus is required");
  BUOY_TRY_VOID(oneOf("computeResources.type", type, {"SPOT", "EC2"}));
  BUOY_TRY_VOID(oneOf(
      "computeResources.allocationStrategy", strategy,
      {"BEST_FIT", "BEST_FIT_PROGRESSIVE", "SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED"}));
  wanted.spot = type == "SPOT";
  if (wanted.min_vcpus < 0 || wanted.max_vcpus < wanted.min_vcpus || wanted.max_vcpus > kMostVcpus)
    return failInvalid("computeResources: minvCpus and maxvCpus must be in order, from 0 to 1000000");
  if (wanted.desired_vcpus && (desired < wanted.min_vcpus || desired > wanted.max_vcpus))
    return failInvalid("computeResources.desiredvCpus must be from minvCpus to maxvCpus");
  if (wanted.bid_percentage < 1 || wanted.bid_percentage > 100)
    return failInvalid("computeResources.bidPercentage must be from 1 to 100");
  return {};
}

Status readUnmanaged(front::Body& body, WantedEnvironment& wanted) {
  auto fields = body.fields();
  fields.get(kUnmanagedVcpus, wanted.max_vcpus);
  BUOY_TRY_VOID(body.check());
  if (wanted.max_vcpus < 0 || wanted.max_vcpus > kMostVcpus)
    return failInvalid("unmanagedvCpus must be from 0 to 1000000");
  return {};
}

// The pool whose machines this environment's are like.
Result<const engine::Pool*> modelOf(const Desk& desk, const Places& places, const std::string& wanted) {
  if (!wanted.empty()) {
    const engine::Pool* const pool = places.pool(wanted);
    if (pool != nullptr) return pool;
    return fail(ErrorCode::invalid_argument,
                strCat({"the tag ", kModelTag, " names no pool: ", inQuotes(wanted)}));
  }
  if (const engine::Pool* const usual = places.pool(kUsualModel)) return usual;
  for (const engine::Pool& pool : places.pools) {
    if (!desk.library.find(kEnvironment, pool.name)) return &pool;
  }
  return fail(ErrorCode::failed_precondition,
              "the control plane has no pool to model a compute environment on");
}

bool isOf(const engine::MachineType& type, const std::string& wanted) {
  return wanted == "optimal" || wanted == type.name || type.name.starts_with(wanted + ".");
}

Status chooseTypes(const engine::Pool& model, const WantedEnvironment& wanted, engine::Pool& pool) {
  pool.types.clear();
  for (const engine::MachineType& type : model.types) {
    const auto& names = wanted.instance_types;
    if (names.empty() ||
        std::any_of(names.begin(), names.end(), [&](const auto& n) { return isOf(type, n); }))
      pool.types.push_back(type);
  }
  if (!pool.types.empty()) return {};
  if (model.provider == "local") {
    // This machine is no catalogue of instances: whatever is asked for, its own sizes are what there is.
    pool.types = model.types;
    return {};
  }
  std::string known;
  for (const engine::MachineType& type : model.types) known += (known.empty() ? "" : ", ") + type.name;
  return failInvalid(
      strCat({"computeResources.instanceTypes: pool '", model.name, "' has none of them; it has ", known}));
}

bool tellsPrices(const engine::Pool& pool) {
  return pool.provider == "aws";
}

// What spot costs may have changed since the environment was put, and only for it: that stays, unless the
// model's own price is another one now and no provider tells any.
void keepPrices(const engine::Pool* now, const api::Node* before, engine::Pool& pool) {
  if (now == nullptr || now->provider_config != pool.provider_config) return;
  const api::Node* const put = before != nullptr ? before->find("modelPrices") : nullptr;
  for (engine::MachineType& type : pool.types) {
    const std::string then = put != nullptr ? front::textOf(*put, type.name) : std::string();
    if (!tellsPrices(pool) && then != std::to_string(type.spot_price.nano_usd)) continue;
    for (const engine::MachineType& known : now->types) {
      if (known.name == type.name) type.spot_price = known.spot_price;
    }
  }
}

std::int64_t smallestOf(const engine::Pool& pool) {
  std::int32_t smallest = pool.types.front().resources.milli_cpus;
  for (const engine::MachineType& type : pool.types) smallest = std::min(smallest, type.resources.milli_cpus);
  return smallest;
}

void limit(const WantedEnvironment& wanted, engine::Pool& pool) {
  const std::int64_t smallest = smallestOf(pool);
  const std::int64_t most = (wanted.max_vcpus * 1000 + smallest - 1) / smallest;
  pool.max_machines = static_cast<std::int32_t>(std::clamp<std::int64_t>(most, 1, 100'000));
  pool.max_milli_cpus = wanted.max_vcpus * 1000;
  const std::int64_t least = (wanted.min_vcpus * 1000 + smallest - 1) / smallest;
  pool.min_machines = static_cast<std::int32_t>(std::min<std::int64_t>(least, pool.max_machines));
  pool.paused = wanted.state == "DISABLED" || (wanted.max_vcpus == 0 && wanted.type == "MANAGED");
  pool.spot = wanted.spot;
  pool.on_demand = !wanted.spot;
  // Where a job of one vCPU would leave some over, and the model does not forbid it.
  const auto leaves_some = [](const engine::MachineType& type) { return type.resources.milli_cpus > 1000; };
  pool.pack = !pool.never_packs && std::any_of(pool.types.begin(), pool.types.end(), leaves_some);
  pool.max_spot_percent = static_cast<std::int32_t>(wanted.bid_percentage);
}

std::string documentOf(const WantedEnvironment& wanted, const engine::Pool& model, const api::Node* resources,
                       const std::string& service_role) {
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().field("type", wanted.type).field("state", wanted.state).field("model", model.name);
  writer.field("serviceRole", service_role);
  if (wanted.type == "UNMANAGED") writer.field(kUnmanagedVcpus, wanted.max_vcpus);
  writer.key("modelPrices").beginObject();
  for (const engine::MachineType& type : model.types)
    writer.field(type.name, std::to_string(type.spot_price.nano_usd));
  writer.endObject();
  writer.key("computeResources").beginObject();
  if (resources != nullptr) {
    for (const api::Node& item : resources->items) {
      if (item.key == "type" || item.key == "minvCpus" || item.key == "maxvCpus" ||
          item.key == "desiredvCpus")
        continue;
      writer.key(item.key).raw(api::toJson(item));
    }
  }
  writer.field("type", wanted.spot ? "SPOT" : "EC2").field("minvCpus", wanted.min_vcpus);
  writer.field("maxvCpus", wanted.max_vcpus).endObject().endObject();
  return json;
}

// The machines of a pool that are there or coming.
struct InUse {
  std::int64_t milli_cpus = 0;
  std::int32_t machines = 0;
  std::int64_t vcpus() const { return (milli_cpus + 999) / 1000; }
};
Result<std::map<std::string, InUse>> inUse(const Desk& desk, const Places& places) {
  std::map<std::string, InUse> all;
  BUOY_TRY(const auto rows, desk.backend.store().machines(0));
  for (const store::MachineRow& row : rows) {
    BUOY_TRY(const engine::Machine machine, store::decodeMachine(row.record));
    const engine::Pool* const pool = places.pool(machine.pool);
    if (machine.host) continue;  // its machine counts
    if (pool == nullptr || machine.phase == engine::MachinePhase::releasing) continue;
    InUse& used = all[machine.pool];
    ++used.machines;
    for (const engine::MachineType& type : pool->types) {
      if (type.name == machine.type) used.milli_cpus += type.resources.milli_cpus;
    }
  }
  return all;
}

// desiredvCpus by hand: the pool keeps so many machines, for a moment, so that those that are missing are
// launched. They are like any others from then on: what no job takes is ended as always.
Status raise(const Desk& desk, const Places& places, const WantedEnvironment& wanted,
             const engine::Pool& pool, Change& change) {
  if (!wanted.desired_vcpus) return {};
  BUOY_TRY(const auto all, inUse(desk, places));
  const auto found = all.find(pool.name);
  const InUse now = found == all.end() ? InUse{} : found->second;
  if (*wanted.desired_vcpus < now.vcpus())
    return failInvalid(
        strCat({"computeResources.desiredvCpus can only be raised by hand: ", wanted.name, " has ",
                std::to_string(now.vcpus()), ", and ends by itself what no job needs"}));
  const std::int64_t smallest = smallestOf(pool);
  const std::int64_t missing = (*wanted.desired_vcpus * 1000 - now.milli_cpus + smallest - 1) / smallest;
  if (missing <= 0) return {};
  engine::Pool raised = pool;
  raised.min_machines =
      static_cast<std::int32_t>(std::min<std::int64_t>(now.machines + missing, pool.max_machines));
  if (raised.min_machines > pool.min_machines) change.events.emplace_back(engine::PutPool{std::move(raised)});
  return {};
}

Result<Order> order(const Desk& desk, const front::Call& call, const WantedEnvironment& wanted,
                    const api::Node* resources, const std::string& service_role) {
  const auto places = desk.backend.places();
  BUOY_TRY(const engine::Pool* const model, modelOf(desk, *places, wanted.model));
  engine::Pool pool = *model;
  pool.name = wanted.name;
  BUOY_TRY_VOID(chooseTypes(*model, wanted, pool));
  const auto before = desk.library.find(kEnvironment, wanted.name);
  keepPrices(places->pool(wanted.name), before ? &*before : nullptr, pool);
  limit(wanted, pool);
  Order order;
  order.change.resources.push_back(
      {std::string(kEnvironment), wanted.name, documentOf(wanted, *model, resources, service_role)});
  BUOY_TRY_VOID(raise(desk, *places, wanted, pool, order.change));
  order.change.events.emplace_back(engine::PutPool{std::move(pool)});
  order.answer = [region = call.region, name = wanted.name](const engine::Reply&) {
    return namesAnswer(region, Thing::compute_environment, name, "computeEnvironmentName",
                       "computeEnvironmentArn");
  };
  return order;
}

// A pool that was not made through this door, as a compute environment.
void writePlain(api::JsonWriter& writer, const engine::Pool& pool, std::int64_t desired) {
  std::int64_t largest = 0;
  for (const engine::MachineType& type : pool.types)
    largest = std::max<std::int64_t>(largest, type.resources.milli_cpus / 1000);
  writer.field("type", "MANAGED").field("state", pool.paused ? "DISABLED" : "ENABLED");
  writer.key("computeResources").beginObject();
  writer.field("type", pool.spot ? "SPOT" : "EC2").field("minvCpus", 0);
  writer.field("maxvCpus", largest * std::max(pool.max_machines, 1)).field("desiredvCpus", desired);
  writer.key("instanceTypes").beginArray();
  for (const engine::MachineType& type : pool.types) writer.value(type.name);
  writer.endArray().key("subnets").beginArray().endArray().endObject();
}

void writeKept(api::JsonWriter& writer, const api::Node& document, std::int64_t desired) {
  writer.field("type", front::textOf(document, "type")).field("state", front::textOf(document, "state"));
  writer.field("serviceRole", front::textOf(document, "serviceRole"));
  if (const api::Node* const limit = document.find(kUnmanagedVcpus))
    writer.key(kUnmanagedVcpus).raw(api::toJson(*limit));
  const api::Node* const resources = document.find("computeResources");
  if (resources == nullptr || front::textOf(document, "type") == "UNMANAGED") return;
  writer.key("computeResources").beginObject();
  for (const api::Node& item : resources->items) writer.key(item.key).raw(api::toJson(item));
  writer.field("desiredvCpus", desired).endObject();
}

void write(api::JsonWriter& writer, const Desk& desk, const std::string& region, const engine::Pool& pool,
           std::int64_t desired) {
  const std::string arn = arnOf(region, Thing::compute_environment, pool.name);
  writer.beginObject().field("computeEnvironmentName", pool.name).field("computeEnvironmentArn", arn);
  writer.field("ecsClusterArn", strCat({"arn:aws:ecs:", region, ":", kAccount, ":cluster/", pool.name}));
  const auto document = desk.library.find(kEnvironment, pool.name);
  document ? writeKept(writer, *document, desired) : writePlain(writer, pool, desired);
  writer.field("status", "VALID").field("statusReason", "ComputeEnvironment Healthy");
  writer.field("containerOrchestrationType", "ECS");
  writeTags(writer, desk, Thing::compute_environment, pool.name);
  writer.endObject();
}

Result<Library::Document> kept(const Desk& desk, const std::string& name) {
  const auto document = desk.library.find(kEnvironment, name);
  if (document) return document;
  return fail(ErrorCode::not_found,
              desk.backend.places()->pool(name) != nullptr
                  ? strCat({"Object of type ComputeEnvironment with name ", name,
                            " is a pool of the control plane's own: change it with `buoy pools`"})
                  : strCat({"ComputeEnvironment ", name, " does not exist"}));
}

Result<std::string> environmentName(front::Body& body) {
  std::string reference;
  auto fields = body.fields();
  fields.get("computeEnvironment", reference);
  BUOY_TRY_VOID(body.check());
  if (reference.empty()) return fail(ErrorCode::invalid_argument, "computeEnvironment is required");
  return nameIn(reference, Thing::compute_environment);
}

}  // namespace

Result<Order> createComputeEnvironment(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  WantedEnvironment wanted;
  std::string service_role;
  fields.get("computeEnvironmentName", wanted.name);
  fields.get("type", wanted.type);
  fields.get("state", wanted.state);
  fields.get("serviceRole", service_role);
  const api::Node* const tags = fields.map("tags");
  const api::Node* const resources = fields.map("computeResources");
  if (tags != nullptr) wanted.model = front::textOf(*tags, kModelTag);
  BUOY_TRY_VOID(body.check());
  BUOY_TRY_VOID(checkName("computeEnvironmentName", wanted.name));
  BUOY_TRY_VOID(oneOf("type", wanted.type, {"MANAGED", "UNMANAGED"}));
  BUOY_TRY_VOID(oneOf("state", wanted.state, {"ENABLED", "DISABLED"}));
  if (resources == nullptr && wanted.type == "MANAGED")
    return fail(ErrorCode::invalid_argument, "computeResources is required");
  if (wanted.type == "MANAGED") BUOY_TRY_VOID(readResources(body, resources, true, wanted));
  if (wanted.type == "UNMANAGED") BUOY_TRY_VOID(readUnmanaged(body, wanted));
  if (desk.backend.places()->pool(wanted.name) != nullptr)
    return fail(ErrorCode::already_exists, "Object already exists: a pool is called " + wanted.name);
  BUOY_TRY(Order made, order(desk, call, wanted, resources, service_role));
  BUOY_TRY_VOID(addTags(made.change, Thing::compute_environment, wanted.name, tags));
  return made;
}

Result<Order> updateComputeEnvironment(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const std::string name, environmentName(body));
  BUOY_TRY(const Library::Document before, kept(desk, name));
  WantedEnvironment wanted;
  wanted.name = name;
  wanted.type = front::textOf(*before, "type");
  wanted.state = front::textOf(*before, "state");
  wanted.model = front::textOf(*before, "model");
  std::string service_role = front::textOf(*before, "serviceRole");
  auto fields = body.fields();
  fields.get("state", wanted.state);
  fields.get("serviceRole", service_role);
  BUOY_TRY_VOID(oneOf("state", wanted.state, {"ENABLED", "DISABLED"}));
  // What is not said stays: the old resources with the new ones laid over them.
  api::Node merged = *before->find("computeResources");
  if (const api::Node* const changes = fields.map("computeResources")) {
    for (const api::Node& change : changes->items) {
      std::erase_if(merged.items, [&](const api::Node& item) { return item.key == change.key; });
      merged.items.push_back(change);
    }
  }
  wanted.spot = front::textOf(merged, "type") == "SPOT";
  if (wanted.type == "MANAGED") BUOY_TRY_VOID(readResources(body, &merged, false, wanted));
  if (wanted.type == "UNMANAGED") {
    parseNumber(front::textOf(*before, kUnmanagedVcpus), wanted.max_vcpus);
    BUOY_TRY_VOID(readUnmanaged(body, wanted));
  }
  return order(desk, call, wanted, &merged, service_role);
}

Result<Order> deleteComputeEnvironment(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const std::string name, environmentName(body));
  BUOY_TRY(const Library::Document before, kept(desk, name));
  if (front::textOf(*before, "state") != "DISABLED")
    return fail(ErrorCode::failed_precondition, strCat({"Cannot delete, found existing ComputeEnvironment ",
                                                        name, " in state ENABLED: disable it first"}));
  Order made;
  made.change.resources = {{std::string(kEnvironment), name, {}},
                           tagsOf(Thing::compute_environment, name, {})};
  made.change.events.emplace_back(engine::RemovePool{name});
  made.answer = [](const engine::Reply&) { return std::string("{}"); };
  return made;
}

Result<std::string> describeComputeEnvironments(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const Page page, readPage(body));
  auto fields = body.fields();
  std::vector<std::string> names;
  fields.get("computeEnvironments", names);
  BUOY_TRY_VOID(body.check());
  for (std::string& name : names) name = nameIn(name, Thing::compute_environment);
  const auto places = desk.backend.places();
  BUOY_TRY(const auto in_use, inUse(desk, *places));
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("computeEnvironments").beginArray();
  std::size_t written = 0;
  std::string next;
  for (const engine::Pool& pool : places->pools) {
    if (!names.empty() && std::find(names.begin(), names.end(), pool.name) == names.end()) continue;
    if (pool.name <= page.after) continue;
    if (written == page.most) {
      writer.endArray().field("nextToken", next).endObject();
      return json;
    }
    const auto found = in_use.find(pool.name);
    write(writer, desk, call.region, pool, found == in_use.end() ? 0 : found->second.vcpus());
    next = pool.name;
    ++written;
  }
  writer.endArray().endObject();
  return json;
}

}  // namespace buoy::gateways::batch
