#include "engine/types.h"

#include <span>
#include <utility>

#include "base/strings.h"

namespace buoy::engine {
namespace {

template <class Enum>
using Names = std::span<const std::pair<Enum, std::string_view>>;

// The names are persisted and on the wire: never change one, only add.
constexpr std::pair<SpotPreference, std::string_view> kSpotPreferences[] = {
    {SpotPreference::prefer, "prefer"}, {SpotPreference::only, "only"}, {SpotPreference::never, "never"}};
constexpr std::pair<Market, std::string_view> kMarkets[] = {{Market::spot, "spot"},
                                                            {Market::on_demand, "on_demand"}};
constexpr std::pair<Holding, std::string_view> kHoldings[] = {
    {Holding::nothing, "nothing"}, {Holding::spot, "spot"}, {Holding::on_demand, "on_demand"}};
constexpr std::pair<Isolation, std::string_view> kIsolations[] = {{Isolation::container, "container"},
                                                                  {Isolation::process, "process"}};
constexpr std::pair<SpotRule, std::string_view> kSpotRules[] = {
    {SpotRule::none, "none"},
    {SpotRule::on_demand, "on-demand"},
    {SpotRule::spot_first, "spot-first"},
    {SpotRule::uniform_progress, "uniform-progress"},
    {SpotRule::buoy, "buoy"}};
constexpr std::pair<JobPhase, std::string_view> kJobPhases[] = {
    {JobPhase::queued, "queued"},       {JobPhase::starting, "starting"},
    {JobPhase::running, "running"},     {JobPhase::recovering, "recovering"},
    {JobPhase::stopping, "stopping"},   {JobPhase::paused, "paused"},
    {JobPhase::succeeded, "succeeded"}, {JobPhase::failed, "failed"},
    {JobPhase::cancelled, "cancelled"}, {JobPhase::timed_out, "timed_out"}};
constexpr std::pair<StopReason, std::string_view> kStopReasons[] = {
    {StopReason::none, "none"},           {StopReason::cancelled, "cancelled"},
    {StopReason::max_run, "max_run"},     {StopReason::max_wait, "max_wait"},
    {StopReason::peer_lost, "peer_lost"}, {StopReason::peer_failed, "peer_failed"},
    {StopReason::notice, "notice"},       {StopReason::moved, "moved"},
    {StopReason::paused, "paused"},       {StopReason::main_ended, "main_ended"}};
constexpr std::pair<MemberPhase, std::string_view> kMemberPhases[] = {
    {MemberPhase::assigned, "assigned"},   {MemberPhase::preparing, "preparing"},
    {MemberPhase::restoring, "restoring"}, {MemberPhase::running, "running"},
    {MemberPhase::saving, "saving"},       {MemberPhase::done, "done"}};
constexpr std::pair<MemberResult::Kind, std::string_view> kResultKinds[] = {
    {MemberResult::Kind::exited, "exited"},
    {MemberResult::Kind::stopped, "stopped"},
    {MemberResult::Kind::setup_failed, "setup_failed"},
    {MemberResult::Kind::machine_lost, "machine_lost"},
    {MemberResult::Kind::fenced, "fenced"}};
constexpr std::pair<MachinePhase, std::string_view> kMachinePhases[] = {
    {MachinePhase::requested, "requested"}, {MachinePhase::booting, "booting"},
    {MachinePhase::idle, "idle"},           {MachinePhase::assigned, "assigned"},
    {MachinePhase::releasing, "releasing"}, {MachinePhase::gone, "gone"}};
constexpr std::pair<Use, std::string_view> kUses[] = {
    {Use::useful, "useful"},       {Use::redone, "redone"},     {Use::saving, "saving"},
    {Use::restoring, "restoring"}, {Use::starting, "starting"}, {Use::waiting, "waiting"}};
constexpr std::pair<StuckFor, std::string_view> kStuckFor[] = {{StuckFor::no_type, "no_type"},
                                                               {StuckFor::too_large, "too_large"},
                                                               {StuckFor::no_capacity, "no_capacity"}};
constexpr std::pair<MarketEvent::What, std::string_view> kMarketEvents[] = {
    {MarketEvent::What::up, "up"}, {MarketEvent::What::down, "down"}, {MarketEvent::What::ended, "ended"}};

Names<SpotPreference> namesOf(SpotPreference) {
  return kSpotPreferences;
}
Names<Market> namesOf(Market) {
  return kMarkets;
}
Names<Holding> namesOf(Holding) {
  return kHoldings;
}
Names<Isolation> namesOf(Isolation) {
  return kIsolations;
}
Names<SpotRule> namesOf(SpotRule) {
  return kSpotRules;
}
Names<JobPhase> namesOf(JobPhase) {
  return kJobPhases;
}
Names<StopReason> namesOf(StopReason) {
  return kStopReasons;
}
Names<MemberPhase> namesOf(MemberPhase) {
  return kMemberPhases;
}
Names<MemberResult::Kind> namesOf(MemberResult::Kind) {
  return kResultKinds;
}
Names<MachinePhase> namesOf(MachinePhase) {
  return kMachinePhases;
}
Names<Use> namesOf(Use) {
  return kUses;
}
Names<StuckFor> namesOf(StuckFor) {
  return kStuckFor;
}
Names<MarketEvent::What> namesOf(MarketEvent::What) {
  return kMarketEvents;
}

template <class Enum>
std::string_view nameOf(Enum value) {
  for (const auto& [known, name] : namesOf(value)) {
    if (known == value) return name;
  }
  return "?";
}

std::unique_ptr<Attempt> copy(const std::unique_ptr<Attempt>& attempt) {
  return attempt ? std::make_unique<Attempt>(*attempt) : nullptr;
}

}  // namespace

std::string_view toString(SpotPreference value) {
  return nameOf(value);
}
std::string_view toString(Market value) {
  return nameOf(value);
}
std::string_view toString(Holding value) {
  return nameOf(value);
}
std::string_view toString(Isolation value) {
  return nameOf(value);
}
std::string_view toString(SpotRule value) {
  return nameOf(value);
}
std::string_view toString(JobPhase value) {
  return nameOf(value);
}
std::string_view toString(StopReason value) {
  return nameOf(value);
}
std::string_view toString(MemberPhase value) {
  return nameOf(value);
}
std::string_view toString(MemberResult::Kind value) {
  return nameOf(value);
}
std::string_view toString(MachinePhase value) {
  return nameOf(value);
}
std::string_view toString(Use value) {
  return nameOf(value);
}
std::string_view toString(StuckFor value) {
  return nameOf(value);
}
std::string_view toString(MarketEvent::What value) {
  return nameOf(value);
}

template <class Enum>
std::optional<Enum> fromString(std::string_view text) {
  for (const auto& [value, name] : namesOf(Enum{})) {
    if (sameWord(name, text)) return value;
  }
  return std::nullopt;
}
template std::optional<SpotPreference> fromString<SpotPreference>(std::string_view);
template std::optional<Market> fromString<Market>(std::string_view);
template std::optional<Holding> fromString<Holding>(std::string_view);
template std::optional<Isolation> fromString<Isolation>(std::string_view);
template std::optional<SpotRule> fromString<SpotRule>(std::string_view);
template std::optional<JobPhase> fromString<JobPhase>(std::string_view);
template std::optional<StopReason> fromString<StopReason>(std::string_view);
template std::optional<MemberPhase> fromString<MemberPhase>(std::string_view);
template std::optional<MemberResult::Kind> fromString<MemberResult::Kind>(std::string_view);
template std::optional<MachinePhase> fromString<MachinePhase>(std::string_view);
template std::optional<Use> fromString<Use>(std::string_view);
template std::optional<StuckFor> fromString<StuckFor>(std::string_view);
template std::optional<MarketEvent::What> fromString<MarketEvent::What>(std::string_view);

std::uint64_t SaveMeasure::fitsInNotice() const {
  // In whole milliseconds, and divided first: no product of two large numbers.
  const auto milliseconds = static_cast<std::uint64_t>(notice.count() / 1000);
  return bytes_per_second / 1000 * milliseconds;
}

Job clone(const Job& job) {
  Job result;
  result.id = job.id;
  result.request = job.request;
  result.phase = job.phase;
  result.stop = job.stop;
  result.submitted = job.submitted;
  result.phase_since = job.phase_since;
  result.waiting_since = job.waiting_since;
  result.ran = job.ran;
  result.attempts = job.attempts;
  result.failures = job.failures;
  result.epoch = job.epoch;
  result.exit_code = job.exit_code;
  result.reason = job.reason;
  result.current = copy(job.current);
  result.next = copy(job.next);
  result.ledger = job.ledger ? std::make_unique<Ledger>(*job.ledger) : nullptr;
  result.last_version = job.last_version;
  result.last_save = job.last_save;
  result.save_requests = job.save_requests;
  result.save_asked = job.save_asked;
  result.paused = job.paused;
  result.steering = job.steering ? std::make_unique<Steering>(*job.steering) : nullptr;
  result.past = job.past;
  result.waits_for = job.waits_for;
  result.array = job.array ? std::make_unique<ArrayState>(*job.array) : nullptr;
  result.parent = job.parent;
  result.index = job.index;
  return result;
}

}  // namespace buoy::engine
