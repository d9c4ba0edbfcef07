#include "schedule/spot/policies.h"

#include <array>

#include "base/strings.h"
#include "schedule/spot/buoy.h"
#include "schedule/spot/on_demand.h"
#include "schedule/spot/safety_net.h"
#include "schedule/spot/spot_first.h"
#include "schedule/spot/uniform_progress.h"

namespace buoy::schedule::spot {
namespace {

constexpr std::array<std::string_view, 4> kNames{"on-demand", "spot-first", "uniform-progress", "buoy"};

std::unique_ptr<engine::SpotPolicy> bare(std::string_view name, const std::shared_ptr<Planners>& planners) {
  if (name == kNames[0]) return std::make_unique<OnDemand>();
  if (name == kNames[1]) return std::make_unique<SpotFirst>();
  if (name == kNames[2]) return std::make_unique<UniformProgress>();
  if (name == kNames[3]) return std::make_unique<Buoy>(planners);
  return nullptr;
}

}  // namespace

std::span<const std::string_view> policyNames() {
  return kNames;
}

Result<std::unique_ptr<engine::SpotPolicy>> makePolicy(std::string_view name,
                                                       const std::shared_ptr<Planners>& planners) {
  auto policy = bare(name, planners);
  if (!policy) return fail(ErrorCode::not_found, strCat({"no policy is called ", inQuotes(name)}));
  return std::make_unique<SafetyNet>(std::move(policy));
}

Result<std::unique_ptr<engine::SpotPolicy>> makePolicy(std::string_view name,
                                                       const std::shared_ptr<Planner>& planner) {
  return makePolicy(name, std::shared_ptr<Planners>(std::make_shared<OnePlanner>(planner)));
}

}  // namespace buoy::schedule::spot
