#include "sim/cloud.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::sim {

using engine::GoneReason;
using engine::LaunchError;

Cloud::Cloud(Core& core, CloudTiming timing, std::vector<Zone> zones, Ports ports)
    : core_(core), timing_(timing), ports_(std::move(ports)) {
  for (Zone& zone : zones) {
    zone_by_pool_[zone.pool.name] = zones_.size();
    zones_.push_back({.zone = std::move(zone), .spot = {}, .live_spot = {}, .trouble = {}});
  }
}

const std::vector<engine::Pool> Cloud::pools() const {
  std::vector<engine::Pool> pools;
  for (const ZoneState& zone : zones_) pools.push_back(zone.zone.pool);
  return pools;
}

void Cloud::start() {
  for (std::size_t i = 0; i < zones_.size(); ++i) {
    zones_[i].spot.resize(zones_[i].zone.pool.types.size());
    setPrices(i, zones_[i].zone.market->at(core_.now), false);
    planMarket(i);
  }
}

Duration Cloud::draw(Duration low, Duration high, std::uint64_t machine, std::uint64_t what) const {
  if (low >= high) return low;
  const std::uint64_t chance = mix(mix(core_.seed, machine), what);
  return low +
         Duration{static_cast<Duration::rep>(chance % static_cast<std::uint64_t>((high - low).count()))};
}

// ---- calls

void Cloud::launch(const engine::Machine& machine) {
  if (!instances_.find(machine.id.value)) {
    Instance& instance = instances_.make(machine.id.value);
    instance.id = machine.id;
    instance.zone = static_cast<std::uint32_t>(zoneOf(machine.pool));
    instance.market = machine.market;
    const auto& types = zones_[instance.zone].zone.pool.types;
    while (types[instance.type].name != machine.type) ++instance.type;
  }
  call({Call::Kind::launch, machine.id, {}});
}

void Cloud::terminate(MachineId machine) {
  call({Call::Kind::terminate, machine, {}});
}
void Cloud::query(MachineId machine) {
  call({Call::Kind::query, machine, {}});
}
void Cloud::reclaim(MachineId machine, Duration notice) {
  call({Call::Kind::reclaim, machine, notice});
}

void Cloud::call(Call call) {
  Instance* const instance = instances_.find(call.machine.value);
  const int times = core_.now < core_.weather.doubled_until ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    Time at = core_.now + draw(timing_.call_min, timing_.call_max, call.machine.value,
                               static_cast<std::uint64_t>(core_.now.time_since_epoch().count()) + i);
    if (instance) {
      if (core_.now < zones_[instance->zone].trouble.slow_until) at += 10 * (at - core_.now);
      at = instance->calls_until = std::max(at, instance->calls_until);
    }
    core_.queue.push(at, What::call, calls_.put(call));
  }
}

void Cloud::onCall(std::uint64_t letter) {
  const Call call = calls_.take(letter);
  Instance* const instance = instances_.find(call.machine.value);
  if (!instance) {  // never heard of
    if (call.kind == Call::Kind::terminate || call.kind == Call::Kind::query) {
      ports_.tell(engine::MachineGone{call.machine, GoneReason::terminated, "no such machine"});
    }
    return;
  }
  switch (call.kind) {
    case Call::Kind::launch: {
      if (instance->made)
        return tell(*instance, engine::LaunchSucceeded{call.machine, "ref", "address", instance->since});
      if (instance->over) return tellGone(*instance);
      bool refused = false;
      const LaunchError error = refusal(*instance, refused);
      if (refused) return tell(*instance, engine::LaunchFailed{call.machine, error, ""});
      return make(*instance);
    }
    case Call::Kind::terminate:
      if (!instance->made) return tellGone(*instance);
      core_.queue.push(core_.now + draw(timing_.end_min, timing_.end_max, call.machine.value, 2), What::end,
                       call.machine.value);
      instance->reason = GoneReason::terminated;
      if (!instance->doomed_at) instance->doomed_at = Time::max();
      return;
    case Call::Kind::query:
      if (instance->made) return tell(*instance, engine::MachineAlive{call.machine});
      return tellGone(*instance);
    case Call::Kind::reclaim:
      return take(call.machine, call.notice, call.notice > Duration{0} ? Warned::in_time : Warned::never);
  }
}

LaunchError Cloud::refusal(const Instance& instance, bool& refused) const {
  const ZoneState& zone = zones_[instance.zone];
  refused = true;
  if (core_.now < zone.trouble.launches_fail_until) return zone.trouble.error;
  if (instance.market == engine::Market::spot && !calm_) {
    const Offer offer = zone.zone.market->at(core_.now);
    if (static_cast<std::int32_t>(zone.live_spot.size()) >= offer.capacity) return LaunchError::capacity;
  }
  refused = false;
  return LaunchError::other;
}

