#include "control/catalog.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "engine/budget.h"

namespace buoy::control {
namespace {

template <class T>
const T* find(const std::vector<T>& values, const std::string& name) {
  const auto found =
      std::find_if(values.begin(), values.end(), [&](const T& value) { return value.name == name; });
  return found == values.end() ? nullptr : &*found;
}

api::Problem problem(std::string field, std::string message) {
  api::Problem found;
  found.field = std::move(field);
  found.message = std::move(message);
  return found;
}

template <class T>
api::Problem unknown(std::string field, std::string_view kind, const std::string& name,
                     const std::vector<T>& values) {
  std::vector<std::string> names;
  for (const T& value : values) names.push_back(value.name);
  const auto guess = nearest(name, names);
  const std::string hint = guess           ? strCat({"; did you mean '", *guess, "'?"})
                           : names.empty() ? "; there is none"
                                           : strCat({"; known: ", join(names, ", ")});
  return problem(std::move(field), strCat({"there is no ", kind, " '", name, "'", hint}));
}

bool fits(const engine::Resources& wanted, const engine::Resources& offered) {
  return wanted.milli_cpus <= offered.milli_cpus && wanted.gpus <= offered.gpus &&
         wanted.memory <= offered.memory;
}

std::string describe(const engine::Resources& resources) {
  const int hundredths = resources.milli_cpus % 1000 / 10;
  std::string cpus = std::to_string(resources.milli_cpus / 1000);
  if (hundredths != 0) cpus += strCat({".", hundredths < 10 ? "0" : "", std::to_string(hundredths)});
  std::string text = strCat({cpus, cpus == "1" ? " CPU" : " CPUs"});
  if (resources.memory.value > 0) text += ", " + formatByteCount(resources.memory);  // zero: any will do
  if (resources.gpus > 0)
    text += strCat({", ", std::to_string(resources.gpus), resources.gpus == 1 ? " GPU" : " GPUs"});
  return text;
}

// Why no machine of this pool can ever run the job; nullopt: one can.
std::optional<api::Problem> refusal(const engine::Pool& pool, const engine::JobRequest& request) {
  const engine::MachineType* largest = nullptr;
  for (const engine::MachineType& type : pool.types) {
    if (fits(request.resources, type.resources)) {
      largest = nullptr;
      break;
    }
    if (largest == nullptr || !fits(type.resources, largest->resources)) largest = &type;
  }
  if (pool.types.empty()) return problem("pools", strCat({"pool '", pool.name, "' has no machine types"}));
  if (largest != nullptr) {
    return problem("resources",
                   strCat({"no machine type of pool '", pool.name, "' has ", describe(request.resources),
                           "; the largest, '", largest->name, "', has ", describe(largest->resources)}));
  }
  if (pool.max_machines > 0 && request.machines > pool.max_machines) {
    return problem("machines", strCat({std::to_string(request.machines), " are more than pool '", pool.name,
                                       "' may have: ", std::to_string(pool.max_machines)}));
  }
  if (request.spot == engine::SpotPreference::only && !pool.spot) {
    return problem("spot", strCat({"pool '", pool.name, "' offers no spot machines"}));
  }
  if (request.spot == engine::SpotPreference::never && !pool.on_demand) {
    return problem("spot", strCat({"pool '", pool.name, "' offers only spot machines"}));
  }
  return std::nullopt;
}

}  // namespace

void Catalog::replace(View view) {
  auto shared = std::make_shared<const View>(std::move(view));
  view_.withLock([&](auto& current) { current.swap(shared); });
}

std::shared_ptr<const Catalog::View> Catalog::view() {
  return view_.withLock([](const auto& current) { return current; });
}

std::vector<api::Problem> checkAdmission(const Catalog::View& view, const engine::JobRequest& request) {
  const engine::Queue* queue = find(view.queues, request.queue);
  if (queue == nullptr) return {unknown("queue", "queue", request.queue, view.queues)};
  const bool own = !request.pools.empty();
  std::vector<api::Problem> unknown_pools, refusals;
  for (const std::string& name : own ? request.pools : queue->pools) {
    const engine::Pool* pool = find(view.pools, name);
    if (pool == nullptr) {
      if (own) unknown_pools.push_back(unknown("pools", "pool", name, view.pools));
      continue;
    }
    auto why = refusal(*pool, request);
    refusals.push_back(why ? std::move(*why) : api::Problem{});
  }
  if (!unknown_pools.empty()) return unknown_pools;
  if (refusals.empty()) return {problem("queue", strCat({"queue '", queue->name, "' has no pools"}))};
  // One pool that can run it is enough.
  const auto fits_one = [](const api::Problem& p) { return p.message.empty(); };
  if (std::any_of(refusals.begin(), refusals.end(), fits_one)) return {};
  return refusals;
}

std::vector<api::Problem> checkStoragePools(const Catalog::View& view, const engine::JobRequest& request,
                                            const cloud::Storage& storage,
                                            const std::vector<std::string>& providers) {
  if (storage.empty()) return {};
  const engine::Queue* queue = find(view.queues, request.queue);
  for (const std::string& name : !request.pools.empty() || queue == nullptr ? request.pools : queue->pools) {
    const engine::Pool* const pool = find(view.pools, name);
    if (pool == nullptr || std::find(providers.begin(), providers.end(), pool->provider) != providers.end())
      continue;
    return {problem(storage.volumes.empty() ? "file_systems" : "volumes",
                    strCat({"pool '", name, "' has none (its provider is '", pool->provider,
                            "'): name pools of provider aws under 'pools', or leave this out"}))};
  }
  return {};
}

std::vector<api::Problem> checkPromises(const Catalog::View& view, const engine::JobRequest& request,
                                        Time now, const engine::Settings& settings) {
  const engine::Queue* queue = find(view.queues, request.queue);
  std::vector<const engine::Pool*> pools;
  for (const std::string& name : !request.pools.empty() || queue == nullptr ? request.pools : queue->pools) {
    if (const engine::Pool* const pool = find(view.pools, name)) pools.push_back(pool);
  }
  std::vector<api::Problem> problems;
  if (std::string why = engine::whyInfeasible(request, pools, now, settings); !why.empty())
    problems.push_back(problem("deadline", std::move(why)));
  if (std::string why = engine::whyTooSmall(request, pools, settings); !why.empty())
    problems.push_back(problem("budget", std::move(why)));
  return problems;
}

std::vector<api::Problem> checkQueue(const Catalog::View& view, const engine::Queue& queue) {
  std::vector<api::Problem> problems;
  for (const std::string& name : queue.pools) {
    if (find(view.pools, name) == nullptr) problems.push_back(unknown("pools", "pool", name, view.pools));
  }
  return problems;
}

}  // namespace buoy::control
