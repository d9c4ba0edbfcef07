#include "cloud/aws/launcher.h"

#include <algorithm>
#include <set>

#include "base/pause.h"
#include "base/strings.h"
#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

// What was made a moment ago is shown this late at most.
constexpr int kLookTries = 6;
constexpr Duration kLookEvery = std::chrono::seconds{2};
// A new instance profile is known to EC2 this late at most.
constexpr int kProfileTries = 15;
constexpr Duration kProfileEvery = std::chrono::seconds{2};
constexpr std::size_t kMostOverrides = 300;  // EC2's limit
constexpr std::size_t kMostTold = 6;

bool isProfileUnknown(std::string_view code, std::string_view message) {
  return code.starts_with("InvalidParameterValue") && message.find("nstance") != std::string_view::npos &&
         message.find("rofile") != std::string_view::npos;
}

// The one that decides what is done next: what a person must put right, before what may pass.
int weight(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::cancelled:
      return 9;
    case RefusalKind::credentials:
    case RefusalKind::permission:
    case RefusalKind::clock:
      return 8;
    case RefusalKind::bad_request:
    case RefusalKind::not_found:
    case RefusalKind::exists:
      return 7;
    case RefusalKind::throttled:
      return 6;
    case RefusalKind::trouble:
    case RefusalKind::mismatch:
      return 5;
    case RefusalKind::capacity:
      return 4;
    case RefusalKind::price:
      return 3;
    case RefusalKind::quota:
      return 2;
    case RefusalKind::unsupported:
      return 1;
  }
  return 0;
}

}  // namespace

void Launcher::settleGroup(const std::string& group, const std::string& zone) {
  if (group.empty()) return;
  auto zones = zone_of_.lock();
  if (zone.empty()) {
    zones->erase(group);
  } else {
    zones->try_emplace(group, zone);
  }
}

Launcher::Choices Launcher::choices(std::vector<Override> places, bool spot) {
  const Time now = clock_.now();
  const auto failed = memory_.withLock([&](const LaunchMemory& memory) {
    return std::stable_partition(places.begin(), places.end(), [&](const Override& each) {
      return !memory.failedLately(each.type, each.zone, spot, now);
    });
  });
  Choices result;
  result.last.assign(failed, places.end());
  places.erase(failed, places.end());
  result.fresh = std::move(places);
  return result;
}

std::vector<Override> Launcher::places(const Ground& ground, const PoolConfig& config,
                                       const LaunchRequest& request) {
  const std::string zone = request.group.empty() || config.spread_gangs
                               ? std::string()
                               : zone_of_.withLock([&](const auto& zones) {
                                   const auto found = zones.find(request.group);
                                   return found == zones.end() ? std::string() : found->second;
                                 });
  std::vector<Override> all;
  const auto add = [&](const engine::MachineType& type) {
    for (const Ground::Place& place : ground.places) {
      if (!zone.empty() && place.zone != zone) continue;
      if (all.size() < kMostOverrides)
        all.push_back({type.name, place.zone, place.subnet, priceLimit(config, type)});
    }
  };
  add(request.type);
  for (const engine::MachineType& type : request.alternatives) add(type);
  return all;
}

std::vector<Tag> Launcher::tags(const PoolConfig& config, const LaunchRequest& request) const {
  std::vector<Tag> tags{
      {kClusterTag, cluster_}, {kMachineTag, request.machine.toString()}, {kPoolTag, request.pool}};
  if (!config.tags.contains(kNameTag))
    tags.push_back({kNameTag, strCat({resourceName(cluster_), "-", request.machine.toString()})});
  if (!request.group.empty()) tags.push_back({kGroupTag, request.group});
  for (const auto& [key, value] : config.tags) tags.push_back({key, value});
  return tags;
}

