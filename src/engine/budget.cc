#include "engine/budget.h"

#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// A job's budget is a hard ceiling of its ledger. What its machines cost while they save and end is kept in
// reserve: when the rest is used up the job saves, gives its machines back and waits for a larger budget.
namespace buoy::engine {
namespace {

__extension__ typedef __int128 Int128;

constexpr Money kRounding{10'000};  // of pieces of time, each to a nano-dollar

PricePerHour times(PricePerHour price, std::int64_t machines) {
  return {price.nano_usd * machines};
}

Money operator+(Money a, Money b) {
  return a += b;
}

// How long this price can be paid out of so much; nullopt: for ever.
std::optional<Duration> lasting(Money money, PricePerHour price) {
  if (price.nano_usd <= 0) return std::nullopt;
  constexpr Int128 kHour = 3'600'000'000;
  const Int128 micros = Int128{std::max<std::int64_t>(money.nano_usd, 0)} * kHour / price.nano_usd;
  constexpr Int128 kLong = Duration{std::chrono::days{3650}}.count();
  return Duration{static_cast<Duration::rep>(std::min(micros, kLong))};
}

// What a stop may take: the grace, until it is ended by force, and news that come late. `least` is charged
// for every machine whatever it takes.
Money stopCost(const JobRequest& request, PricePerHour all, Duration least, const Settings& settings) {
  const Duration stop = request.stop_grace + settings.stop_margin + settings.lease;
  return cost(all, std::max(stop, least)) + kRounding;
}

// The start of these machines, and their end.
Money startAndStop(const JobRequest& request, const Pool& pool, const MachineType& type, Market market,
                   const Settings& settings) {
  PricePerHour price =
      times(market == Market::spot ? type.spot_price : type.on_demand_price, request.machines);
  PricePerHour highest = times(std::max(type.spot_price, type.on_demand_price), request.machines);
  if (packs(pool, request)) {
    price = highest = PricePerHour{};
    for (const MachineType& each : pool.types) {  // it comes to whichever has room
      if (!covers(each.resources, request.resources)) continue;
      const bool whole = fillsMachine(each, request.resources);
      const auto part = [&](PricePerHour of) {
        return whole ? of : partOf(of, request.resources, each.resources);
      };
      const PricePerHour spot = part(each.spot_price), on_demand = part(each.on_demand_price);
      price = std::max(price, market == Market::spot ? spot : on_demand);
      highest = std::max({highest, spot, on_demand});
    }
  }
  return stopCost(request, highest, pool.billing.least, settings) +
         cost(price, changeoverBound(pool, request, settings));
}

// More than this, in whole cents from a dollar on and else in hundredths of a cent, as formatMoney shows
// them.
Money shownAbove(Money money) {
  const std::int64_t step = money.nano_usd >= 999'900'000 ? 10'000'000 : 100'000;
  return {(money.nano_usd / step + 1) * step};
}

}  // namespace

std::optional<Money> costOfNoWork(const JobRequest& request, std::span<const Pool* const> pools,
                                  const Settings& settings) {
  std::optional<Money> least;
  const auto consider = [&](const Pool& pool, const MachineType& type, Market market) {
    const Money needed = startAndStop(request, pool, type, market, settings);
    if (!least || needed < *least) least = needed;
  };
  for (const Pool* const pool : pools) {
    for (const MachineType& type : pool->types) {
      if (!covers(type.resources, request.resources)) continue;
      if (pool->spot && request.spot != SpotPreference::never) consider(*pool, type, Market::spot);
      if (pool->on_demand && request.spot != SpotPreference::only) consider(*pool, type, Market::on_demand);
    }
  }
  return least;
}

std::string whyTooSmall(const JobRequest& request, std::span<const Pool* const> pools,
                        const Settings& settings) {
  if (request.budget == Money{}) return {};
  const auto needed = costOfNoWork(request, pools, settings);
  if (!needed || *needed < request.budget) return {};
  return strCat({"of ", formatMoney(request.budget), " is too small: to start its ",
                 request.machines == 1 ? "machine" : "machines",
                 ", save and stop may cost up to that much before any work is done; the smallest that leaves "
                 "something is ",
                 formatMoney(shownAbove(*needed))});
}

template <class Visit>
void Stepper::forEachMachineOf(const Job& job, Visit visit) const {
  for (const Attempt* const attempt : {job.current.get(), job.next.get()}) {
    if (!attempt) continue;
    for (const Member& member : attempt->members) {
      const MachineSlot* const slot = s_.findMachine(member.machine);
      if (!slot || slot->machine.job != job.id) continue;
      const bool again = attempt == job.next.get() && job.current &&
                         std::any_of(job.current->members.begin(), job.current->members.end(),
                                     [&](const Member& each) { return each.machine == member.machine; });
      if (!again) visit(*slot);
    }
  }
}

Money Stepper::reserveFor(const JobRequest& request, PricePerHour all, Duration least) const {
  return stopCost(request, all, least, settings_);
}

Stepper::Spending Stepper::spendingOf(const Job& job) const {
  Spending spending;
  if (job.ledger) {
    for (const Money each : job.ledger->cost) spending.spent += each;
  }
  PricePerHour highest;
  Duration least{};
  forEachMachineOf(job, [&](const MachineSlot& slot) {
    const Machine& machine = slot.machine;
    spending.rate.nano_usd += machine.price.nano_usd;
    highest.nano_usd += std::max(machine.price, machine.on_demand_price).nano_usd;
    least = std::max(least, slot.pool->pool.billing.least);
    if (machine.phase == MachinePhase::gone) return;
    const bool billed = machine.billed_from != Time{};
    // The provider may say later that it is billed from the first moment on.
    spending.spent += cost(machine.price, now_ - (billed ? machine.span_begin : machine.requested));
  });
  if (job.current) {
    for (const Member& member : job.current->members) {
      for (const HeldTime& piece : member.held) spending.spent += cost(piece.price, piece.end - piece.begin);
    }
  }
  if (highest.nano_usd > 0) spending.reserve = reserveFor(job.request, highest, least);
  return spending;
}

std::optional<Time> Stepper::budgetEnd(const Job& job) const {
  if (job.request.budget == Money{} || job.paused || !job.current || job.stop != StopReason::none)
    return std::nullopt;
  const Spending spending = spendingOf(job);
  const auto left =
      lasting(Money{job.request.budget.nano_usd - spending.spent.nano_usd - spending.reserve.nano_usd},
              spending.rate);
  return left ? std::optional(now_ + *left) : std::nullopt;
}

// Whether the start of these machines, and their end, leave something for work.
bool Stepper::affords(const Job& job, const Placement& placement) const {
  if (job.request.budget == Money{}) return true;
  const Spending spending = spendingOf(job);
  const Money needed =
      spending.spent + spending.reserve +
      startAndStop(job.request, *placement.pool, *placement.type, placement.market, settings_);
  return needed < job.request.budget;
}

void Stepper::pause(JobSlot& slot) {
  Job& job = slot.job;
  const Spending spending = spendingOf(job);
  std::string why =
      strCat({"its budget of ", formatMoney(job.request.budget),
              " leaves nothing for more: ", formatMoney(spending.spent), " spent",
              spending.reserve > Money{} ? strCat({", ", formatMoney(spending.reserve), " kept for the save"})
                                         : std::string()});
  job.paused = true;
  if (isSteered(job)) job.steering->moving = false;
  seekNothing(slot);
  if (!job.current) {
    record("paused", "paused: " + why, job);
    return enterPhase(slot, JobPhase::paused, now_, std::move(why));
  }
  saveAndStop(slot, StopReason::paused, "pausing", std::move(why));
}

void Stepper::on(const ResumeJob& event) {
  JobSlot* const slot = s_.findJob(event.job);
  if (!slot) return refuse(ErrorCode::not_found, "no unfinished job " + event.job.toString());
  Job& job = slot->job;
  const std::string name = event.job.toString();
  if (job.stop != StopReason::none || isTerminal(job.phase))
    return refuse(ErrorCode::failed_precondition, strCat({name, " is ", toString(job.phase)}));
  if (!job.paused && event.budget == Money{})
    return refuse(ErrorCode::failed_precondition, name + " is not paused: there is nothing to resume");
  const Money budget = event.budget == Money{} ? job.request.budget : event.budget;
  const Spending spending = spendingOf(job);
  Money needed = spending.spent + spending.reserve;
  if (job.paused) {
    std::vector<const Pool*> pools;
    for (const PoolSlot* const pool : s_.poolsOf(job.request)) pools.push_back(&pool->pool);
    needed += costOfNoWork(job.request, pools, settings_).value_or(Money{});
  }
  if ((job.paused && budget <= job.request.budget) || needed >= budget) {
    if (job.paused) needed = std::max(needed, job.request.budget);
    return refuse(ErrorCode::failed_precondition,
                  strCat({name, " has spent ", formatMoney(spending.spent),
                          spending.reserve > Money{}
                              ? strCat({" and keeps ", formatMoney(spending.reserve), " for its save"})
                              : std::string(),
                          ": a budget of ", formatMoney(budget), " leaves nothing for work; give at least ",
                          formatMoney(shownAbove(needed)), " with --budget"}));
  }
  out_.reply.job = event.job;
  job.request.budget = budget;
  touch(*slot);
  record("resumed",
         strCat({job.paused ? "resumed" : "goes on", " with a budget of ", formatMoney(budget), ", ",
                 formatMoney(spending.spent), " of it spent"}),
         job);
  if (!job.paused) return;
  job.paused = false;
  if (job.current) return;  // it still saves: what follows then goes on
  enterPhase(*slot, job.attempts == 0 ? JobPhase::queued : JobPhase::recovering, now_, "waiting its turn");
  waitForPlacement(*slot);
}

}  // namespace buoy::engine
