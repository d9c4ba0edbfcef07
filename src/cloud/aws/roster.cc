#include "cloud/aws/roster.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "base/strings.h"
#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

using engine::GoneReason;

// EC2 shows what it has made within seconds; what it does not show for so long is not there.
constexpr Duration kShownWithin = std::chrono::seconds{60};
// For one that this provider never heard of, and is asked about or told to end.
constexpr Duration kStrangerWithin = std::chrono::seconds{15};

bool isAlive(InstanceState state) {
  switch (state) {
    case InstanceState::pending:
    case InstanceState::running:
      return true;
    case InstanceState::shutting_down:
    case InstanceState::terminated:
    case InstanceState::stopping:
    case InstanceState::stopped:
      return false;
    case InstanceState::unknown:
      return true;
  }
  return true;
}

bool isStopped(InstanceState state) {
  return state == InstanceState::stopping || state == InstanceState::stopped;
}

}  // namespace

End endOf(const Instance& instance) {
  const std::string& code = instance.reason_code;
  if (code == "Server.SpotInstanceTermination" || code == "Server.SpotInstanceShutdown")
    return {GoneReason::reclaimed, "EC2 took it back (" + code + ")"};
  if (code == "Client.UserInitiatedShutdown")
    return {GoneReason::terminated, "terminated by a user of the account"};
  if (code == "Client.InstanceInitiatedShutdown") return {GoneReason::vanished, "it shut itself down"};
  if (code.starts_with("Server.")) return {GoneReason::vanished, "EC2 ended it (" + code + ")"};
  if (code.starts_with("Client.")) return {GoneReason::vanished, "it could not start (" + code + ")"};
  return {GoneReason::vanished, code.empty() ? "EC2 does not say why" : code};
}

const Roster::Known* Roster::find(MachineId machine) const {
  const auto found = machines_.find(machine);
  return found == machines_.end() ? nullptr : &found->second;
}

bool Roster::beginLaunch(const LaunchRequest& request, Time now) {
  const auto [found, is_new] = machines_.try_emplace(request.machine);
  Known& known = found->second;
  if (!is_new && (known.launching || !known.instance.empty())) return false;
  known.launching = true;
  known.pool = request.pool;
  known.type = request.type.name;
  known.group = request.group;
  known.spot = request.market == engine::Market::spot;
  known.since = now;
  return true;
}

void Roster::launchedAs(MachineId machine, const std::string& account, const Launched& made, Time now,
                        Outcome& out) {
  Known& known = machines_[machine];
  known.launching = false;
  known.equipped = true;
  known.account = account;
  known.instance = made.instance;
  known.type = made.type;
  known.zone = made.zone;
  known.left_zone = made.left_zone;
  known.since = now;
  if (known.unwanted) order(known, out);
}

void Roster::launchFailed(MachineId machine) {
  const auto found = machines_.find(machine);
  // A sweep may have found it meanwhile: what an earlier run made.
  if (found != machines_.end() && found->second.instance.empty()) machines_.erase(found);
}

void Roster::equipped(MachineId machine) {
  if (const auto found = machines_.find(machine); found != machines_.end()) found->second.equipped = true;
}

void Roster::order(Known& known, Outcome& out) {
  known.unwanted = true;
  if (!known.instance.empty()) out.terminate[known.account].push_back(known.instance);
}

void Roster::terminate(MachineId machine, Time now, Outcome& out) {
  const auto [found, is_new] = machines_.try_emplace(machine);
  if (is_new) found->second.since = now;
  order(found->second, out);
}

void Roster::query(MachineId machine, Time now) {
  const auto [found, is_new] = machines_.try_emplace(machine);
  if (is_new) found->second.since = now;
  found->second.asked = true;
}

void Roster::reclaim(MachineId machine, Time now, Outcome& out) {
  terminate(machine, now, out);
  machines_[machine].told_reason = GoneReason::reclaimed;
}

void Roster::terminated(const std::vector<std::string>& instances) {
  const std::set<std::string_view> taken(instances.begin(), instances.end());
  for (auto& [machine, known] : machines_) {
    if (taken.contains(known.instance)) known.ordered = true;
  }
}

