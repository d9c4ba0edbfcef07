#include <algorithm>
#include <limits>

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

// Since when all of its processes run; zero: not all do.
Time wholeSince(const Attempt& attempt) {
  Time since{};
  for (const Member& member : attempt.members) {
    if (member.phase != MemberPhase::running) return Time{};
    since = std::max(since, member.running_since);
  }
  return since;
}

// It goes on as long as nothing happens to it. Not one that has come to its end by itself.
bool works(const Attempt* attempt) {
  if (!attempt || attempt->interrupted || attempt->failed || attempt->verify_until != Time{}) return false;
  return std::all_of(attempt->members.begin(), attempt->members.end(),
                     [](const Member& member) { return member.phase < MemberPhase::saving; });
}

// To what formatDuration shows: whoever asks for just that long is not refused again.
Duration roundedUp(Duration time) {
  if (time > std::chrono::days{1}) return std::chrono::ceil<std::chrono::hours>(time);
  if (time > std::chrono::hours{1}) return std::chrono::ceil<std::chrono::minutes>(time);
  return std::chrono::ceil<std::chrono::seconds>(time);
}

std::string priceText(PricePerHour price) {
  return formatMoney(Money{price.nano_usd}) + "/h";
}

}  // namespace

SpotDecision PlacementPolicy::steer(SpotRule, const SpotView&) const {
  return {.take = Holding::on_demand, .reason = "there are no spot policies here"};
}

// ---- what can be promised

// A machine is ordered while the one before saves and ends; then it restores. The loss of a machine may go
// unnoticed for a lease.
Duration changeoverBound(const Pool& pool, const JobRequest& request, const Settings& settings) {
  return std::max(launchBound(pool, settings), request.stop_grace) + usualSetup(pool, settings) +
         settings.lease;
}

std::optional<Time> deadlineOf(const JobRequest& request, Time submitted) {
  if (request.deadline_at != Time{}) return request.deadline_at;
  if (request.deadline_in > Duration{0}) return submitted + request.deadline_in;
  return std::nullopt;
}

std::optional<Time> earliestDeadline(const JobRequest& request, std::span<const Pool* const> pools, Time now,
                                     const Settings& settings) {
  for (const Pool* const pool : pools) {
    if (onDemandType(*pool, request)) return now + request.work + changeoverBound(*pool, request, settings);
  }
  return std::nullopt;
}

std::string whyInfeasible(const JobRequest& request, std::span<const Pool* const> pools, Time now,
                          const Settings& settings) {
  const auto deadline = deadlineOf(request, now);
  if (!deadline) return {};
  const auto earliest = earliestDeadline(request, pools, now, settings);
  if (!earliest)
    return "cannot be promised: no pool of the job offers on-demand machines that are large enough";
  if (*deadline >= *earliest) return {};
  const Duration whole = roundedUp(*earliest - now);
  return strCat({"cannot be met: ", formatDuration(request.work), " of work and up to ",
                 formatDuration(*earliest - now - request.work),
                 " until it runs on an on-demand machine take until ", formatTime(now + whole),
                 "; the earliest deadline is ", formatDuration(whole), " from now"});
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
  question.time_total = deadline - job.submitted;
  question.time_left = deadline - now_;
  question.step = std::clamp(question.time_total / kSteps, kShortestStep, kLongestStep);
  question.work_total = request.work;

  const Attempt* const held = job.next ? (steering.moving ? job.current.get() : job.next.get())
                              : works(job.current.get()) ? job.current.get()
                                                         : nullptr;
  const Time whole = held ? wholeSince(*held) : Time{};
  if (whole != Time{}) question.unsaved = now_ - std::max(whole, held->saved_until);
  question.work_left = std::max(
      {request.work - steering.saved_work - question.unsaved, request.work / kNeverTrusted, Duration{1}});

  const PoolSlot* const pool = held ? anchorOf(s_, *held) : nullptr;
  if (pool) question.holding = marketOf(*held) == Market::spot ? Holding::spot : Holding::on_demand;
  addPlaces(question, slot, question.holding == Holding::spot ? pool : nullptr);
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
    const Duration setup =
        job.steering->setup > Duration{0} ? job.steering->setup : usualSetup(pool, settings_);
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
                               .past = pastOf(*pool, pool == held || can_be_tried, job.submitted, now_)});
  }
  // Its pools offer none any more: taken to be as slow as can be.
  if (question.changeover == Duration{0}) question.changeover = settings_.boot_timeout + settings_.lease;
}

Duration spareOf(const SpotQuestion& question) {
  return question.time_left - question.work_left - question.unsaved - question.changeover;
}

SpotDecision answerOf(const PlacementPolicy& policy, const SpotQuestion& question) {
  const SpotDecision stay{
      .take = Holding::spot, .candidate = question.held, .reason = "it works, and the deadline has passed"};
  const bool on_spot = question.holding == Holding::spot;
  if (question.time_left <= Duration{0}) {
    if (on_spot && question.changeover_left == Duration{0}) return stay;
    return {.take = Holding::on_demand, .reason = "the deadline has passed"};
  }
  std::vector<SpotCandidate> candidates;
  candidates.reserve(question.places.size());
  for (const SpotQuestion::Place& place : question.places) {
    candidates.push_back(
        {.place = place.pool, .price = place.price, .changeover = place.changeover, .past = place.past});
  }
  const SpotDecision decision = policy.steer(question.rule, {.work_total = question.work_total,
                                                             .work_left = question.work_left,
                                                             .time_total = question.time_total,
                                                             .time_left = question.time_left,
                                                             .changeover = question.changeover,
                                                             .step = question.step,
                                                             .on_demand_price = question.on_demand_price,
                                                             .machines = question.machines,
                                                             .candidates = candidates,
                                                             .holding = question.holding,
                                                             .held = question.held,
                                                             .changeover_left = question.changeover_left});
  const bool stays = on_spot && decision.take == Holding::spot && decision.candidate == question.held;
  if (stays && question.unsaved > Duration{0} && spareOf(question) < question.step)
    return {.take = Holding::on_demand, .reason = "what is not saved could not be done again in time"};
  return decision;
}

bool rederives(const Record::Steered& steered, const PlacementPolicy& policy) {
  const SpotDecision again = answerOf(policy, steered.question);
  if (again.take != steered.take || again.reason != steered.reason) return false;
  return again.take != Holding::spot || (again.candidate < steered.question.places.size() &&
                                         steered.question.places[again.candidate].pool == steered.pool);
}

// ---- the answer, and what follows from it

void Stepper::steer(JobSlot& slot) {
  Job& job = slot.job;
  slot.ask_at = Time{};
  retime(slot);
  if (!isSteered(job) || isTerminal(job.phase) || job.stop != StopReason::none || job.paused) return;
  // An attempt that ends, whichever way, is followed by a question.
  if (job.current && !works(job.current.get()) && !job.current->interrupted) return;
  Steering& steering = *job.steering;
  SpotQuestion question = questionOf(slot);
  slot.ask_at = now_ + question.step;
  // The way to on-demand, once begun, is gone to its end.
  if (steering.moving && job.next && steering.want == Holding::on_demand) return;
  const SpotDecision decision = answerOf(policy_, question);
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
  if (question.unsaved <= Duration{0}) return;
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
  const bool working = works(job.current.get());
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
  if (!isSteered(job) || !job.steering->moving || !job.next || !works(job.current.get())) return;
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
  touch(slot);
  s_.askAll(slot);
}

}  // namespace buoy::engine