// ---- the life of a machine

void Cloud::make(Instance& instance) {
  ZoneState& zone = zones_[instance.zone];
  instance.made = true;
  instance.since = core_.now;
  instance.place = static_cast<std::uint32_t>(live_.size());
  live_.push_back(instance.id);
  if (instance.market == engine::Market::spot) {
    instance.place_in_zone = static_cast<std::uint32_t>(zone.live_spot.size());
    zone.live_spot.push_back(instance.id);
  }
  core_.say([&] { return strCat({"cloud: ", instance.id.toString(), " exists"}); });
  Duration boot = draw(timing_.boot_min, timing_.boot_max, instance.id.value, 1);
  if (core_.now < zone.trouble.slow_until) boot *= 10;
  if (core_.now >= zone.trouble.dead_boots_until)
    core_.queue.push(core_.now + boot, What::boot, instance.id.value);
  tell(instance, engine::LaunchSucceeded{instance.id, "ref", "address", instance.since});
}

void Cloud::onBoot(MachineId machine) {
  Instance* const instance = instances_.find(machine.value);
  if (!instance || !instance->made) return;
  instance->booted = true;
  ports_.boot(machine);
}

void Cloud::onEnd(MachineId machine) {
  Instance* const instance = instances_.find(machine.value);
  if (instance && instance->made) end(*instance, instance->reason);
}

void Cloud::switchedOff(MachineId machine) {
  Instance* const instance = instances_.find(machine.value);
  if (instance && instance->made) end(*instance, GoneReason::vanished);
}

void Cloud::end(Instance& instance, GoneReason reason) {
  ZoneState& zone = zones_[instance.zone];
  instance.made = false;
  instance.over = true;
  instance.reason = reason;
  instance.until = core_.now;
  if (reason == GoneReason::reclaimed) ++reclaims_;
  const auto remove = [this](std::vector<MachineId>& from, std::uint32_t Instance::*place, std::uint32_t at) {
    from[at] = from.back();
    instances_.find(from[at].value)->*place = at;
    from.pop_back();
  };
  remove(live_, &Instance::place, instance.place);
  const engine::MachineType& type = zone.zone.pool.types[instance.type];
  Bill bill{instance.since, instance.until, 0};
  if (instance.market == engine::Market::spot) {
    remove(zone.live_spot, &Instance::place_in_zone, instance.place_in_zone);
    const Prices& prices = zone.spot[instance.type];
    bill.cost = prices.upTo(bill.until) - prices.upTo(bill.since);
  } else {
    bill.cost = ExactCost{type.on_demand_price.nano_usd} * (bill.until - bill.since).count();
  }
  core_.say([&] { return strCat({"cloud: ", instance.id.toString(), " ends"}); });
  ports_.billed(instance.id, bill);
  ports_.ended(instance.id);
  tellGone(instance);
}

void Cloud::tellGone(const Instance& instance) {
  engine::MachineGone gone{instance.id, instance.over ? instance.reason : GoneReason::terminated, "", {}, {}};
  if (instance.over) {
    gone.since = instance.since;
    gone.until = instance.until;
  }
  tell(instance, std::move(gone));
}

void Cloud::tell(const Instance& instance, engine::Event event) {
  if (core_.now < zones_[instance.zone].trouble.mute_until) return;
  ports_.tell(std::move(event));
}

bool Cloud::denies(MachineId machine) {
  const Instance* const instance = instances_.find(machine.value);
  if (!instance || !instance->made || !instance->booted) return false;
  tell(*instance,
       engine::MachineGone{machine, GoneReason::vanished, "not in the list", instance->since, core_.now});
  return true;
}

bool Cloud::alive(MachineId machine) const {
  const Instance* const instance = instances_.find(machine.value);
  return instance && instance->made;
}

MachineId Cloud::pick(std::uint32_t pick) const {
  return live_.empty() ? MachineId{} : live_[pick % live_.size()];
}

// ---- the market

void Cloud::take(MachineId machine, Duration notice, Warned how) {
  Instance* const instance = instances_.find(machine.value);
  if (!instance || !instance->made || instance->doomed_at) return;
  doom(*instance, core_.now + notice, notice, how);
}

