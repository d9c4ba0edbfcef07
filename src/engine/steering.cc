#include <algorithm>
#include <limits>
#include <set>

#include "base/least_time.h"
#include "base/strings.h"
#include "engine/stepper.h"

// Jobs with a deadline: their spot policy is asked at every event that matters, and what they hold, seek or
// let go follows its answer. A move costs no work: the attempt that works goes on until the next one has its
// machines, and saves before it ends.
namespace buoy::engine {
namespace {

constexpr Duration kShortestStep = std::chrono::seconds{1};
constexpr Duration kLongestStep = std::chrono::minutes{5};
constexpr int kSteps = 400;        // as many questions at least until the deadline
constexpr int kNeverTrusted = 50;  // of the work as it was estimated one part is left until the job ends

const MachineType* cheapest(const Pool& pool, const Resources& need, PricePerHour MachineType::*price) {
  const MachineType* best = nullptr;
  for (const MachineType& type : pool.types) {
    if (covers(type.resources, need) && (!best || type.*price < best->*price)) best = &type;
  }
  return best;
}

const MachineType* onDemandType(const Pool& pool, const JobRequest& request) {
  return pool.on_demand ? cheapest(pool, request.resources, &MachineType::on_demand_price) : nullptr;
}

Duration launchBound(const Pool& pool, const Settings& settings) {
  if (pool.launch_seen > Duration{0}) return pool.launch_seen;
  return pool.launch_time > Duration{0} ? pool.launch_time : settings.launch_time;
}

Duration usualSetup(const Pool& pool, const Settings& settings) {
  return pool.launch_time > Duration{0} ? pool.launch_time : settings.launch_time;
}

// The longest start that was seen, and what has been added to the checkpoint since, at the speed at which it
// was stored.
Duration setupBound(const Job& job) {
  const SaveMeasure& save = job.last_save;
  const std::uint64_t before = job.steering->restored_bytes;
  if (save.bytes <= before || save.bytes_per_second == 0) return job.steering->setup;
  const double seconds =
      static_cast<double>(save.bytes - before) / static_cast<double>(save.bytes_per_second);
  constexpr double kMost = 86'400;
  return job.steering->setup + Duration{static_cast<Duration::rep>(std::min(seconds, kMost) * 1e6)};
}

// Every machine of the gang restores the checkpoint.
Money restoreCost(const Pool& pool, const Job& job) {
  constexpr double kGiB = 1024.0 * 1024 * 1024;
  const double gib = static_cast<double>(job.last_save.bytes) / kGiB * job.request.machines;
  const double nano = gib * static_cast<double>(pool.transfer_price.nano_usd);
  constexpr double kMost = 1e18;
  return Money{static_cast<std::int64_t>(std::min(nano, kMost))};
}

// What was seen last may be long ago, and the pool unusable for other reasons: as it is now.
std::vector<AvailabilitySpan> pastOf(const PoolSlot& slot, bool usable, Time submitted, Time now) {
  const Pool& pool = slot.pool;
  std::vector<AvailabilitySpan> past;
  past.reserve(pool.spot_seen.size() + 2);
  for (std::size_t i = 0; i < pool.spot_seen.size(); ++i) {
    const Pool::SpotChange& change = pool.spot_seen[i];
    const Time until = i + 1 < pool.spot_seen.size() ? pool.spot_seen[i + 1].at : now;
    past.push_back({.length = std::max(Duration{0}, until - change.at), .up = change.up});
  }
  if (past.empty()) past.push_back({.length = now - submitted, .up = true});
  AvailabilitySpan& last = past.back();
  if (usable && !last.up) {
    // Nobody has tried since: it may be had again from when it may be tried.
    const Duration again =
        std::clamp(now - std::max(pool.spot_retry_at, pool.retry_at), Duration{0}, last.length);
    last.length -= again;
    past.push_back({.length = again, .up = true});
  } else if (!usable && last.up) {
    past.push_back({.length = Duration{0}, .up = false});
  }
  return past;
}

// Of a gang whose main member decides, the others may end before it: it works on without them.
bool isMissed(const Member& member, const Attempt& attempt, bool main_decides) {
  return !main_decides || &member == attempt.members.data() || member.phase < MemberPhase::saving;
}

// Since when all of its processes run; zero: not all do.
Time wholeSince(const Attempt& attempt, bool main_decides) {
  Time since{};
  for (const Member& member : attempt.members) {
    if (!isMissed(member, attempt, main_decides)) continue;
    if (member.phase != MemberPhase::running) return Time{};
    since = std::max(since, member.running_since);
  }
  return since;
}

// It goes on as long as nothing happens to it. Not one that has come to its end by itself.
bool works(const Job& job) {
  const Attempt* const attempt = job.current.get();
  if (!attempt || attempt->interrupted || attempt->failed || attempt->verify_until != Time{}) return false;
  return std::all_of(attempt->members.begin(), attempt->members.end(), [&](const Member& member) {
    return member.phase < MemberPhase::saving || !isMissed(member, *attempt, job.request.main_decides);
  });
}

std::string priceText(PricePerHour price) {
  return formatMoney(Money{price.nano_usd}) + "/h";
}

}  // namespace

SpotDecision PlacementPolicy::steer(SpotRule, const SpotView&) const {
  return {.take = Holding::on_demand, .reason = "there are no spot policies here"};
}

std::shared_ptr<const SpotPlan> PlacementPolicy::plan(SpotRule, const SpotView&) const {
  return nullptr;
}

// ---- what can be promised

// A machine is ordered while the one before saves and ends; then it restores. The loss of a machine may go
// unnoticed for a lease.
Duration changeoverBound(const Pool& pool, const JobRequest& request, const Settings& settings) {
  return std::max(launchBound(pool, settings), request.stop_grace) + usualSetup(pool, settings) +
         settings.lease;
}

namespace {

const Pool* firstOnDemand(const JobRequest& request, std::span<const Pool* const> pools) {
  const auto found = std::find_if(pools.begin(), pools.end(),
                                  [&](const Pool* pool) { return onDemandType(*pool, request) != nullptr; });
  return found == pools.end() ? nullptr : *found;
}

}  // namespace

std::optional<Time> deadlineOf(const JobRequest& request, Time submitted) {
  if (request.deadline_at != Time{}) return request.deadline_at;
  if (request.deadline_in > Duration{0}) return submitted + request.deadline_in;
  return std::nullopt;
}

std::optional<Time> earliestDeadline(const JobRequest& request, std::span<const Pool* const> pools, Time now,
                                     const Settings& settings) {
  const Pool* const pool = firstOnDemand(request, pools);
  if (!pool) return std::nullopt;
  return now + request.work + changeoverBound(*pool, request, settings);
}

std::string whyInfeasible(const JobRequest& request, std::span<const Pool* const> pools, Time now,
                          const Settings& settings) {
  const auto deadline = deadlineOf(request, now);
  if (!deadline) return {};
  const Pool* const pool = firstOnDemand(request, pools);
  if (!pool) return "cannot be promised: no pool of the job offers on-demand machines that are large enough";
  const Time earliest = *earliestDeadline(request, pools, now, settings);
  if (*deadline >= earliest) return {};
  const Duration launch = launchBound(*pool, settings);
  const bool saves_longer = request.stop_grace > launch;
  const Duration whole = leastTime(earliest - now);
  return strCat(
      {"cannot be met: ", leastTimeText(request.work), " of work and up to ",
       leastTimeText(earliest - now - request.work), " for a changeover take until ", formatTime(now + whole),
       "; in a changeover ",
       saves_longer ? strCat({"the job saves and stops (stop_grace, ", leastTimeText(request.stop_grace),
                              ") while an on-demand machine of pool '"})
                    : "an on-demand machine of pool '",
       pool->name, "' is launched (", leastTimeText(launch), "), the job starts (",
       leastTimeText(usualSetup(*pool, settings)), "), and a loss may go unnoticed (",
       leastTimeText(settings.lease), "); the earliest deadline is ", leastTimeText(whole), " from now"});
}

// ---- the question

SpotQuestion Stepper::questionOf(JobSlot& slot) {
  const Job& job = slot.job;
  const Steering& steering = *job.steering;
  const JobRequest& request = job.request;
  const Time deadline = *deadlineOf(request, job.submitted);
  SpotQuestion question;
  question.rule = request.policy;
  question.machines = request.machines;
  question.begins_again = request.begins_again;
  question.time_total = deadline - job.submitted;
  question.time_left = deadline - now_;
  question.step = std::clamp(question.time_total / kSteps, kShortestStep, kLongestStep);
  question.work_total = request.work;

  const Attempt* const held = job.next     ? (steering.moving ? job.current.get() : job.next.get())
                              : works(job) ? job.current.get()
                                           : nullptr;
  const Time whole = held ? wholeSince(*held, request.main_decides) : Time{};
  if (whole != Time{}) question.unsaved = now_ - std::max(whole, held->saved_until);
  question.work_left = std::max(
      {request.work - steering.saved_work - question.unsaved, request.work / kNeverTrusted, Duration{1}});

  const PoolSlot* const pool = held ? anchorOf(s_, *held) : nullptr;
  if (pool) question.holding = marketOf(*held) == Market::spot ? Holding::spot : Holding::on_demand;
  addPlaces(question, slot, question.holding == Holding::spot ? pool : nullptr);
  question.plan = steering.plan;
  if (!held || whole != Time{}) return question;
  const Duration bound =
      question.holding == Holding::spot ? question.places[question.held].changeover : question.changeover;
  question.changeover_left = std::max(bound - (now_ - held->created), kShortestStep);
  return question;
}

Market Stepper::marketOf(const Attempt& attempt) const {
  for (const Member& member : attempt.members) {
    if (const MachineSlot* const machine = s_.findMachine(member.machine)) return machine->machine.market;
  }
  return Market::on_demand;
}

void Stepper::addPlaces(SpotQuestion& question, const JobSlot& slot, const PoolSlot* held) {
  const Job& job = slot.job;
  const JobRequest& request = job.request;
  const auto changeover = [&](const Pool& pool) {
    const Duration setup = job.steering->setup > Duration{0} ? setupBound(job) : usualSetup(pool, settings_);
    return std::max(launchBound(pool, settings_), request.stop_grace + job.last_save.took) + setup +
           settings_.lease;
  };
  std::vector<PoolSlot*> pools = s_.poolsOf(request);
  if (held && std::find(pools.begin(), pools.end(), held) == pools.end())
    pools.push_back(&s_.poolSlot(held->pool.name));
  bool on_demand = false;
  for (const PoolSlot* const pool : pools) {
    const MachineType* const machine = onDemandType(pool->pool, request);
    // As placement takes it: the first that can be used, or if none can, the first.
    const bool usable = !pool->pool.paused && now_ >= pool->pool.retry_at;
    if (machine && (question.changeover == Duration{0} || (usable && !on_demand))) {
      on_demand = usable;
      question.changeover = changeover(pool->pool);
      question.on_demand_price = machine->on_demand_price;
    }
    const MachineType* const spot = cheapest(pool->pool, request.resources, &MachineType::spot_price);
    if (pool != held && (!spot || !pool->pool.spot || request.spot == SpotPreference::never)) continue;
    const PoolView view = viewOf(s_, *pool, request.resources);
    const bool room = std::int64_t{view.free} + view.idle_spot >= request.machines;
    const bool can_be_tried = usable && now_ >= pool->pool.spot_retry_at && room;
    if (pool == held) question.held = static_cast<std::uint32_t>(question.places.size());
    question.places.push_back({.pool = pool->pool.name,
                               .type = spot ? spot->name : "",
                               .price = spot ? spot->spot_price : PricePerHour{},
                               .changeover = changeover(pool->pool),
                               .move_cost = restoreCost(pool->pool, job),
                               .past = pastOf(*pool, pool == held || can_be_tried, job.submitted, now_),
                               .source = {.pool = pool->pool.name,
                                          .until = pool->pool.learned_until,
                                          .recorded = pool->pool.learn,
                                          .machines = request.machines}});
  }
  // Its pools offer none any more: taken to be as slow as can be.
  if (question.changeover == Duration{0}) question.changeover = settings_.boot_timeout + settings_.lease;
}

Duration spareOf(const SpotQuestion& question) {
  return question.time_left - question.work_left - question.unsaved - question.changeover;
}

namespace {

// What is shown to a policy of a question; it refers to the question.
class Shown {
 public:
  explicit Shown(const SpotQuestion& question) {
    candidates_.reserve(question.places.size());
    for (const SpotQuestion::Place& place : question.places) {
      candidates_.push_back({.place = place.pool,
                             .price = place.price,
                             .changeover = place.changeover,
                             .move_cost = place.move_cost,
                             .past = place.past,
                             .source = &place.source});
    }
    view_ = {.work_total = question.work_total,
             .work_left = question.work_left,
             .time_total = question.time_total,
             .time_left = question.time_left,
             .changeover = question.changeover,
             .step = question.step,
             .on_demand_price = question.on_demand_price,
             .machines = question.machines,
             .begins_again = question.begins_again,
             .candidates = candidates_,
             .holding = question.holding,
             .held = question.held,
             .changeover_left = question.changeover_left,
             // Until the next question more is done than is saved now. On on-demand as well: a job that
             // cannot save loses it by a move.
             .at_risk = question.unsaved > Duration{0} ? question.unsaved + question.step : Duration{0},
             .plans_apart = true,
             .plan = question.plan.get()};
  }
  const SpotView& view() const { return view_; }

