#include "api/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/aws/pool_config.h"

namespace buoy::api {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kPool = "pools:\n- {name: local, types: [{name: small, price: 1.00}]}\n";

std::string configProblems(std::string_view text) {
  const auto config = parseServerConfig(text, "/etc/buoy/config.yaml");
  if (config) return "none";
  std::string all;
  for (const Problem& problem : config.error()) all += problem.toString() + "\n";
  return all;
}

LocalMarket marketOf(const std::string& market) {
  const auto config = parseServerConfig(
      "pools:\n- {name: l, types: [{name: s, price: 1}], market: " + market + "}", "/etc/buoy/config.yaml");
  if (!config) {
    ADD_FAILURE() << config.error().front().toString();
    return {};
  }
  return parseLocalMarket(config->pools.front().provider_config).value();
}

std::string marketProblem(const std::string& market) {
  return configProblems("pools:\n- {name: l, types: [{name: s, price: 1}], market: " + market + "}");
}

TEST(ServerConfig, ReadsPoolsQueuesAndStore) {
  const auto config = parseServerConfig(R"(
store: file:///srv/buoy
pools:
  - name: local
    provider: local
    max_machines: 8
    types:
      - {name: small, cpus: 0.5, memory: 1GiB, price: 1.00, spot_price: 0.30}
      - {name: large, cpus: 4, gpus: 1, price: 2.5}
    market:
      script: [{after: 6s, notice: 2s}, {after: 8s}]
  - {name: other, on_demand: false, paused: true, learn: [zones/a.json, /b.json], types: [{name: t, price: 0}]}
queues:
  - {name: default, priority: 0, pools: [local, other]}
  - {name: night, priority: -5, pools: other, paused: true}
)",
                                        "/etc/config.yaml");
  ASSERT_TRUE(config) << config.error().front().toString();
  EXPECT_EQ(config->pools[1].learn, (std::vector<std::string>{"/etc/zones/a.json", "/b.json"}));
  EXPECT_EQ(config->store, "file:///srv/buoy");
  ASSERT_EQ(config->pools.size(), 2u);
  const engine::Pool& pool = config->pools[0];
  EXPECT_EQ(pool.max_machines, 8);
  EXPECT_TRUE(pool.spot && pool.on_demand && !pool.paused);
  EXPECT_EQ(pool.types[0].resources, (engine::Resources{500, 0, ByteCount{1u << 30}}));
  EXPECT_EQ(pool.types[0].on_demand_price, PricePerHour{1'000'000'000});
  EXPECT_EQ(pool.types[0].spot_price, PricePerHour{300'000'000});
  EXPECT_EQ(pool.types[1].spot_price, pool.types[1].on_demand_price) << "unless given";
  const LocalMarket market = parseLocalMarket(pool.provider_config).value();
  EXPECT_EQ(market.script, (std::vector<LocalMarket::Entry>{{6s, 2s}, {8s, std::nullopt}}));
  EXPECT_FALSE(config->pools[1].on_demand);
  EXPECT_TRUE(config->pools[1].paused);
  EXPECT_EQ(config->queues[1].priority, -5);
  EXPECT_EQ(config->queues[1].pools, std::vector<std::string>{"other"});
  EXPECT_TRUE(config->queues[1].paused);
}

TEST(ServerConfig, ReadsSharesAndWhatIsGivenUp) {
  const auto config = parseServerConfig(R"(
pools:
  - {name: local, max_machines: 8, min_machines: 2, types: [{name: t, price: 0}]}
queues:
  - name: team
    pools: [local]
    share: {decay: 1h, reserve: 20, weights: {ada: 3, "guest*": 0.5}}
    stuck: {no_capacity: 2h, no_type: 10m}
)",
                                        "/etc/config.yaml");
  ASSERT_TRUE(config) << config.error().front().toString();
  EXPECT_EQ(config->pools[0].min_machines, 2);
  const engine::Queue& queue = config->queues[0];
  EXPECT_EQ(queue.fair, (engine::FairShare{1h, 20, {{"ada", 3}, {"guest*", 0.5}}}));
  ASSERT_EQ(queue.stuck_limits.size(), 2u);
  EXPECT_EQ(queue.stuck_limits[0].cause, engine::StuckFor::no_type);
  EXPECT_EQ(queue.stuck_limits[1].after, 2h);
  EXPECT_EQ(queue.stuck_limits[1].reason, "given up after 2h 0m: no machine can be had");
  const auto again = parseQueueJson(toJson(queue));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->fair, queue.fair);
  EXPECT_EQ(again->stuck_limits, queue.stuck_limits);
  const auto wrong = [](const std::string& fields) {
    return configProblems(
        "pools: [{name: local, types: [{name: t, price: 0}]}]\nqueues: [{name: q, pools: [local], " + fields +
        "}]\n");
  };
  EXPECT_THAT(wrong("share: {decay: 8d}"), HasSubstr("share.decay: must be at most 7 days"));
  EXPECT_THAT(wrong("share: {reserve: 100}"), HasSubstr("share.reserve: must be from 0 to 99 percent"));
  EXPECT_THAT(wrong("share: {weights: {a: 0}}"), HasSubstr("share.weights.a: must be from 0.001 to 10000"));
  EXPECT_THAT(wrong("share: {weights: {'a b': 1}}"), HasSubstr("is no share's name"));
  EXPECT_THAT(wrong("share: {wait: 1}"), HasSubstr("unknown key 'wait'"));
  EXPECT_THAT(wrong("stuck: {no_type: 0}"), HasSubstr("must be more than 0"));
}