Answer<Launcher::Try> Launcher::fleet(Ec2& ec2, const FleetRequest& request, const std::stop_token& stop) {
  BUOY_ASK(const FleetAnswer answer, ec2.createFleet(request, stop));
  Try result;
  const auto zoneOf = [&](const std::string& zone, const std::string& subnet) {
    if (!zone.empty()) return zone;
    const auto found = std::find_if(request.overrides.begin(), request.overrides.end(),
                                    [&](const Override& each) { return each.subnet == subnet; });
    return found == request.overrides.end() || subnet.empty() ? std::string() : found->zone;
  };
  for (const FleetAnswer::Made& made : answer.instances)
    result.made.push_back({made.instance, made.type, zoneOf(made.zone, made.subnet), false});
  for (const FleetError& error : answer.errors)
    result.failures.push_back(
        {error.type, zoneOf(error.zone, error.subnet), kindOf(error.code, 400), error.code, error.message});
  if (result.made.empty() && result.failures.empty())
    result.failures.push_back(
        {"", "", RefusalKind::capacity, "UnfulfillableCapacity", "no machine was given"});
  return result;
}

Answer<Launcher::Try> Launcher::single(Ec2& ec2, const FleetRequest& request, const std::stop_token& stop) {
  auto instance = ec2.runInstance(request, stop);
  Try result;
  const Override& wanted = request.overrides.front();
  if (instance) {
    result.made.push_back({instance->id, instance->type.empty() ? wanted.type : instance->type,
                           instance->zone.empty() ? wanted.zone : instance->zone, false});
    return result;
  }
  Refusal& refusal = instance.error();
  const bool about_this =
      worthAnotherPool(refusal.kind) || isProfileUnknown(refusal.code, refusal.error.message);
  if (!about_this) return tl::unexpected(std::move(refusal));
  result.failures.push_back({wanted.type, wanted.zone, refusal.kind, refusal.code, refusal.error.message});
  return result;
}

Answer<Launcher::Try> Launcher::attempt(Ec2& ec2, const FleetRequest& request, const std::stop_token& stop) {
  FleetRequest asked = request;
  for (int again = 0;; ++again) {
    auto result = request.overrides.size() == 1 ? single(ec2, asked, stop) : fleet(ec2, asked, stop);
    if (!result || !result->made.empty() || again == kProfileTries) return result;
    const bool too_early =
        std::any_of(result->failures.begin(), result->failures.end(),
                    [](const Failure& failure) { return isProfileUnknown(failure.code, failure.message); });
    if (!too_early || !pauseFor(kProfileEvery, stop)) return result;
    // Nothing was made by that token, and nothing ever will be.
    asked.token = strCat({request.token, "-p", std::to_string(again + 1)});
  }
}

// What an earlier run asked for by the same token, with other parameters. EC2 may show it a little late.
Answer<Launcher::Try> Launcher::made(Ec2& ec2, const LaunchRequest& request, const std::stop_token& stop) {
  Try result;
  for (int look = 0; look < kLookTries; ++look) {
    if (look > 0 && !pauseFor(kLookEvery, stop)) break;
    auto described = ec2.describeInstances(
        {{std::string("tag:") + kClusterTag, {cluster_}},
         {std::string("tag:") + kMachineTag, {request.machine.toString()}},
         {"instance-state-name", {"pending", "running"}}},
        [&](std::vector<Instance> page) {
          for (Instance& each : page) result.made.push_back({each.id, each.type, each.zone, false});
        },
        stop);
    if (!described) return tl::unexpected(std::move(described.error()));
    if (!result.made.empty()) break;
  }
  return result;
}

void Launcher::learn(const Try& result, bool spot) {
  const Time now = clock_.now();
  auto memory = memory_.lock();
  for (const Failure& failure : result.failures) {
    if (worthAnotherPool(failure.kind) && !failure.type.empty())
      memory->failed(failure.type, failure.zone, spot, now);
  }
  for (const Launched& made : result.made) memory->succeeded(made.type, made.zone, spot);
}