// It will be reclaimed `at`, which is at most `notice` from now.
void Cloud::doom(Instance& instance, Time at, Duration notice, Warned how) {
  instance.doomed_at = at;
  instance.reason = GoneReason::reclaimed;
  if (at <= core_.now) return end(instance, GoneReason::reclaimed);
  core_.queue.push(at, What::end, instance.id.value);
  if (notice <= Duration{0} || how == Warned::never) return;
  // Late: what is told is true, but most of the time has passed.
  if (how == Warned::late) {
    // Told by whoever looks at the machine again: with a quarter of the time left.
    instance.doomed_at = at;
    core_.queue.push(core_.now + (at - core_.now) * 3 / 4, What::warning,
                     (std::uint64_t{1} << 63) | instance.id.value);
    return;
  }
  ports_.notice(instance.id, at);
}

void Cloud::planMarket(std::size_t zone) {
  const auto next = zones_[zone].zone.market->nextChange(core_.now);
  if (!next) return;
  core_.queue.push(*next, What::market, zone);
  core_.queue.push(std::max(core_.now, *next - timing_.notice), What::warning, zone);
}

void Cloud::onWarning(std::uint64_t zone) {
  if (zone >> 63) {
    const Instance* const instance = instances_.find(zone & ~(std::uint64_t{1} << 63));
    if (instance && instance->made && instance->doomed_at) ports_.notice(instance->id, *instance->doomed_at);
    return;
  }
  const auto next = zones_[zone].zone.market->nextChange(core_.now);
  if (!next) return;
  takeOver(zone, zones_[zone].zone.market->at(*next).capacity, next);
}

void Cloud::onMarket(std::uint64_t zone) {
  const Offer offer = zones_[zone].zone.market->at(core_.now);
  setPrices(zone, offer, true);
  takeOver(zone, offer.capacity, std::nullopt);
  planMarket(zone);
}

// There will be room for `capacity` machines from `at` on, or now: the others are taken, whichever.
void Cloud::takeOver(std::size_t zone, std::int32_t capacity, std::optional<Time> at) {
  if (calm_) return;
  ZoneState& state = zones_[zone];
  const Time when = at.value_or(core_.now);
  auto staying = static_cast<std::int32_t>(state.live_spot.size());
  if (staying <= capacity) return;
  const std::vector<MachineId> live = state.live_spot;
  for (const MachineId id : live) {
    const auto& doomed = instances_.find(id.value)->doomed_at;
    if (doomed && *doomed <= when) --staying;
  }
  const std::uint64_t first =
      mix(core_.seed, static_cast<std::uint64_t>(when.time_since_epoch().count())) % live.size();
  for (std::size_t i = 0; i < live.size() && staying > capacity; ++i) {
    Instance& instance = *instances_.find(live[(first + i) % live.size()].value);
    if (!instance.made || (instance.doomed_at && *instance.doomed_at <= when)) continue;
    doom(instance, when, when - core_.now, warned);
    --staying;
  }
}

void Cloud::setPrices(std::size_t zone, const Offer& offer, bool tell) {
  ZoneState& state = zones_[zone];
  const std::vector<engine::MachineType>& types = state.zone.pool.types;
  const std::int64_t first = std::max<std::int64_t>(1, types[0].spot_price.nano_usd);
  for (std::size_t i = 0; i < types.size(); ++i) {
    // Money of other types moves with the first's; a price of an hour never overflows.
    const PricePerHour price{
        static_cast<std::int64_t>(ExactCost{offer.price.nano_usd} * types[i].spot_price.nano_usd / first)};
    Prices& prices = state.spot[i];
    if (!prices.steps.empty() && prices.steps.back().price == price) continue;
    const ExactCost before = prices.steps.empty() ? 0 : prices.upTo(core_.now);
    prices.steps.push_back({core_.now, price, before});
    if (tell) ports_.tell(engine::PriceChanged{state.zone.pool.name, types[i].name, price, core_.now});
  }
}

void Cloud::tellPrices() {
  for (const ZoneState& zone : zones_) {
    for (std::size_t i = 0; i < zone.spot.size(); ++i) {
      const Prices::Step& now = zone.spot[i].steps.back();
      ports_.tell(
          engine::PriceChanged{zone.zone.pool.name, zone.zone.pool.types[i].name, now.price, now.from});
    }
  }
}

ExactCost Cloud::Prices::upTo(Time at) const {
  auto step = std::upper_bound(steps.begin(), steps.end(), at,
                               [](Time time, const Step& each) { return time < each.from; });
  if (step != steps.begin()) --step;
  return step->before + ExactCost{step->price.nano_usd} * (at - step->from).count();
}

}  // namespace buoy::sim