TEST(ServerConfig, MayBeEmpty) {
  for (const char* text : {"", "# nothing yet\n", "store:\n", "pools:\n"})
    EXPECT_EQ(configProblems(text), "none") << text;
}

TEST(ServerConfig, NamesThePlaceOfEachMistake) {
  EXPECT_THAT(configProblems("pool: []"),
              HasSubstr("config.yaml:1:1: pool: unknown key 'pool'; did you mean 'pools'?"));
  EXPECT_THAT(configProblems("store: /srv/buoy"),
              HasSubstr("config.yaml:1:8: store: must be the URI of a directory or a bucket"));
  EXPECT_THAT(configProblems("store: file://relative"), HasSubstr("store: must be the URI"));
  EXPECT_THAT(configProblems("store: s3://"), HasSubstr("store: 's3://' names no bucket"));
  EXPECT_EQ(configProblems("store: s3://bucket/prefix"), "none");
  EXPECT_THAT(configProblems("pools: {a: b}"), HasSubstr("pools: must be a list, not a map"));
  EXPECT_THAT(configProblems("pools: [x]"), HasSubstr("pools[0]: must be a map"));
  EXPECT_THAT(configProblems("pools:\n- {types: [{name: s, price: 1}]}"),
              HasSubstr("pools[0].name: is required"));
  EXPECT_THAT(configProblems("pools:\n- {name: l}"), HasSubstr("pools[0].types: is required"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, types: []}"),
              HasSubstr("pools[0].types: needs at least one machine type"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, provider: locl, types: [{name: s, price: 1}]}"),
              HasSubstr("did you mean 'local'?"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, max_machines: -1, types: [{name: s, price: 1}]}"),
              HasSubstr("max_machines: must be from 0"));
  EXPECT_THAT(
      configProblems("pools:\n- {name: l, spot: false, on_demand: false, types: [{name: s, price: 1}]}"),
      HasSubstr("not neither"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, spot: maybe, types: [{name: s, price: 1}]}"),
              HasSubstr("must be true or false"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, types: [{name: s}]}"),
              HasSubstr("pools[0].types[0].price: is required"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, types: [{name: s, price: -1}]}"),
              HasSubstr("must be a price in USD"));
  EXPECT_THAT(configProblems("pools:\n- {name: l, types: [{name: s, price: 1}, {name: s, price: 1}]}"),
              HasSubstr("'s' stands twice"));
  EXPECT_THAT(configProblems(std::string(kPool) + "- {name: local, types: [{name: s, price: 1}]}"),
              HasSubstr("config.yaml:3:10: pools[1].name: 'local' stands twice"));
  EXPECT_THAT(configProblems(std::string(kPool) + "queues:\n- {name: q, pools: [lokal]}"),
              HasSubstr("there is no pool 'lokal'; did you mean 'local'?"));
  EXPECT_THAT(configProblems("queues:\n- {name: q, pools: [local]}"), HasSubstr("none"))
      << "the default pool";
  EXPECT_THAT(configProblems(std::string(kPool) + "queues:\n- {name: q}"),
              HasSubstr("queues[0].pools: is required"));
  EXPECT_THAT(configProblems(std::string(kPool) + "queues:\n- {name: q, pools: [local], priority: 99999999}"),
              HasSubstr("priority: must be from"));
}

