#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

// What may be learned from about a place: what was seen of a pool before an instant, and recorded markets
// that are said to be like it, by the names under which the control plane keeps them.
struct SpotSource {
  std::string pool;
  Time until{};  // zero: nothing of its own is used
  std::vector<std::string> recorded;
  std::int32_t machines = 1;  // of the gang: a recorded market that tells of several is read for so many
  bool operator==(const SpotSource&) const = default;
};

// A place that may have spot capacity: a zone and a machine type, large enough for the job. All candidates
// are taken to do the job's work at the same speed.
struct SpotCandidate {
  // What history is kept under ("us-east-1a/p3.2xlarge"); empty: nothing is known of it.
  std::string_view place;
  PricePerHour price;     // of one machine, now
  Duration changeover{};  // from the launch there until work goes on, moving the checkpoint included: a bound
  Money move_cost{};      // what beginning there costs beside the machines' time: the checkpoint's traffic
  // What was seen, oldest first and without gaps; the last span is the present state and lasts until now. The
  // first began at some earlier, unknown time. Never empty; a policy looks at a bounded number of the last.
  std::span<const AvailabilitySpan> past;
  const SpotSource* source = nullptr;  // null: nothing but `past` is known

  bool up() const { return !past.empty() && past.back().up; }
};

enum class Holding : std::uint8_t { nothing, spot, on_demand };
// By which policy; none: the job has no deadline.
enum class SpotRule : std::uint8_t { none, on_demand, spot_first, uniform_progress, buoy };

// What a policy has solved once for many decisions of a job, told by what it was solved for: it follows from
// that alone, so it can be kept as these few numbers and solved again. What was solved is the policy's own
// and stands in a class of its own that derives from this one; an object of this class itself is the name
// alone. Immutable; any thread.
struct SpotPlan {
  std::vector<SpotSource> learned;  // by place, in the order in which they were asked about
  std::uint32_t places = 1;
  Duration time{}, slack{};  // the most that may be left: time, and time beyond what the work needs
  Duration step{}, changeover{};
  PricePerHour on_demand_price;  // of the whole gang
  Duration whole_work{};         // of a job that keeps nothing of it; zero: it keeps what is done
  // On the policy's own scales.
  std::int32_t spot_price = 0, pace_up = 0, pace_down = 0;

  virtual ~SpotPlan() = default;
  // Whether the same is solved for, and with the same knowledge.
  bool isFor(const SpotPlan& other) const {
    return places == other.places && time == other.time && slack == other.slack && step == other.step &&
           changeover == other.changeover && on_demand_price == other.on_demand_price &&
           whole_work == other.whole_work && spot_price == other.spot_price && pace_up == other.pace_up &&
           pace_down == other.pace_down && learned == other.learned;
  }
};

// Everything a decision may depend on. Times are counted from the start of the job's clock (its submit).
struct SpotView {
  Duration work_total{}, work_left{};  // running time on any machine, changeovers not counted; left > 0
  Duration time_total{}, time_left{};  // until the deadline
  Duration changeover{};               // from an on-demand launch until work goes on: an upper bound
  Duration step{};                     // at the latest after this time the policy is asked again; > 0
  PricePerHour on_demand_price;        // of one machine
  std::int32_t machines = 1;           // gang size; capacity and prices are for each of them
  bool begins_again = false;           // it keeps nothing: what is done is lost with what is held
  std::span<const SpotCandidate> candidates;

  Holding holding = Holding::nothing;  // spot that was lost is nothing
  std::size_t held = 0;                // which candidate; with Holding::spot only
  Duration changeover_left{};          // of what is held; zero: it works
  // Work that would have to be done again if what is held were lost without notice before the policy is asked
  // again: at most what is done between two saves. Of on-demand: if it were left and the job could not save.
  Duration at_risk{};

  // Solving a plan takes up to half a second. With plans_apart the policy answers at once: by `plan`, which
  // it was given before (SpotPolicy::plan; one that is a name alone is solved first), or by a rule that needs
  // none, and says whether it wants another one. Else it solves what it needs when it is asked.
  bool plans_apart = false;
  const SpotPlan* plan = nullptr;
};

struct SpotDecision {
  Holding take = Holding::nothing;  // what to hold from now on; nothing: wait, releasing what is held
  std::size_t candidate = 0;        // with Holding::spot: one that is up
  std::string_view reason;          // a sentence's end for people ("ahead of the deadline"); static storage
  bool wants_plan = false;          // with SpotView::plans_apart: another plan would serve it better

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
  // The plan that it wants for such questions; null: it needs none. Takes up to half a second.
  virtual std::shared_ptr<const SpotPlan> plan(const SpotView&) { return nullptr; }
};

}  // namespace buoy::engine
