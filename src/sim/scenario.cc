#include "sim/scenario.h"

#include <algorithm>

#include "base/strings.h"
#include "sim/random.h"

namespace buoy::sim {

using namespace std::chrono_literals;
using Kind = Happening::Kind;

namespace {

constexpr std::string_view kKinds[] = {
    "submit", "cancel",     "reclaim",    "take",      "silence", "crash",  "launches_fail", "slow",
    "mute",   "dead_boots", "delay",      "lossy",     "doubled", "replay", "store_out",     "agent_restart",
    "unfit",  "denied",     "pause_pool", "put_queue", "open",    "warned"};
constexpr std::string_view kCrashPoints[] = {"idle", "before_commit", "after_commit", "amid_actions",
                                             "before_replies"};
constexpr std::string_view kWarned[] = {"told in time", "told late", "not told"};
constexpr std::string_view kErrors[] = {"capacity", "quota", "throttled", "price", "invalid", "other"};

Duration seconds(Random& random, int low, int high) {
  return random.between(Duration{std::chrono::seconds{low}}, Duration{std::chrono::seconds{high}});
}

engine::Pool poolOf(const std::string& name, std::int32_t max_machines) {
  engine::Pool pool;
  pool.name = name;
  pool.provider = "sim";
  pool.types = {{"small", {.milli_cpus = 1000, .gpus = 0, .memory = {}}, {1'000'000'000}, {300'000'000}},
                {"large", {.milli_cpus = 8000, .gpus = 1, .memory = {}}, {8'000'000'000}, {2'400'000'000}}};
  pool.max_machines = max_machines;
  return pool;
}

std::shared_ptr<const Market> marketOf(Random& random, Time begin, Duration length) {
  std::vector<SteppedMarket::Step> steps;
  for (Duration at{}; at < length; at += seconds(random, 60, 600)) {
    const std::int64_t price = 200'000'000 + random.below(20) * 10'000'000LL;
    steps.push_back({begin + at, {static_cast<std::int32_t>(random.below(6)), {price}}});
  }
  return std::make_shared<SteppedMarket>(std::move(steps));
}

Happening submitOf(Random& random, std::uint32_t number) {
  Happening submit;
  submit.at = random.oneIn(2) ? Duration{0} : seconds(random, 0, 300);
  engine::JobRequest& request = submit.request;
  request.name = "job-" + std::to_string(number);
  request.queue = random.oneIn(3) ? "urgent" : "default";
  request.machines = random.oneIn(3) ? static_cast<std::int32_t>(2 + random.below(2)) : 1;
  if (random.oneIn(4)) request.resources.milli_cpus = 4000;
  request.spot = static_cast<engine::SpotPreference>(random.below(3));
  request.priority = static_cast<std::int32_t>(random.below(3));
  if (random.oneIn(8)) request.max_run = seconds(random, 30, 200);
  if (random.oneIn(8)) request.max_wait = seconds(random, 60, 600);
  if (random.oneIn(3)) request.pools = {random.oneIn(2) ? "a" : "b"};
  request.stop_grace = seconds(random, 1, 30);
  JobPlan& plan = submit.plan;
  plan.work = seconds(random, 10, 400);
  plan.prepare = seconds(random, 0, 10);
  plan.restore = seconds(random, 0, 10);
  plan.save_every = random.oneIn(6) ? Duration{0} : seconds(random, 10, 60);
  plan.save = seconds(random, 1, 8);
  plan.leave = seconds(random, 0, 10);
  if (random.oneIn(4)) {
    plan.failures = 1 + random.below(2);
    plan.fails_at = plan.work / 2;
  }
  request.retry_failures = static_cast<std::int32_t>(random.below(3));
  plan.breaks_with_peer = random.oneIn(2);
  return submit;
}

Happening faultOf(Random& random) {
  // Every kind but submit; what hurts most is drawn more often.
  static constexpr Kind kOften[] = {Kind::take, Kind::take, Kind::crash, Kind::crash, Kind::silence};
  Happening fault;
  fault.kind = random.oneIn(3)
                   ? kOften[random.below(5)]
                   : static_cast<Kind>(1 + random.below(static_cast<std::uint32_t>(Kind::warned)));
  fault.at = seconds(random, 0, 600);
  fault.pick = random.below(1000);
  fault.lasting = random.oneIn(3) ? seconds(random, 30, 200) : seconds(random, 1, 30);
  switch (fault.kind) {
    case Kind::crash:
      fault.detail = random.below(5);
      break;
    case Kind::take:
      fault.detail = random.below(3);
      if (random.oneIn(3)) fault.lasting = Duration{0};
      break;
    case Kind::reclaim:
      if (random.oneIn(3)) fault.lasting = Duration{0};
      break;
    case Kind::warned:
      fault.detail = random.below(3);
      fault.lasting = Duration{0};
      break;
    case Kind::launches_fail:
      fault.detail = random.below(6);
      break;
    case Kind::delay:
      fault.detail = 100 + random.below(20'000);
      break;
    case Kind::lossy:
      fault.detail = 2 + random.below(4);
      break;
    case Kind::cancel:
    case Kind::replay:
    case Kind::agent_restart:
    case Kind::unfit:
    case Kind::denied:
      fault.lasting = Duration{0};
      break;
    default:
      break;
  }
  return fault;
}

// A deadline that can be met, a budget that may not be enough.
void promise(Random& random, const engine::Settings& settings, Happening& submit) {
  engine::JobRequest& request = submit.request;
  static constexpr engine::SpotRule kRules[] = {engine::SpotRule::on_demand, engine::SpotRule::spot_first,
                                                engine::SpotRule::uniform_progress, engine::SpotRule::buoy};
  if (random.oneIn(2) && request.spot != engine::SpotPreference::only) {
    request.policy =
        request.spot == engine::SpotPreference::never ? engine::SpotRule::on_demand : kRules[random.below(4)];
    request.begins_again = submit.plan.save_every == Duration{0};
    request.work = submit.plan.work + seconds(random, 0, 20);
    Duration slack = seconds(random, 0, 600);
    if (request.policy == engine::SpotRule::buoy) {
      // Few different ones, so that not every job needs a plan of its own to be solved.
      request.work = std::chrono::ceil<std::chrono::minutes>(request.work / 3) * 3;
      slack = slack < 300s ? 200s : 600s;
    }
    request.deadline_in = request.work + std::max(settings.launch_time, request.stop_grace) +
                          settings.launch_time + settings.lease + slack;
  }
  if (random.oneIn(6)) request.budget = Money{random.below(300) * 1'000'000LL + 1'000'000};
}

// Jobs share machines, in one zone or both.
void pack(Random& random, Scenario& scenario) {
  for (Zone& zone : scenario.zones) {
    engine::MachineType& large = zone.pool.types[1];
    large.resources.gpus = 2;
    large.resources.memory = ByteCount{8ull << 30};
    if (random.oneIn(3)) continue;
    zone.pool.pack = true;
    if (!random.oneIn(3)) zone.pool.types.erase(zone.pool.types.begin());  // the small one
  }
  for (Happening& each : scenario.happenings) {
    if (each.kind != Kind::submit) continue;
    engine::JobRequest& request = each.request;
    request.alone = random.oneIn(6);
    if (!random.oneIn(3)) request.machines = 1;
    if (request.race > 1 && random.oneIn(2)) request.race = 0;
    if (random.oneIn(4)) request.resources.gpus = 1;
    if (random.oneIn(4)) request.resources.memory = ByteCount{3ull << 30};
    if (random.oneIn(4)) request.resources.milli_cpus = 2500;
  }
}

// Some gangs end with their main machine, whatever the others do.
void letMainsDecide(Random& random, Scenario& scenario) {
  for (Happening& each : scenario.happenings) {
    if (each.kind != Kind::submit || each.request.machines < 2 || random.oneIn(2)) continue;
    each.request.main_decides = true;
    each.plan.others = static_cast<JobPlan::Others>(random.below(3));
  }
}

// The usual queue is shared fairly.
void share(Random& random, Scenario& scenario) {
  static constexpr const char* kShares[] = {"x", "y", "z"};
  scenario.queues[0].fair = engine::FairShare{.decay = random.oneIn(2) ? Duration{0} : Duration{60s},
                                              .reserve = random.oneIn(2) ? 0 : 40,
                                              .weights = {{"x", 1}, {"y", 3}}};
  for (Happening& each : scenario.happenings) {
    if (each.kind == Kind::submit) each.request.share = kShares[random.below(3)];
  }
}

// Leaves what no deadline gives way to.
void calmDown(Scenario& scenario) {
  scenario.promises = true;
  for (Zone& zone : scenario.zones) zone.pool.max_machines = 0;
  std::erase_if(scenario.happenings, [](const Happening& each) {
    return each.kind != Kind::submit && each.kind != Kind::crash && each.kind != Kind::warned &&
           each.kind != Kind::doubled && each.kind != Kind::replay;
  });
  for (Happening& each : scenario.happenings) {
    each.plan.failures = 0;
    each.plan.breaks_with_peer = false;
    each.request.max_run = each.request.max_wait = Duration{0};
  }
}

}  // namespace

Scenario randomScenario(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  scenario.seed = seed;
  engine::Settings& settings = scenario.settings;
  settings.lease = 24s;
  settings.query_every = 15s;
  settings.boot_timeout = 120s;
  settings.launch_backoff_max = 8s;
  settings.gang_hold = 20s;
  settings.launch_time = 25s;
  settings.idle_timeout = random.oneIn(2) ? Duration{0} : Duration{30s};
  scenario.agents.heartbeat = settings.lease / 3;
  scenario.agents.orphan_after = 180s;
  scenario.cloud.boot_min = 1s;
  scenario.cloud.boot_max = 20s;
  scenario.cloud.notice = random.oneIn(3) ? Duration{0} : seconds(random, 2, 60);
  scenario.commit = Duration{1'000 + random.below(30'000)};
  constexpr Time kBegin{std::chrono::hours{24 * 365 * 50}};
  scenario.zones.push_back({poolOf("a", 4), marketOf(random, kBegin, 20min)});
  scenario.zones.push_back({poolOf("b", random.oneIn(2) ? 6 : 0), marketOf(random, kBegin, 20min)});
  scenario.queues = {{.name = "default"}, {.name = "urgent", .priority = 5, .pools = {"b", "a"}}};
  Random packs(mix(seed, 0x7061636b));
  const bool packed = packs.oneIn(3);
  const std::uint32_t jobs = 1 + random.below(6);
  for (std::uint32_t i = 0; i < jobs; ++i) scenario.happenings.push_back(submitOf(random, i + 1));
  const std::uint32_t faults = random.below(16);
  for (std::uint32_t i = 0; i < faults; ++i) scenario.happenings.push_back(faultOf(random));
  Random races(mix(seed, 0x72616365));
  for (Happening& each : scenario.happenings) {
    if (each.kind == Kind::submit && each.request.machines == 1 && races.oneIn(3)) each.request.race = 2;
  }
  if (packed) {
    for (std::uint32_t i = 0; i < 4; ++i) scenario.happenings.push_back(submitOf(packs, jobs + i + 1));
    pack(packs, scenario);
  }
  Random mains(mix(seed, 0x6d61696e));
  letMainsDecide(mains, scenario);
  Random shares(mix(seed, 0x73686172));
  if (shares.oneIn(3)) share(shares, scenario);
  Random promises(mix(seed, 0x70726f6d));
  const bool calm = promises.oneIn(3);
  for (Happening& each : scenario.happenings) {
    if (each.kind == Kind::submit && (calm || promises.oneIn(3))) promise(promises, settings, each);
  }
  if (calm) calmDown(scenario);
  std::stable_sort(scenario.happenings.begin(), scenario.happenings.end(),
                   [](const Happening& a, const Happening& b) { return a.at < b.at; });
  return scenario;
}

std::string_view toString(Kind kind) {
  return kKinds[static_cast<std::size_t>(kind)];
}

std::string describe(const Happening& happening) {
  std::string text = strCat({"at ", formatDuration(happening.at), ": ", toString(happening.kind)});
  const auto add = [&](std::string_view what, const std::string& value) {
    text += strCat({" ", what, value});
  };
  switch (happening.kind) {
    case Kind::submit: {
      const engine::JobRequest& request = happening.request;
      const JobPlan& plan = happening.plan;
      add("", request.name);
      if (request.machines > 1) add("machines=", std::to_string(request.machines));
      add("work=", formatDuration(plan.work));
      add("save_every=", formatDuration(plan.save_every));
      add("save=", formatDuration(plan.save));
      add("prepare=", formatDuration(plan.prepare));
      add("leave=", formatDuration(plan.leave));
      add("grace=", formatDuration(request.stop_grace));
      if (plan.failures > 0) add("failures=", std::to_string(plan.failures));
      if (request.retry_failures > 0) add("retries=", std::to_string(request.retry_failures));
      if (plan.breaks_with_peer) add("breaks_with_peer", "");
      if (request.resources.milli_cpus != 1000)
        add("milli_cpus=", std::to_string(request.resources.milli_cpus));
      add("spot=", std::string(engine::toString(request.spot)));
      if (request.queue != "default") add("queue=", request.queue);
      if (!request.share.empty()) add("share=", request.share);
      for (const std::string& pool : request.pools) add("pool=", pool);
      if (request.resources.gpus > 0) add("gpus=", std::to_string(request.resources.gpus));
      if (request.resources.memory.value > 0) add("memory=", formatByteCount(request.resources.memory));
      if (request.alone) add("alone", "");
      if (request.main_decides) add("main_decides, others=", std::to_string(static_cast<int>(plan.others)));
      if (request.race > 1) add("race=", std::to_string(request.race));
      if (request.max_run > Duration{0}) add("max_run=", formatDuration(request.max_run));
      if (request.max_wait > Duration{0}) add("max_wait=", formatDuration(request.max_wait));
      if (request.policy != engine::SpotRule::none) {
        add("policy=", std::string(engine::toString(request.policy)));
        add("estimate=", formatDuration(request.work));
        add("deadline=", formatDuration(request.deadline_in));
      }
      if (request.budget != Money{}) add("budget=", formatMoney(request.budget));
      if (plan.restore > Duration{0}) add("restore=", formatDuration(plan.restore));
      return text;
    }
    case Kind::crash:
      add("", std::string(kCrashPoints[happening.detail % 5]));
      break;
    case Kind::take:
    case Kind::warned:
      add("", std::string(kWarned[happening.detail % 3]));
      break;
    case Kind::launches_fail:
      add("", std::string(kErrors[happening.detail % 6]));
      break;
    case Kind::delay:
      add("up to ", formatDuration(std::chrono::milliseconds{happening.detail}));
      break;
    case Kind::lossy:
      add("1 in ", std::to_string(std::max<std::uint32_t>(2, happening.detail)));
      break;
    default:
      break;
  }
  if (happening.lasting > Duration{0}) add("for ", formatDuration(happening.lasting));
  add("pick=", std::to_string(happening.pick));
  return text;
}

std::string describeWorld(const Scenario& scenario) {
  std::string packs;
  for (const Zone& zone : scenario.zones) {
    if (zone.pool.pack)
      packs +=
          strCat({" ", zone.pool.name, " packs", zone.pool.types.size() > 1 ? "" : " on large ones alone"});
  }
  return strCat({"notice=", formatDuration(scenario.cloud.notice),
                 " commit=", formatDuration(scenario.commit),
                 " idle_timeout=", formatDuration(scenario.settings.idle_timeout),
                 " max_machines(b)=", std::to_string(scenario.zones.back().pool.max_machines), packs});
}

}  // namespace buoy::sim