TEST(LocalMarket, ReadsItsThreeKinds) {
  const LocalMarket drawn = marketOf("{mean_uptime: 10m, seed: 7, notice: 30s}");
  EXPECT_EQ(drawn.mean_uptime, 10min);
  EXPECT_EQ(drawn.seed, 7u);
  EXPECT_EQ(drawn.notice, 30s);
  const LocalMarket replayed = marketOf("{trace: /var/trace.csv, speed: 60}");
  EXPECT_EQ(replayed.trace, "/var/trace.csv");
  EXPECT_EQ(replayed.speed, 60);
  EXPECT_EQ(replayed.notice, std::nullopt);
  EXPECT_EQ(marketOf("{trace: ../t.csv}").trace, "/etc/buoy/../t.csv") << "from the file's directory";
  EXPECT_EQ(marketOf("{script: []}"), LocalMarket{});
  EXPECT_EQ(parseLocalMarket("").value(), LocalMarket{});
}

TEST(LocalMarket, AScriptTakesTheMarketsNoticeWhereItSaysNothing) {
  const LocalMarket market =
      marketOf("{notice: 5s, script: [{after: 1s}, {after: 1s, notice: none}, {after: 1s, notice: 9s}]}");
  EXPECT_EQ(market.script, (std::vector<LocalMarket::Entry>{{1s, 5s}, {1s, std::nullopt}, {1s, 9s}}));
  EXPECT_EQ(parseLocalMarket(toJson(market)).value(), market);
}

TEST(LocalMarket, RefusesWhatMakesNoSense) {
  EXPECT_THAT(marketProblem("{mean_uptime: 1m, script: [{after: 1s}]}"), HasSubstr("exclude one another"));
  EXPECT_THAT(marketProblem("{script: [{notice: 1s}]}"),
              HasSubstr("pools[0].market.script[0].after: is required"));
  EXPECT_THAT(marketProblem("{mean_uptime: 0}"), HasSubstr("must be more than 0"));
  EXPECT_THAT(marketProblem("{speed: 0}"), HasSubstr("speed: must be from"));
  EXPECT_THAT(marketProblem("{notice: soon}"), HasSubstr("notice: 'soon' is not a duration"));
  EXPECT_THAT(marketProblem("{seed: -1}"), HasSubstr("must not be negative"));
  EXPECT_THAT(marketProblem("{scrpt: []}"), HasSubstr("did you mean 'script'?"));
  EXPECT_FALSE(parseLocalMarket("{"));
}

TEST(LocalMarket, RoundTrips) {
  for (const LocalMarket& market : {LocalMarket{}, LocalMarket{.script = {{250ms, 1s}, {0s, std::nullopt}}},
                                    LocalMarket{.mean_uptime = 90s, .seed = 12345, .notice = 2s},
                                    LocalMarket{.trace = "/a b/\"t\".csv", .speed = 0.25}}) {
    EXPECT_EQ(parseLocalMarket(toJson(market)).value(), market) << toJson(market);
  }
}

TEST(DefaultConfig, FitsTheHost) {
  const ServerConfig config = defaultServerConfig(6, ByteCount{std::uint64_t{12} << 30});
  ASSERT_EQ(config.pools.size(), 1u);
  const engine::Pool& pool = config.pools.front();
  EXPECT_EQ(pool.name, "local");
  EXPECT_EQ(pool.max_machines, 24);
  std::vector<std::string> names;
  for (const engine::MachineType& type : pool.types) {
    names.push_back(type.name);
    EXPECT_LT(type.spot_price, type.on_demand_price);
    EXPECT_GT(type.spot_price, PricePerHour{});
  }
  EXPECT_EQ(names, (std::vector<std::string>{"cpu-1", "cpu-2", "cpu-4", "host"}));
  EXPECT_EQ(pool.types.front().resources, (engine::Resources{1000, 0, ByteCount{std::uint64_t{2} << 30}}));
  EXPECT_EQ(pool.types.back().resources, (engine::Resources{6000, 0, ByteCount{std::uint64_t{12} << 30}}));
  ASSERT_EQ(config.queues.size(), 1u);
  EXPECT_EQ(config.queues.front().name, "default");
  EXPECT_EQ(config.queues.front().pools, std::vector<std::string>{"local"});
  EXPECT_EQ(defaultServerConfig(0, ByteCount{}).pools.front().types.size(), 1u)
      << "whatever the host says of itself";
}