void Roster::tellEnd(MachineId machine, const Known& known, const Instance& instance, Outcome& out) {
  End end = endOf(instance);
  if (known.told_reason) end = {*known.told_reason, "taken back as it was asked for"};
  engine::MachineGone gone{machine, end.reason, std::move(end.detail)};
  gone.charged = known.told_reason.has_value();
  gone.since = instance.launched;
  gone.until = transitionTime(instance.transition_reason).value_or(Time{});
  out.events.emplace_back(std::move(gone));
  out.gone.push_back(instance.id);
}

void Roster::seeOne(const std::string& account, MachineId machine, const Instance& instance, Time now,
                    Outcome& out) {
  auto found = machines_.find(machine);
  // Of a launch that is under way the answer is yet to come.
  if (found != machines_.end() && found->second.launching) {
    found->second.seen = now;
    return;
  }
  const bool alive = isAlive(instance.state);
  if (found != machines_.end() && !found->second.instance.empty() && found->second.instance != instance.id) {
    // A second one for the same machine, however it came about: nobody would ever use it.
    if (alive) out.terminate[account].push_back(instance.id);
    return;
  }
  if (!alive) {
    if (isStopped(instance.state)) out.terminate[account].push_back(instance.id);
    ended_[account].insert(instance.id);
    tellEnd(machine, found == machines_.end() ? Known{} : found->second, instance, out);
    if (found != machines_.end()) machines_.erase(found);
    return;
  }
  if (found == machines_.end()) {
    found = machines_.try_emplace(machine).first;
    found->second.since = now;
  }
  Known& known = found->second;
  known.seen = now;
  known.account = account;
  known.instance = instance.id;
  known.type = instance.type;
  known.zone = instance.zone;
  known.pool = instance.tag(kPoolTag);
  known.group = instance.tag(kGroupTag);
  known.spot = instance.spot;
  known.launched = instance.launched;
  if (known.unwanted && !known.ordered) out.terminate[account].push_back(instance.id);
  if (!known.announced && !instance.private_address.empty()) {
    known.announced = true;
    engine::LaunchSucceeded up{machine, instance.id, instance.private_address, instance.launched};
    up.type = instance.type;
    out.events.emplace_back(std::move(up));
  }
  if (std::exchange(known.asked, false)) out.events.emplace_back(engine::MachineAlive{machine});
}

void Roster::see(const std::string& account, const std::vector<Instance>& instances, Time now, Outcome& out) {
  // Of two that claim to be one machine the older is it; those that live before those that have ended.
  std::vector<const Instance*> by_age;
  for (const Instance& instance : instances) by_age.push_back(&instance);
  std::stable_sort(by_age.begin(), by_age.end(), [](const Instance* a, const Instance* b) {
    return std::pair(!isAlive(a->state), a->launched) < std::pair(!isAlive(b->state), b->launched);
  });
  std::set<std::string> still_shown;
  for (const Instance* instance : by_age) {
    const auto machine = MachineId::parse(instance->tag(kMachineTag));
    if (instance->tag(kClusterTag) != cluster_ || !machine) continue;
    if (ended_[account].contains(instance->id)) {
      still_shown.insert(instance->id);
      continue;
    }
    seeOne(account, *machine, *instance, now, out);
    if (ended_[account].contains(instance->id)) still_shown.insert(instance->id);
  }
  ended_[account] = std::move(still_shown);
}

void Roster::concludeMissing(const std::set<std::string>& looked_at, bool all, Time now, Outcome& out) {
  for (auto it = machines_.begin(); it != machines_.end();) {
    const auto& [machine, known] = *it;
    const bool stranger = known.instance.empty();
    const bool looked = known.account.empty() ? all : looked_at.contains(known.account);
    const Duration unseen = now - std::max(known.since, known.seen);
    if (known.launching || !looked || unseen < (stranger ? kStrangerWithin : kShownWithin)) {
      ++it;
      continue;
    }
    engine::MachineGone gone{machine, known.unwanted ? GoneReason::terminated : GoneReason::vanished,
                             "EC2 has no such machine"};
    gone.since = known.launched;
    out.events.emplace_back(std::move(gone));
    if (!stranger) out.gone.push_back(known.instance);
    it = machines_.erase(it);
  }
}

bool Roster::restless() const {
  return std::any_of(machines_.begin(), machines_.end(), [](const auto& entry) {
    const Known& known = entry.second;
    return known.unwanted || known.asked || (!known.launching && !known.announced);
  });
}

}  // namespace buoy::cloud::aws
