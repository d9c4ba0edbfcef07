#include "api/config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "api/aws_section.h"
#include "api/input_source.h"
#include "api/json_writer.h"
#include "api/node.h"
#include "api/reader.h"
#include "api/spec_codec.h"
#include "base/strings.h"
#include "cloud/aws/known_types.h"
#include "cloud/aws/pool_config.h"

namespace buoy::api {
namespace {

constexpr std::size_t kMostPools = 100;
constexpr std::size_t kMostQueues = 1'000;
constexpr std::size_t kMostTypes = 200;
constexpr std::size_t kMostEntries = 10'000;
constexpr std::int32_t kMostMachines = 100'000;
constexpr std::size_t kMostListen = 16;
constexpr std::int64_t kMostCpus = 1'000'000;
constexpr std::size_t kMostWeights = 500;
constexpr Duration kLongestDecay = std::chrono::hours{24 * 7};
constexpr const char* kLocal = "local";
constexpr Duration kLocalLaunch = std::chrono::seconds{5};  // a process
constexpr const char* kAws = cloud::aws::kProviderName;

// "none", or a duration.
void readNotice(MapReader& reader, std::optional<Duration>& notice) {
  const Node* node = reader.find("notice");
  if (node == nullptr) return;
  if (node->kind == Node::Kind::string && node->text == "none") {
    notice.reset();
    return;
  }
  reader.get("notice", notice);
}

void writeNotice(JsonWriter& writer, const std::optional<Duration>& notice) {
  writer.key("notice");
  notice ? writer.value(*notice) : writer.value("none");
}

LocalMarket readMarket(MapReader& reader) {
  LocalMarket market;
  readNotice(reader, market.notice);
  int kinds = 0;
  if (const Node* script = reader.list("script")) {
    ++kinds;
    if (script->items.size() > kMostEntries) reader.wrong("script", "has more than 10,000 entries");
    for (std::size_t i = 0; i < std::min(script->items.size(), kMostEntries); ++i) {
      MapReader entry(reader.problems(), script->items[i],
                      strCat({reader.pathOf("script"), "[", std::to_string(i), "]"}));
      LocalMarket::Entry parsed{.notice = market.notice};
      entry.get("after", parsed.after);
      readNotice(entry, parsed.notice);
      entry.require("after");
      entry.refuseUnknown();
      market.script.push_back(parsed);
    }
  }
  if (reader.get("mean_uptime", market.mean_uptime)) {
    ++kinds;
    if (market.mean_uptime <= Duration{}) reader.wrong("mean_uptime", "must be more than 0");
  }
  reader.get("seed", market.seed);
  if (reader.get("trace", market.trace)) {
    ++kinds;
    if (market.trace.empty() || market.trace.find('\0') != std::string::npos)
      reader.wrong("trace", "must be a path");
  }
  if (reader.get("speed", market.speed) && !(market.speed >= 1e-3 && market.speed <= 1e6)) {
    reader.wrong("speed", "must be from 0.001 to 1000000");
  }
  if (kinds > 1) {
    reader.problems().add(reader.mark(), reader.pathOf("script"),
                          "script, mean_uptime and trace exclude one another: keep one of them");
  }
  reader.refuseUnknown();
  return market;
}

// The region of a pool on EC2: what is known of its types need not be said. Null: another provider's pool.
const std::string* ec2RegionOf(MapReader& pool, const std::string& provider) {
  static const std::string kNone;
  if (provider != kAws) return nullptr;
  const Node* section = pool.find("aws");
  const Node* region = section == nullptr ? nullptr : section->find("region");
  return region == nullptr ? &kNone : &region->text;
}

// Until EC2 has told what a spot machine costs.
constexpr std::int64_t kUsualSpotPercent = 40;

void readEc2Type(MapReader& reader, const std::string& region, engine::MachineType& type) {
  const auto known = cloud::aws::knownType(type.name, region);
  if (known) type.resources = known->resources;
  if (known && known->price) type.on_demand_price = *known->price;
  readResourceFields(reader, type.resources);
  reader.get("price", type.on_demand_price);
  type.spot_price = {type.on_demand_price.nano_usd / 100 * kUsualSpotPercent};
  reader.get("spot_price", type.spot_price);
  // Without a name or a region, that is what is wrong.
  if (reader.find("price") != nullptr || type.name.empty() || region.empty()) return;
  if (!known) {
    reader.wrong("name", strCat({inQuotes(type.name), " is a type that Buoy does not know: ",
                                 "give its cpus, memory, gpus and price (USD an hour on demand)"}));
  } else if (!known->price) {
    reader.wrong("name", strCat({"Buoy knows no price of ", inQuotes(type.name), " in ", region,
                                 ": give its price (USD an hour on demand)"}));
  }
}

// An item of `types` may be a name alone.
Node asMap(const Node& item) {
  if (item.kind != Node::Kind::string) return item;
  Node name = item;
  name.key = "name";
  name.key_mark = item.mark;
  Node map{.kind = Node::Kind::map, .mark = item.mark};
  map.items.push_back(std::move(name));
  return map;
}

engine::MachineType readType(Problems& problems, const Node& node, const std::string& path,
                             const std::string* ec2_region) {
  MapReader reader(problems, node, path);
  engine::MachineType type;
  reader.get("name", type.name);
  reader.require("name");
  if (ec2_region != nullptr) {
    readEc2Type(reader, *ec2_region, type);
  } else {
    readResourceFields(reader, type.resources);
    if (reader.get("price", type.on_demand_price)) type.spot_price = type.on_demand_price;
    reader.get("spot_price", type.spot_price);
    reader.require("price");
  }
  reader.refuseUnknown();
  if (!type.name.empty() && !isName(type.name))
    reader.wrong("name", "must be letters, digits, '.', '_' or '-', not " + inQuotes(type.name));
  if (type.resources.milli_cpus < 1) reader.wrong("cpus", "must be more than 0");
  if (type.resources.gpus < 0) reader.wrong("gpus", "must not be negative");
  return type;
}

void readTypes(MapReader& reader, engine::Pool& pool) {
  const Node* types = reader.list("types");
  if (types == nullptr) return;
  if (types->items.size() > kMostTypes) {
    reader.wrong("types", "has more than " + std::to_string(kMostTypes) + " entries");
    return;
  }
  const std::string* const ec2_region = ec2RegionOf(reader, pool.provider);
  std::set<std::string> names;
  for (std::size_t i = 0; i < types->items.size(); ++i) {
    const std::string path = strCat({reader.pathOf("types"), "[", std::to_string(i), "]"});
    pool.types.push_back(readType(reader.problems(), asMap(types->items[i]), path, ec2_region));
    if (!names.insert(pool.types.back().name).second) {
      reader.problems().add(types->items[i].mark, path + ".name",
                            inQuotes(pool.types.back().name) + " stands twice");
    }
  }
}

void readProviderSection(MapReader& reader, engine::Pool& pool) {
  if (pool.provider == kAws) {
    pool.provider_config = readAwsSection(reader);
    return;
  }
  const Node* market = reader.find("market");
  if (market == nullptr) return;
  if (pool.provider != kLocal) {
    pool.provider_config = toJson(*market);
    return;
  }
  MapReader section(reader.problems(), *market, reader.pathOf("market"));
  pool.provider_config = toJson(readMarket(section));
}

void readBilling(MapReader& reader, engine::BillingRule& rule) {
  const Node* node = reader.map("billing");
  if (node == nullptr) return;
  MapReader section(reader.problems(), *node, reader.pathOf("billing"));
  section.get("least", rule.least);
  section.get("free_within", rule.free_within);
  section.refuseUnknown();
}

void checkNamed(MapReader& reader, const std::string& name) {
  reader.require("name");
  if (!name.empty() && !isName(name)) {
    reader.wrong("name",
                 "must be 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit, not " +
                     inQuotes(name));
  }
}

// The list at `key`, one item after the other, with duplicate names refused.
template <class Item, class Read>
std::vector<Item> readNamed(MapReader& reader, std::string_view key, std::size_t most, Read read) {
  std::vector<Item> items;
  const Node* list = reader.list(key);
  if (list == nullptr) return items;
  if (list->items.size() > most) {
    reader.wrong(key, "has more than " + std::to_string(most) + " entries");
    return items;
  }
  std::set<std::string> names;
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const std::string path = strCat({reader.pathOf(key), "[", std::to_string(i), "]"});
    MapReader item(reader.problems(), list->items[i], path);
    items.push_back(read(item));
    item.refuseUnknown();
    if (const std::string& name = items.back().name; !name.empty() && !names.insert(name).second) {
      item.wrong("name", inQuotes(name) + " stands twice");
    }
  }
  return items;
}

void checkProvider(MapReader& reader, const engine::Pool& pool) {
  const std::vector<std::string> known{kLocal, kAws};
  if (pool.provider.empty() || pool.provider == kLocal || pool.provider == kAws) return;
  const auto meant = nearest(pool.provider, known);
  reader.wrong("provider", strCat({"must be one of ", join(known, ", "), "; not ", inQuotes(pool.provider),
                                   meant ? "; did you mean '" + *meant + "'?" : std::string()}));
}

void checkQueuePools(MapReader& reader, const engine::Queue& queue, const std::vector<std::string>& pools) {
  for (const std::string& name : queue.pools) {
    if (std::find(pools.begin(), pools.end(), name) != pools.end()) continue;
    const auto meant = nearest(name, pools);
    reader.wrong("pools",
                 strCat({"there is no pool ", inQuotes(name),
                         meant ? "; did you mean '" + *meant + "'?" : "; there are: " + join(pools, ", ")}));
  }
}

void checkStore(MapReader& reader, const std::string& store) {
  constexpr std::string_view kFile = "file://";
  if (store.starts_with("s3://")) {
    if (const auto bucket = parseInputSource(store); !bucket) reader.wrong("store", bucket.error().message);
    return;
  }
  if (!store.starts_with(kFile) || store.size() <= kFile.size() + 1 || store[kFile.size()] != '/') {
    reader.wrong("store",
                 "must be the URI of a directory or a bucket, file:///some/path or s3://bucket/prefix, not " +
                     inQuotes(store));
  }
}

void readAddresses(MapReader& reader, ServerConfig& config) {
  reader.get("listen", config.listen);
  if (config.listen.size() > kMostListen) reader.wrong("listen", "has more than 16 entries");
  if (!reader.get("advertise", config.advertise)) return;
  const bool http = config.advertise.starts_with("http://") || config.advertise.starts_with("https://");
  const std::string_view rest =
      std::string_view(config.advertise).substr(http ? config.advertise.find("//") + 2 : 0);
  if (!http || rest.empty() || rest.front() == ':' || rest.find_first_of("/?#") != std::string_view::npos)
    reader.wrong("advertise",
                 "must be a URL without a path, https://HOST:PORT, not " + inQuotes(config.advertise));
}

// What machines elsewhere need of the whole configuration.
void checkRemotePools(MapReader& reader, const ServerConfig& config) {
  const auto remote = std::find_if(config.pools.begin(), config.pools.end(),
                                   [](const engine::Pool& pool) { return pool.provider == kAws; });
  if (remote == config.pools.end()) return;
  if (!config.store.starts_with("s3://"))
    reader.wrong("store", strCat({"must be a bucket, s3://bucket/prefix: the machines of pool ",
                                  inQuotes(remote->name), " cannot reach this machine's directories"}));
}

std::string directoryOf(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? std::string() : file.substr(0, slash + 1);
}

// Traces are opened later and elsewhere, so their place is settled here.
void settleTrace(MapReader& reader, engine::Pool& pool, const std::string& directory) {
  if (pool.provider != kLocal || pool.provider_config.empty()) return;
  auto market = parseLocalMarket(pool.provider_config);
  if (!market || market->trace.empty()) return;
  if (!market->trace.starts_with('/')) market->trace = directory + market->trace;
  if (!market->trace.starts_with('/'))
    reader.wrong("market", "trace must be an absolute path, not " + inQuotes(market->trace));
  pool.provider_config = toJson(*market);
}

engine::MachineType hostType(std::string name, int cpus, ByteCount memory) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  const double gib = static_cast<double>(memory.value) / (1024.0 * 1024 * 1024);
  engine::MachineType type{.name = std::move(name)};
  type.resources.milli_cpus = cpus * 1000;
  type.resources.memory = ByteCount{memory.value / kMiB * kMiB};
  // Like a small cloud instance; rounded to a tenth of a cent so that they look like what they are: made up.
  const double dollars = std::max(0.001, std::round((0.05 * cpus + 0.005 * gib) * 1000) / 1000);
  type.on_demand_price.nano_usd = std::llround(dollars * 1e9);
  type.spot_price.nano_usd = std::llround(dollars * 0.3 * 1e9);
  return type;
}

