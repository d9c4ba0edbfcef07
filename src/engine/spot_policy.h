#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/units.h"

// When a job with a deadline takes spot capacity, when on-demand, and when it waits. The interface stands
// here because the engine, the replayer of recorded markets (sim/) and the policies (schedule/) all use it.
namespace buoy::engine {

// A stretch of a candidate's past during which spot machines for the whole gang could be had (up) or not.
struct AvailabilitySpan {
  Duration length{};
  bool up = false;
  bool operator==(const AvailabilitySpan&) const = default;
};

// A place that may have spot capacity: a zone and a machine type, large enough for the job. All candidates
// are taken to do the job's work at the same speed.
struct SpotCandidate {
  // What history is kept under ("us-east-1a/p3.2xlarge"); empty: nothing is known of it.
  std::string_view place;
  PricePerHour price;     // of one machine, now
  Duration changeover{};  // from the launch there until work goes on, moving the checkpoint included: a bound
  Money move_cost{};      // what moving there costs beside the machines' time: traffic between regions
  // What was seen, oldest first and without gaps; the last span is the present state and lasts until now. The
  // first began at some earlier, unknown time. Never empty; a policy looks at a bounded number of the last.
  std::span<const AvailabilitySpan> past;

  bool up() const { return !past.empty() && past.back().up; }
};

enum class Holding : std::uint8_t { nothing, spot, on_demand };
// By which policy; none: the job has no deadline.
enum class SpotRule : std::uint8_t { none, on_demand, spot_first, uniform_progress, buoy };

// Everything a decision may depend on. Times are counted from the start of the job's clock (its submit).
struct SpotView {
  Duration work_total{}, work_left{};  // running time on any machine, changeovers not counted; left > 0
  Duration time_total{}, time_left{};  // until the deadline
  Duration changeover{};               // from an on-demand launch until work goes on: an upper bound
  Duration step{};                     // at the latest after this time the policy is asked again; > 0
  PricePerHour on_demand_price;        // of one machine
  std::int32_t machines = 1;           // gang size; capacity and prices are for each of them
  std::span<const SpotCandidate> candidates;

  Holding holding = Holding::nothing;  // spot that was lost is nothing
  std::size_t held = 0;                // which candidate; with Holding::spot only
  Duration changeover_left{};          // of what is held; zero: it works
  // Work that would have to be done again if spot were lost without notice before the policy is asked again:
  // at most what is done between two saves.
  Duration at_risk{};
};

struct SpotDecision {
  Holding take = Holding::nothing;  // what to hold from now on; nothing: wait, releasing what is held
  std::size_t candidate = 0;        // with Holding::spot: one that is up
  std::string_view reason;          // a sentence's end for people ("ahead of the deadline"); static storage

  bool operator==(const SpotDecision& other) const {
    return take == other.take && (take != Holding::spot || candidate == other.candidate);
  }
};

// The answer depends on the view alone; an object may keep plans it has computed, so it is used by one thread
// at a time. Asked at the start, after each change of availability, price or holding, and at least every
// `step`. Policies need not watch the deadline: each runs inside schedule::SafetyNet.
class SpotPolicy {
 public:
  virtual ~SpotPolicy() = default;
  virtual std::string_view name() const = 0;
  virtual SpotDecision decide(const SpotView& view) = 0;
};

}  // namespace buoy::engine