 private:
  std::vector<SpotCandidate> candidates_;
  SpotView view_;
};

}  // namespace

SpotDecision answerOf(const PlacementPolicy& policy, const SpotQuestion& question) {
  if (question.time_left > Duration{0}) return policy.steer(question.rule, Shown(question).view());
  if (question.holding == Holding::spot && question.changeover_left == Duration{0})
    return {
        .take = Holding::spot, .candidate = question.held, .reason = "it works, and the deadline has passed"};
  return {.take = Holding::on_demand, .reason = "the deadline has passed"};
}

std::shared_ptr<const SpotPlan> planFor(const PlacementPolicy& policy, const SpotQuestion& question) {
  return policy.plan(question.rule, Shown(question).view());
}

bool rederives(const Record::Steered& steered, const PlacementPolicy& policy) {
  const SpotDecision again = answerOf(policy, steered.question);
  if (again.take != steered.take || again.reason != steered.reason) return false;
  return again.take != Holding::spot || (again.candidate < steered.question.places.size() &&
                                         steered.question.places[again.candidate].pool == steered.pool);
}

// ---- plans: solved elsewhere, the answer being an event

void Stepper::askForPlan(JobSlot& slot, const SpotQuestion& question) {
  Steering& steering = *slot.job.steering;
  if (steering.planning) return;
  steering.planning = true;
  auto asked = std::make_shared<SpotQuestion>(question);
  asked->plan = nullptr;
  out_.actions.push_back(SolvePlan{slot.job.id, std::move(asked)});
}

void Stepper::on(const PlanSolved& event) {
  JobSlot* const slot = s_.findJob(event.job);
  if (!slot || !isSteered(slot->job)) return;
  Steering& steering = *slot->job.steering;
  steering.planning = false;
  if (!event.plan || isTerminal(slot->job.phase)) return;
  steering.plan = event.plan;
  steering.planned = now_;
  dropPlans();
  s_.ask(*slot);
}

// Jobs that work on spot need theirs least, and then those that have had theirs longest.
void Stepper::dropPlans() {
  std::set<const SpotPlan*> kept;
  std::vector<Steering*> by_need;
  for (const JobId id : s_.steered) {
    Steering& steering = *s_.findJob(id)->job.steering;
    if (!steering.plan) continue;
    kept.insert(steering.plan.get());
    by_need.push_back(&steering);
  }
  if (kept.size() <= settings_.most_plans) return;
  std::stable_sort(by_need.begin(), by_need.end(), [](const Steering* a, const Steering* b) {
    const auto need = [](const Steering& each) {
      return std::pair(each.want != Holding::spot || each.moving, each.planned);
    };
    return need(*a) < need(*b);
  });
  for (std::size_t i = 0; kept.size() > settings_.most_plans; ++i) {
    const std::shared_ptr<const SpotPlan> dropped = std::move(by_need[i]->plan);
    by_need[i]->plan = nullptr;
    const bool shared = std::any_of(by_need.begin(), by_need.end(),
                                    [&](const Steering* each) { return each->plan == dropped; });
    if (!shared) kept.erase(dropped.get());
  }
}

// ---- the answer, and what follows from it

void Stepper::steer(JobSlot& slot) {
  Job& job = slot.job;
  slot.ask_at = Time{};
  retime(slot);
  if (!isSteered(job) || isTerminal(job.phase) || job.stop != StopReason::none || job.paused) return;
  // An attempt that ends, whichever way, is followed by a question.
  if (job.current && !works(job) && !job.current->interrupted) return;
  Steering& steering = *job.steering;
  SpotQuestion question = questionOf(slot);
  slot.ask_at = now_ + question.step;
  // The way to on-demand, once begun, is gone to its end.
  if (steering.moving && job.next && steering.want == Holding::on_demand) return;
  const SpotDecision decision = answerOf(policy_, question);
  if (decision.wants_plan) askForPlan(slot, question);
  std::string pool =
      decision.take == Holding::spot ? question.places[decision.candidate].pool : std::string();
  if (steering.reason.empty() || decision.take != steering.want || pool != steering.pool) {
    recordSteered(slot, std::move(question), decision, pool);
    steering.want = decision.take;
    steering.pool = std::move(pool);
    steering.reason = decision.reason;
    touch(slot);
  } else {
    saveInTime(slot, question);
  }
  pursue(slot);
}

void Stepper::recordSteered(JobSlot& slot, SpotQuestion question, const SpotDecision& decision,
                            const std::string& pool) {
  std::string what;
  switch (decision.take) {
    case Holding::nothing:
      what = "nothing for now";
      break;
    case Holding::spot:
      what = strCat({"spot in ", pool, " (", priceText(question.places[decision.candidate].price), ")"});
      break;
    case Holding::on_demand:
      what = strCat({"on-demand (", priceText(question.on_demand_price), ")"});
      break;
  }
  const Duration left = question.work_left + question.unsaved;
  std::string detail = strCat({what, ": ", decision.reason, "; ", formatDuration(left), " of work and "});
  detail += question.time_left > Duration{0} ? strCat({formatDuration(question.time_left), " left"})
                                             : std::string("no time left");
  auto steered = std::make_shared<Record::Steered>();
  steered->take = decision.take;
  steered->pool = pool;
  steered->reason = decision.reason;
  steered->question = std::move(question);
  auto kept = std::make_shared<Record::Decision>();
  kept->resources = slot.job.request.resources;
  kept->spot = slot.job.request.spot;
  kept->count = slot.job.request.machines;
  kept->steered = std::move(steered);
  record("steered", std::move(detail), slot.job).decision = std::move(kept);
}

// Where little time is spare, what is not saved soon costs the right to stay on spot.
void Stepper::saveInTime(JobSlot& slot, const SpotQuestion& question) {
  Job& job = slot.job;
  if (question.holding != Holding::spot || job.phase != JobPhase::running || job.save_asked != Time{}) return;
  if (question.unsaved <= Duration{0} || question.begins_again) return;
  const Duration save = 2 * (job.last_save.took + job.last_save.wrote);
  if (question.unsaved < 2 * save || spareOf(question) >= 2 * question.step + std::max(save, question.step))
    return;
  askToSave(slot,
            "the job is asked to save: little time is left in which what is not saved could be done again");
}

bool Stepper::suits(const Job& job, const Attempt& attempt) const {
  return job.steering->want != Holding::nothing &&
         std::all_of(attempt.members.begin(), attempt.members.end(), [&](const Member& member) {
           const MachineSlot* const machine = s_.findMachine(member.machine);
           return !machine || suits(job, machine->machine);
         });
}

bool Stepper::suits(const Job& job, const Machine& machine) {
  switch (job.steering->want) {
    case Holding::nothing:
      return false;
    case Holding::spot:
      return machine.market == Market::spot && machine.pool == job.steering->pool;
    case Holding::on_demand:
      return machine.market == Market::on_demand;
  }
  return false;
}

void Stepper::pursue(JobSlot& slot) {
  Job& job = slot.job;
  Steering& steering = *job.steering;
  s_.dequeue(slot);
  if (const Attempt* const sought = forming(job); sought && !suits(job, *sought)) {
    if (job.next) steering.moving = false;
    dissolve(slot);
  }
  if (job.next) return;
  const bool working = works(job);
  if (working && suits(job, *job.current)) {
    steering.moving = false;
    return;
  }
  if (steering.want == Holding::nothing) {
    steering.moving = false;
    job.reason = "waiting for spot: " + steering.reason;
    if (working) interrupt(slot, "its machine is let go: " + steering.reason, StopReason::moved);
    return;
  }
  steering.moving = working;
  if (job.current && !working) {
    assemble(slot);
  } else {
    s_.enqueue(slot);
  }
}

// The next attempt has its machines: now the one that works saves and ends.
void Stepper::moveOver(JobSlot& slot) {
  Job& job = slot.job;
  if (!isSteered(job) || !job.steering->moving || !job.next || !works(job)) return;
  for (const Member& member : job.next->members) {
    const MachineSlot* const machine = s_.findMachine(member.machine);
    if (!machine || machine->machine.phase != MachinePhase::assigned) return;
  }
  record("moving",
         strCat({"the job saves and moves to ", marketOf(*job.next) == Market::spot ? "spot" : "on-demand",
                 " on ", job.next->members[0].machine.toString()}),
         job);
  interrupt(slot, "it saves and moves", StopReason::moved);
}

// ---- what is seen

void Stepper::noteSaved(JobSlot& slot, Time covered) {
  Job& job = slot.job;
  if (!isSteered(job)) return;
  Attempt& attempt = *job.current;
  Time since{};
  for (const Member& member : attempt.members) {
    if (member.running_since == Time{}) return;
    since = std::max(since, member.running_since);
  }
  covered = std::min(covered, now_);
  since = std::max(since, attempt.saved_until);
  if (covered <= since) return;
  job.steering->saved_work += covered - since;
  attempt.saved_until = covered;
}

void Stepper::noteSetup(JobSlot& slot, Time at) {
  Job& job = slot.job;
  if (!isSteered(job) || job.current->begun == Time{}) return;
  const Duration took = at - job.current->begun;
  job.steering->setup = std::max(job.steering->setup, took + took / 8);
  job.steering->restored_bytes = std::max(job.steering->restored_bytes, job.last_save.bytes);
}

// The bound follows the longest at once, and comes down when a dozen or two were shorter.
void Stepper::noteLaunchTime(PoolSlot& slot, Duration took) {
  constexpr std::uint32_t kDozen = 12;
  slot.longest = std::max(slot.longest, took);
  Duration& bound = slot.pool.launch_seen;
  const auto withMargin = [](Duration longest) { return longest + longest / 8; };
  if (took > bound) {
    bound = withMargin(took);
    touch(slot);
  }
  if (++slot.launches < kDozen) return;
  const Duration lower = withMargin(std::max(slot.longest_before, slot.longest));
  if (slot.longest_before > Duration{0} && lower < bound - bound / 4) {
    bound = lower;
    touch(slot);
  }
  slot.longest_before = slot.longest;
  slot.longest = Duration{0};
  slot.launches = 0;
}

void Stepper::noteSpot(PoolSlot& slot, bool up) {
  std::vector<Pool::SpotChange>& seen = slot.pool.spot_seen;
  if (!seen.empty() && seen.back().up == up) return;
  if (seen.size() >= Pool::kSpotSeen) seen.erase(seen.begin(), seen.begin() + Pool::kSpotSeen / 4);
  seen.push_back({.at = now_, .up = up});
  const auto what = up ? MarketEvent::What::up : MarketEvent::What::down;
  noteMarket(slot, {.pool = slot.pool.name, .at = now_, .what = what});
  s_.askAll(slot);
}

void Stepper::noteLife(const MachineSlot& slot) {
  const Machine& machine = slot.machine;
  if (machine.market != Market::spot || machine.billed_from == Time{} || machine.host) return;
  const bool taken = machine.taken || machine.notice_deadline;
  noteMarket(*slot.pool, {.pool = machine.pool,
                          .at = now_,
                          .what = MarketEvent::What::ended,
                          .lived = std::max(now_ - machine.billed_from, Duration{0}),
                          .taken = taken && !machine.reclaim_asked});
}

void Stepper::noteMarket(PoolSlot& slot, MarketEvent event) {
  constexpr std::uint32_t kFirst = 8;
  out_.changes.market.push_back(std::move(event));
  Pool& pool = slot.pool;
  if (++pool.market_news >= std::max(kFirst, pool.market_learned / 4)) {
    pool.market_learned += pool.market_news;
    pool.market_news = 0;
    pool.learned_until = now_;
  }
  touch(slot);
}

}  // namespace buoy::engine