constexpr std::size_t kMostLearned = 32;
constexpr std::int64_t kMostTransferPrice = 1'000'000'000'000;

// Files, or names that the control plane has made of them.
void readLearn(MapReader& reader, engine::Pool& pool) {
  if (!reader.get("learn", pool.learn)) return;
  if (pool.learn.size() > kMostLearned) reader.wrong("learn", "names more than 32 recorded markets");
  for (const std::string& file : pool.learn) {
    if (file.empty() || file.size() > 4096) reader.wrong("learn", "a file's name has 1 to 4096 bytes");
  }
}

// Files are read later and elsewhere, so their place is settled here.
void settleLearn(MapReader& reader, engine::Pool& pool, const std::string& directory) {
  for (std::string& file : pool.learn) {
    if (!file.starts_with('/')) file = directory + file;
    if (!file.starts_with('/'))
      reader.wrong("learn", "must name files by absolute paths, not " + inQuotes(file));
  }
}

}  // namespace

engine::Pool readPool(MapReader& reader) {
  engine::Pool pool = readKnownPool(reader);
  readProviderSection(reader, pool);
  if (pool.provider == kAws && reader.find("billing") == nullptr) pool.billing = cloud::aws::kBilling;
  return pool;
}

engine::Pool readKnownPool(MapReader& reader) {
  engine::Pool pool;
  pool.provider = kLocal;
  reader.get("name", pool.name);
  reader.get("provider", pool.provider);
  if (reader.get("max_machines", pool.max_machines) &&
      (pool.max_machines < 0 || pool.max_machines > kMostMachines)) {
    reader.wrong("max_machines",
                 "must be from 0 (no limit) to 100000, not " + std::to_string(pool.max_machines));
  }
  std::int64_t cpus = 0;
  if (reader.get("max_cpus", cpus) && (cpus < 0 || cpus > kMostCpus))
    reader.wrong("max_cpus", "must be from 0 (no limit) to 1000000");
  pool.max_milli_cpus = cpus * 1000;
  if (reader.get("min_machines", pool.min_machines) &&
      (pool.min_machines < 0 ||
       pool.min_machines > (pool.max_machines > 0 ? pool.max_machines : kMostMachines)))
    reader.wrong("min_machines", "must be from 0 to max_machines");
  reader.get("spot", pool.spot);
  reader.get("on_demand", pool.on_demand);
  reader.get("paused", pool.paused);
  if (reader.get("pack", pool.pack)) pool.never_packs = !pool.pack;
  reader.choice("isolation", pool.isolation, {engine::Isolation::container, engine::Isolation::process});
  reader.get("idle_timeout", pool.idle_timeout);
  if (reader.get("max_spot_percent", pool.max_spot_percent) &&
      (pool.max_spot_percent < 0 || pool.max_spot_percent > 1000))
    reader.wrong("max_spot_percent", "must be from 0 (any price) to 1000");
  if (reader.get("transfer_price", pool.transfer_price) &&
      (pool.transfer_price < Money{} || pool.transfer_price.nano_usd > kMostTransferPrice))
    reader.wrong("transfer_price", "must be from 0 to 1000 USD a GiB");
  readLearn(reader, pool);
  if (!reader.get("launch_time", pool.launch_time) && pool.provider == kLocal)
    pool.launch_time = kLocalLaunch;
  readTypes(reader, pool);
  readBilling(reader, pool.billing);
  checkNamed(reader, pool.name);
  reader.require("types");
  if (const Node* types = reader.find("types");
      types != nullptr && types->kind == Node::Kind::list && types->items.empty()) {
    reader.wrong("types", "needs at least one machine type");
  }
  if (!pool.provider.empty() && !isName(pool.provider))
    reader.wrong("provider", inQuotes(pool.provider) + " is no provider's name");
  if (!pool.spot && !pool.on_demand)
    reader.wrong("spot", "a pool offers spot or on-demand machines or both, not neither");
  return pool;
}