TEST(DefaultConfig, FillsOnlyWhatIsLeftOut) {
  auto config = parseServerConfig(kPool, "c.yaml");
  ASSERT_TRUE(config);
  const ServerConfig filled = withDefaults(*config, 2, ByteCount{1u << 30});
  EXPECT_EQ(filled.pools.front().types.front().name, "small");
  EXPECT_EQ(filled.queues.front().pools, std::vector<std::string>{"local"});
}

TEST(PoolJson, RoundTrips) {
  engine::Pool pool = defaultServerConfig(4, ByteCount{std::uint64_t{7} << 30}).pools.front();
  pool.paused = true;
  pool.pack = true;
  pool.on_demand = false;
  pool.provider_config = toJson(LocalMarket{.script = {{1s, 2s}}});
  pool.transfer_price = Money{20'000'000};
  pool.learn = {"/srv/zone.json#0123456789abcdef"};
  const auto parsed = parsePoolJson(toJson(pool));
  ASSERT_TRUE(parsed) << parsed.error().front().toString();
  EXPECT_EQ(toJson(*parsed), toJson(pool));
  EXPECT_EQ(parsed->learn, pool.learn);
  EXPECT_EQ(parsed->transfer_price, pool.transfer_price);
  EXPECT_FALSE(parsed->never_packs);
  engine::Pool whole = pool;
  whole.pack = false;
  EXPECT_FALSE(parsePoolJson(toJson(whole))->never_packs) << "nothing was said of it";
  whole.never_packs = true;
  EXPECT_TRUE(parsePoolJson(toJson(whole))->never_packs);
  engine::Pool foreign = pool;
  foreign.provider = "lunar";
  foreign.provider_config = R"({"crater":[1,2.50,null,true,"a"],"deep":{"x":"y"}})";
  EXPECT_EQ(parsePoolJson(toJson(foreign))->provider_config, foreign.provider_config) << "kept as it is";
}

TEST(QueueJson, RoundTripsAndRefusesUnknownKeys) {
  const engine::Queue queue{"night", -3, {"a", "b"}, true};
  EXPECT_EQ(toJson(*parseQueueJson(toJson(queue))), toJson(queue));
  const auto bad = parseQueueJson(R"({"name":"q","pools":["a"],"prioriti":1})");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().front().toString(), "prioriti: unknown key 'prioriti'; did you mean 'priority'?");
}

std::string awsPool(const std::string& section) {
  return "store: s3://bucket/buoy\nlisten: [0.0.0.0:7433]\nadvertise: https://buoy.example.org:7433\npools:\n"
         "- {name: aws, provider: aws, types: [{name: m5.large, cpus: 2, memory: 8GiB, price: 0.107}], "
         "aws: " +
         section + "}";
}

TEST(ServerConfig, ReadsAPoolOnAws) {
  const auto config =
      parseServerConfig(awsPool("{region: eu-west-1, zones: [eu-west-1a], image: {id: ami-0123}, "
                                "max_price_percent: 50, tags: {a: b},\n"
                                " root_volume: 100GiB, key_pair: k, ssh_from: 203.0.113.7/32}"),
                        "config.yaml");
  ASSERT_TRUE(config) << config.error().front().toString();
  EXPECT_EQ(config->advertise, "https://buoy.example.org:7433");
  EXPECT_EQ(config->listen, std::vector<std::string>{"0.0.0.0:7433"});
  const auto pool = cloud::aws::parsePoolConfig(config->pools[0].provider_config);
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ(pool->region, "eu-west-1");
  EXPECT_EQ(pool->image_id, "ami-0123");
  EXPECT_EQ(pool->max_price_percent, 50);
  EXPECT_EQ(pool->root_volume, ByteCount{std::uint64_t{100} << 30});
  EXPECT_EQ(pool->ssh_from, std::vector<std::string>{"203.0.113.7/32"});
  EXPECT_EQ(config->pools[0].billing, cloud::aws::kBilling);
  // As GET gives it, PUT takes it.
  const auto again = parsePoolJson(toJson(config->pools[0]));
  ASSERT_TRUE(again) << again.error().front().toString();
  EXPECT_EQ(again->billing, cloud::aws::kBilling);
  engine::Pool plain = *again;
  plain.billing = {};
  EXPECT_EQ(parsePoolJson(toJson(plain))->billing, engine::BillingRule{}) << "no rule is a rule, too";
  EXPECT_EQ(again->provider_config, config->pools[0].provider_config);
}

