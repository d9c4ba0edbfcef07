#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/spot_policy.h"
#include "sim/trace.h"

namespace buoy::sim {

// How a job keeps what it has done.
struct Saves {
  // Between two saves, in running time; kNever: a job that keeps nothing, and begins again wherever it goes.
  Duration interval{};
  Duration cost{};         // that a save holds the work up for
  double unnoticed = 0;    // part of the reclaims: those without a notice in which a save fits
  std::uint64_t seed = 1;  // decides which

  static constexpr Duration kNever = Duration::max();
};

// One job with a deadline on a stretch of recorded markets. Decisions are made at the ticks. A changeover is
// paid at the new machine's price before work goes on; machines are billed by the time they are held; spot is
// lost at the tick where it becomes unavailable. This is the model of "Can't Be Late" (NSDI '24).
struct Window {
  std::size_t start_tick = 0;
  Duration work{}, deadline{}, changeover{};
  PricePerHour on_demand_price;
  std::optional<PricePerHour> spot_price;  // nullopt: the recorded prices
  std::int32_t machines = 1;               // a gang needs as many in the same zone
  std::optional<Saves> saves;              // nullopt: saves cost nothing, and no work is ever lost
};

struct WindowResult {
  Money cost;
  Duration finish{};              // since the start
  std::uint32_t changes = 0;      // launches: times that a changeover began
  std::uint32_t preemptions = 0;  // spot lost while it was held
  Duration redone{};              // work that was lost and done again
  bool missed = false;            // finished after the deadline
};

// The running time that the work takes with the saves it makes on its way.
Duration runningTime(const Window& window);

// invalid_argument: no traces, gaps that differ, a window that the traces do not cover until the deadline,
// missing prices, a deadline that cannot be met even by on-demand from the start, values out of range.
Status validate(const Window& window, std::span<const Trace* const> traces);

// What a policy pays in a valid window; it sees the availability of every zone from the start of the window
// on, and nothing from before it or of the future.
WindowResult replay(const Window& window, std::span<const Trace* const> traces, engine::SpotPolicy& policy);

// The price of one spot machine of the trace in a tick of the window's time.
PricePerHour spotPrice(const Window& window, const Trace& trace, std::size_t tick);

}  // namespace buoy::sim