namespace {

void readShares(MapReader& reader, engine::Queue& queue) {
  const Node* const node = reader.map("share");
  if (node == nullptr) return;
  MapReader share(reader.problems(), *node, reader.pathOf("share"));
  engine::FairShare& fair = queue.fair.emplace();
  if (share.get("decay", fair.decay) && fair.decay > kLongestDecay)
    share.wrong("decay", "must be at most 7 days");
  if (share.get("reserve", fair.reserve) && (fair.reserve < 0 || fair.reserve > 99))
    share.wrong("reserve", "must be from 0 to 99 percent");
  if (const Node* const list = share.map("weights")) {
    MapReader weights(reader.problems(), *list, share.pathOf("weights"));
    if (list->items.size() > kMostWeights) share.wrong("weights", "has more than 500 entries");
    for (std::size_t i = 0; i < std::min(list->items.size(), kMostWeights); ++i) {
      engine::FairShare::Weight weight{list->items[i].key, 1};
      if (!isShare(weight.share.ends_with('*') ? weight.share.substr(0, weight.share.size() - 1)
                                               : weight.share))
        weights.wrong(weight.share, inQuotes(weight.share) + " is no share's name");
      if (weights.get(weight.share, weight.weight) && !(weight.weight >= 0.001 && weight.weight <= 10'000))
        weights.wrong(weight.share, "must be from 0.001 to 10000");
      fair.weights.push_back(std::move(weight));
    }
  }
  share.refuseUnknown();
}

void readStuck(MapReader& reader, engine::Queue& queue) {
  const Node* const node = reader.map("stuck");
  if (node == nullptr) return;
  MapReader stuck(reader.problems(), *node, reader.pathOf("stuck"));
  const std::pair<engine::StuckFor, std::string_view> causes[] = {
      {engine::StuckFor::no_type, "no machine type is large enough"},
      {engine::StuckFor::too_large, "it needs more machines than any pool may have"},
      {engine::StuckFor::no_capacity, "no machine can be had"}};
  for (const auto& [cause, words] : causes) {
    engine::StuckLimit limit{.cause = cause, .after = {}, .reason = {}};
    if (!stuck.get(toString(cause), limit.after)) continue;
    limit.reason = strCat({"given up after ", formatDuration(limit.after), ": ", words});
    if (limit.after <= Duration{}) stuck.wrong(toString(cause), "must be more than 0");
    queue.stuck_limits.push_back(std::move(limit));
  }
  stuck.refuseUnknown();
}

}  // namespace

engine::Queue readQueue(MapReader& reader) {
  engine::Queue queue;
  reader.get("name", queue.name);
  if (reader.get("priority", queue.priority) &&
      std::abs(static_cast<std::int64_t>(queue.priority)) > 1'000'000) {
    reader.wrong("priority", "must be from -1000000 to 1000000");
  }
  reader.get("pools", queue.pools);
  reader.get("paused", queue.paused);
  readShares(reader, queue);
  readStuck(reader, queue);
  checkNamed(reader, queue.name);
  reader.require("pools");
  if (queue.pools.size() > kMostPools) reader.wrong("pools", "has more than 100 entries");
  for (const std::string& name : queue.pools) {
    if (!isName(name)) reader.wrong("pools", inQuotes(name) + " is no pool's name");
  }
  return queue;
}

Parsed<ServerConfig> parseServerConfig(std::string_view yaml, const std::string& file) {
  auto root = parseYamlTree(yaml, file);
  if (!root) return tl::unexpected(std::move(root).error());
  ServerConfig config;
  if (root->kind == Node::Kind::null) return config;  // nothing but comments
  Problems problems(file);
  MapReader reader(problems, *root, {});
  if (reader.get("store", config.store)) checkStore(reader, config.store);
  readAddresses(reader, config);
  config.pools = readNamed<engine::Pool>(reader, "pools", kMostPools, [&](MapReader& item) {
    engine::Pool pool = readPool(item);
    checkProvider(item, pool);
    settleTrace(item, pool, directoryOf(file));
    settleLearn(item, pool, directoryOf(file));
    config.written[pool.name] = item.written();
    return pool;
  });
  std::vector<std::string> pools;
  for (const engine::Pool& pool : config.pools) pools.push_back(pool.name);
  if (pools.empty()) pools.emplace_back(kLocal);
  config.queues = readNamed<engine::Queue>(reader, "queues", kMostQueues, [&](MapReader& item) {
    engine::Queue queue = readQueue(item);
    checkQueuePools(item, queue, pools);
    return queue;
  });
  checkRemotePools(reader, config);
  reader.refuseUnknown();
  if (!problems.empty()) return tl::unexpected(problems.take());
  return config;
}

ServerConfig defaultServerConfig(int host_cpus, ByteCount host_memory) {
  return withDefaults({}, host_cpus, host_memory);
}

ServerConfig withDefaults(ServerConfig config, int host_cpus, ByteCount host_memory) {
  if (config.pools.empty()) {
    const int cpus = std::clamp(host_cpus, 1, 4096);
    engine::Pool pool{.name = kLocal, .provider = kLocal};
    pool.launch_time = kLocalLaunch;
    for (int n = 1; n < cpus; n *= 2) {
      const ByteCount share{host_memory.value / static_cast<std::uint64_t>(cpus) *
                            static_cast<std::uint64_t>(n)};
      pool.types.push_back(hostType("cpu-" + std::to_string(n), n, share));
    }
    pool.types.push_back(hostType("host", cpus, host_memory));
    // Local machines share the host, and most jobs wait for something most of the time.
    pool.max_machines = 4 * cpus;
    pool.provider_config = toJson(LocalMarket{});
    config.pools.push_back(std::move(pool));
  }
  if (config.queues.empty()) {
    engine::Queue queue{.name = "default"};
    for (const engine::Pool& pool : config.pools) queue.pools.push_back(pool.name);
    config.queues.push_back(std::move(queue));
  }
  return config;
}

Result<LocalMarket> parseLocalMarket(std::string_view json) {
  if (trim(json).empty()) return LocalMarket{};
  BUOY_TRY(const Node root, parseMessage(json));
  Problems problems{{}};
  MapReader reader(problems, root, "market");
  LocalMarket market = readMarket(reader);
  BUOY_TRY_VOID(firstProblem(problems));
  return market;
}

std::string toJson(const LocalMarket& market) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  writeNotice(writer, market.notice);
  if (!market.script.empty()) {
    writer.key("script").beginArray();
    for (const LocalMarket::Entry& entry : market.script) {
      writer.beginObject().field("after", entry.after);
      writeNotice(writer, entry.notice);
      writer.endObject();
    }
    writer.endArray();
  }
  if (market.mean_uptime > Duration{}) writer.field("mean_uptime", market.mean_uptime);
  writer.field("seed", market.seed);
  if (!market.trace.empty()) writer.field("trace", market.trace);
  writer.field("speed", market.speed).endObject();
  return out;
}

void writePoolFields(JsonWriter& writer, const engine::Pool& pool) {
  writer.field("name", pool.name).field("provider", pool.provider).field("max_machines", pool.max_machines);
  if (pool.max_milli_cpus != 0) writer.field("max_cpus", pool.max_milli_cpus / 1000);
  if (pool.min_machines != 0) writer.field("min_machines", pool.min_machines);
  writer.field("spot", pool.spot).field("on_demand", pool.on_demand).field("paused", pool.paused);
  if (pool.pack || pool.never_packs) writer.field("pack", pool.pack);
  writer.field("isolation", toString(pool.isolation));
  if (pool.idle_timeout != Duration{}) writer.field("idle_timeout", pool.idle_timeout);
  if (pool.max_spot_percent != 0) writer.field("max_spot_percent", pool.max_spot_percent);
  if (pool.launch_time != Duration{}) writer.field("launch_time", pool.launch_time);
  if (pool.transfer_price != Money{}) writer.field("transfer_price", pool.transfer_price);
  if (!pool.learn.empty()) writeTexts(writer, "learn", pool.learn);
  if (pool.billing != engine::BillingRule{} || pool.provider == kAws) {
    writer.key("billing").beginObject().field("least", pool.billing.least);
    writer.field("free_within", pool.billing.free_within).endObject();
  }
  writer.key("types").beginArray();
  for (const engine::MachineType& type : pool.types) {
    writer.beginObject().field("name", type.name);
    writeResourceFields(writer, type.resources);
    writer.field("price", type.on_demand_price).field("spot_price", type.spot_price).endObject();
  }
  writer.endArray();
  if (pool.provider_config.empty()) return;
  writer.key(pool.provider == kAws ? std::string_view("aws") : std::string_view("market"));
  writer.raw(pool.provider_config);
}

void writeQueueFields(JsonWriter& writer, const engine::Queue& queue) {
  writer.field("name", queue.name).field("priority", queue.priority);
  writeTexts(writer, "pools", queue.pools);
  writer.field("paused", queue.paused);
  if (queue.fair) {
    writer.key("share").beginObject().field("decay", queue.fair->decay).field("reserve", queue.fair->reserve);
    writer.key("weights").beginObject();
    for (const engine::FairShare::Weight& each : queue.fair->weights) writer.field(each.share, each.weight);
    writer.endObject().endObject();
  }
  if (queue.stuck_limits.empty()) return;
  writer.key("stuck").beginObject();
  for (const engine::StuckLimit& limit : queue.stuck_limits) writer.field(toString(limit.cause), limit.after);
  writer.endObject();
}

std::string toJson(const engine::Pool& pool) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  writePoolFields(writer, pool);
  writer.endObject();
  return out;
}

std::string toJson(const engine::Queue& queue) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  writeQueueFields(writer, queue);
  writer.endObject();
  return out;
}

Parsed<engine::Pool> parsePoolJson(std::string_view json) {
  auto root = parseJsonTree(json, kSpecJsonLimits);
  if (!root) return tl::unexpected(std::move(root).error());
  Problems problems{{}};
  MapReader reader(problems, *root, {});
  engine::Pool pool = readPool(reader);
  for (const char* shown : {"in_use", "failures", "retry_at", "spot_failures", "spot_retry_at"})
    reader.find(shown);
  reader.refuseUnknown();
  if (!problems.empty()) return tl::unexpected(problems.take());
  return pool;
}

Parsed<engine::Queue> parseQueueJson(std::string_view json) {
  auto root = parseJsonTree(json, kSpecJsonLimits);
  if (!root) return tl::unexpected(std::move(root).error());
  Problems problems{{}};
  MapReader reader(problems, *root, {});
  engine::Queue queue = readQueue(reader);
  reader.find("unfinished");
  reader.refuseUnknown();
  if (!problems.empty()) return tl::unexpected(problems.take());
  return queue;
}

}  // namespace buoy::api