std::string awsTypes(const std::string& types, const std::string& region = "eu-west-1") {
  return "store: s3://bucket/buoy\npools:\n- {name: aws, provider: aws, types: " + types +
         ", aws: {region: " + region + "}}";
}

TEST(ServerConfig, KnowsTheCommonTypesOfEc2ByName) {
  const auto config = parseServerConfig(
      awsTypes("[g5.12xlarge, {name: g4dn.xlarge, price: 0.5, spot_price: 0.2}, {name: m5.large, cpus: 1}]"),
      "c");
  ASSERT_TRUE(config) << config.error().front().toString();
  const auto& types = config->pools[0].types;
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  EXPECT_EQ(types[0].resources, (engine::Resources{48'000, 4, ByteCount{192 * kGiB}}));
  EXPECT_GT(types[0].on_demand_price.nano_usd, 5'672'000'000) << "dearer than in us-east-1";
  EXPECT_LT(types[0].spot_price, types[0].on_demand_price) << "until EC2 has told";
  EXPECT_EQ(types[1].resources, (engine::Resources{4'000, 1, ByteCount{16 * kGiB}}));
  EXPECT_EQ(types[1].on_demand_price.nano_usd, 500'000'000);
  EXPECT_EQ(types[1].spot_price.nano_usd, 200'000'000);
  EXPECT_EQ(types[2].resources, (engine::Resources{1'000, 0, ByteCount{8 * kGiB}}));
}

TEST(ServerConfig, SaysWhatItDoesNotKnowOfATypeOfEc2) {
  EXPECT_THAT(
      configProblems(awsTypes("[x9.huge]")),
      HasSubstr("pools[0].types[0].name: 'x9.huge' is a type that Buoy does not know: give its cpus"));
  EXPECT_THAT(configProblems(awsTypes("[g5.xlarge]", "ap-south-1")),
              HasSubstr("no price of 'g5.xlarge' in ap-south-1: give its price"));
  EXPECT_THAT(configProblems(awsTypes("[g5.xlarge, g5.xlarge]")), HasSubstr("stands twice"));
  EXPECT_THAT(configProblems(awsTypes("[{cpus: 4}]")), HasSubstr("types[0].name: is required"));
  EXPECT_EQ(configProblems(awsTypes("[{name: x9.huge, cpus: 8, price: 1}]")), "none");
  EXPECT_THAT(configProblems("pools:\n- {name: l, types: [g5.xlarge]}"),
              HasSubstr("types[0].price: is required"));
}

TEST(ServerConfig, ReadsHowAPoolIsBilled) {
  const auto config = parseServerConfig(
      "pools:\n- {name: l, types: [{name: s, price: 1}], billing: {least: 1m, free_within: 1h}}", "c.yaml");
  ASSERT_TRUE(config) << config.error().front().toString();
  EXPECT_EQ(config->pools[0].billing, cloud::aws::kBilling);
  EXPECT_THAT(configProblems("pools:\n- {name: l, types: [{name: s, price: 1}], billing: {most: 1m}}"),
              HasSubstr("unknown key 'most'"));
}

TEST(ServerConfig, SaysWhatIsWrongWithAPoolOnAws) {
  EXPECT_THAT(configProblems(awsPool("{}")), HasSubstr("region"));
  EXPECT_THAT(configProblems(awsPool("{region: eu-west-1, zone: eu-west-1a}")),
              HasSubstr("did you mean 'zones'?"));
  EXPECT_THAT(configProblems(awsPool("{region: eu-west-1, zones: us-east-1a}")),
              HasSubstr("is no zone of eu-west-1"));
  EXPECT_THAT(configProblems(awsPool("{region: eu-west-1, image: {ami: x}}")),
              HasSubstr("pools[0].aws.image.ami"));
  EXPECT_THAT(configProblems(awsPool("{region: eu-west-1, max_price: 0}")), HasSubstr("must be more than 0"));
  EXPECT_THAT(
      configProblems(
          "pools:\n- {name: a, provider: aws, types: [{name: t, price: 1}], aws: {region: eu-west-1}}"),
      HasSubstr("must be a bucket"));
  EXPECT_THAT(configProblems("pools:\n- {name: a, provider: aws, types: [{name: t, price: 1}]}"),
              HasSubstr("aws"));
  for (const char* address :
       {"buoy.example.org", "https://:7433", "https://", "https://buoy.example.org/path"})
    EXPECT_THAT(configProblems(std::string("advertise: ") + address),
                HasSubstr("must be a URL without a path"))
        << address;
}

}  // namespace
}  // namespace buoy::api
