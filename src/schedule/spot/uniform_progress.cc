#include "schedule/spot/uniform_progress.h"

#include "schedule/spot/zone_choice.h"

namespace buoy::schedule::spot {
namespace {

using engine::Holding;

__extension__ typedef __int128 Int128;

// The sign of cp - t·C/D, exactly.
Int128 ahead(const engine::SpotView& view, Duration time_passed) {
  const Duration done = view.work_total - view.work_left;
  return static_cast<Int128>(done.count()) * view.time_total.count() -
         static_cast<Int128>(time_passed.count()) * view.work_total.count();
}

}  // namespace

engine::SpotDecision UniformProgress::decide(const engine::SpotView& view) {
  const Duration passed = view.time_total - view.time_left;
  const auto zone = chooseZone(view);
  if (view.holding == Holding::on_demand && (!zone || ahead(view, passed + 2 * view.changeover) <= 0))
    return {.take = Holding::on_demand, .reason = "not far enough ahead to leave on-demand"};
  if (zone) return {.take = Holding::spot, .candidate = *zone, .reason = "spot is up"};
  if (ahead(view, passed) >= 0) return {.take = Holding::nothing, .reason = "ahead of uniform progress"};
  return {.take = Holding::on_demand, .reason = "behind uniform progress"};
}

}  // namespace buoy::schedule::spot