Refusal Launcher::refusalFor(const std::vector<Failure>& failures) const {
  const auto worst =
      std::max_element(failures.begin(), failures.end(),
                       [](const Failure& a, const Failure& b) { return weight(a.kind) < weight(b.kind); });
  // Each reason once, with the places that it was said of.
  std::vector<std::pair<std::string, std::vector<std::string>>> said;
  for (const Failure& failure : failures) {
    auto known =
        std::find_if(said.begin(), said.end(), [&](const auto& each) { return each.first == failure.code; });
    if (known == said.end()) known = said.insert(said.end(), {failure.code, {}});
    const std::string place = strCat({failure.type, failure.zone.empty() ? "" : " in ", failure.zone});
    auto& places = known->second;
    if (!place.empty() && std::find(places.begin(), places.end(), place) == places.end())
      places.push_back(place);
  }
  std::string text;
  for (const auto& [code, places] : said) {
    std::vector<std::string> told(
        places.begin(), places.begin() + static_cast<std::ptrdiff_t>(std::min(places.size(), kMostTold)));
    if (places.size() > kMostTold)
      told.push_back(strCat({std::to_string(places.size() - kMostTold), " more"}));
    text += strCat({text.empty() ? "" : "; ", code, told.empty() ? "" : " for ", join(told, ", ")});
  }
  const bool plain = said.size() == 1 && said.front().second.size() <= 1;
  if (plain && !worst->message.empty() && worst->message != worst->code) {
    text += ": " + worst->message.substr(0, 300);
    while (text.ends_with('.')) text.pop_back();
  }
  const std::string_view advice = adviceFor(worst->kind, worst->code);
  Refusal refusal = refusalOf("EC2", "the launch", worst->code, "", 400);
  refusal.error.message =
      strCat({"EC2 has no machine: ", text, advice.empty() ? "" : " (", advice, advice.empty() ? "" : ")"});
  return refusal;
}

Answer<Launched> Launcher::launch(Ec2& ec2, const Ground& ground, const PoolConfig& config,
                                  const LaunchRequest& request, const LaunchZone& zone,
                                  const std::stop_token& stop) {
  const bool spot = request.market == engine::Market::spot;
  std::vector<Override> first = places(ground, config, request);
  const auto outside = std::stable_partition(first.begin(), first.end(), [&](const Override& each) {
    return zone.name.empty() || each.zone == zone.name;
  });
  std::vector<Override> beyond;
  if (zone.may_leave) beyond.assign(outside, first.end());
  first.erase(outside, first.end());
  if (first.empty() && beyond.empty()) {
    return tl::unexpected(refusalOf(
        "the launch",
        Error{ErrorCode::invalid_argument, "no zone of the pool has a subnet for this machine", false}));
  }
  const Choices inside = choices(std::move(first), spot), elsewhere = choices(std::move(beyond), spot);
  std::vector<Failure> failures;
  for (const auto& [suffix, offered] : {std::pair{"a", &inside.fresh}, std::pair{"b", &inside.last},
                                        std::pair{"c", &elsewhere.fresh}, std::pair{"d", &elsewhere.last}}) {
    if (offered->empty()) continue;
    const FleetRequest asked{strCat({resourceName(cluster_), "-", request.machine.toString(), suffix}),
                             ground.launch_template,
                             ground.version,
                             *offered,
                             spot,
                             tags(config, request)};
    auto result = attempt(ec2, asked, stop);
    if (!result && result.error().kind == RefusalKind::mismatch) {
      result = made(ec2, request, stop);
      // It came to nothing then.
      if (result && result->made.empty()) {
        FleetRequest again = asked;
        again.token += "-2";
        result = attempt(ec2, again, stop);
      }
    }
    if (!result) return tl::unexpected(std::move(result.error()));
    learn(*result, spot);
    if (!result->made.empty()) {
      if (!config.spread_gangs) settleGroup(request.group, result->made.front().zone);
      Launched made = result->made.front();
      made.left_zone = zone.split || (!zone.name.empty() && made.zone != zone.name);
      return made;
    }
    std::move(result->failures.begin(), result->failures.end(), std::back_inserter(failures));
    const bool worth = std::all_of(failures.begin(), failures.end(),
                                   [](const Failure& failure) { return worthAnotherPool(failure.kind); });
    if (!worth) break;
  }
  return tl::unexpected(refusalFor(failures));
}

}  // namespace buoy::cloud::aws
