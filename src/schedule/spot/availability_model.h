#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "engine/spot_policy.h"

namespace buoy::schedule::spot {

// What is known of one place's past, sampled every `step`: what a model learns from.
struct History {
  enum class Kind : std::uint8_t {
    recorded,  // by somebody who looked all the time; those of one step began at the same time
    seen,      // by launches
    life,      // of one machine, from its launch (the second span) until it was taken or given back
  };
  std::string place;
  Duration step{};
  std::vector<engine::AvailabilitySpan> spans;  // oldest first, without gaps
  Kind kind = Kind::recorded;
};

inline constexpr std::size_t kAges = 18;   // bins of the age of the present state
inline constexpr std::size_t kShares = 4;  // bins of the share of the last half day in which spot was up
inline constexpr std::size_t kMarketStates = 2 * kAges * kShares;

// Up or down, for how long, and how available spot was of late: all that the model knows of a place. Of
// several places: up while any is, for as long as the one that has been up longest; down since the last one
// was lost; the share is their mean.
struct MarketState {
  std::uint8_t up = 0, age = 0, share = 0;
  std::size_t index() const { return (up * kAges + age) * kShares + share; }
  static MarketState at(std::size_t index) {
    return {static_cast<std::uint8_t>(index / kShares / kAges),
            static_cast<std::uint8_t>(index / kShares % kAges), static_cast<std::uint8_t>(index % kShares)};
  }
};

// Sparse rows of a stochastic matrix over market states.
class Chain {
 public:
  struct Entry {
    std::uint16_t state;
    float weight;
  };
  std::span<const Entry> row(std::size_t state) const {
    return {entries_.data() + begin_[state], entries_.data() + begin_[state + 1]};
  }
  void addRow(std::span<const double> weights,
              double least);  // in order of state; less than `least` is spread

 private:
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> begin_{0};
};

// An hour: how often the share's bin moves down [0] and up [1]; by up, age, share.
using ShareDrift = std::array<std::array<std::array<std::array<double, 2>, kShares>, kAges>, 2>;

// What several places are like together, beside what each of them is like: independent of one another but for
// two numbers, which are learned.
struct Together {
  std::size_t places = 1;
  double others = 0;    // as many independent places as the others are worth when one is lost
  double recovery = 1;  // how much sooner than of independent ones capacity comes back when all are down
  ShareDrift drift{};   // of the mean share
};

// A semi-Markov model of spot capacity: the hazard of each state by its age, times a factor for how available
// spot was in the last twelve hours (proportional hazards). Learned by counting, with a prior of a few events
// a bin, so that without any history it is a guess of ordinary markets. Of one place, or of several alike
// (group.h). Immutable; any thread.
class AvailabilityModel {
 public:
  // Of one place.
  static AvailabilityModel learn(std::span<const History> histories);
  // Of several such places.
  AvailabilityModel with(Together together) const;

  // The state that a past says. An age of which the beginning was not seen is taken to be usual.
  MarketState stateOf(std::span<const engine::AvailabilitySpan> past) const;
  // The state of several places together; at least one.
  MarketState stateOf(std::span<const engine::SpotCandidate> places) const;
  // Of the state's end, an hour: of one place, whatever the model is of.
  double hazard(MarketState state) const;
  // The share of the last half day in which spot was up, if it was for `up` of `seen`.
  double shareOf(Duration up, Duration seen) const;

  // How much faster (> 1) or slower than learned places change.
  struct Pace {
    double up = 1, down = 1;
    bool operator==(const Pace&) const = default;
  };
  // By what was seen of some places; shrunk towards 1 where little was.
  class PaceMeter {
   public:
    // `prior`: events that what was learned weighs as much as.
    explicit PaceMeter(const AvailabilityModel& model, double prior = 15) : model_(model), prior_(prior) {}
    void add(std::span<const engine::AvailabilitySpan> past);
    Pace pace() const;

   private:
    const AvailabilityModel& model_;
    double prior_;
    std::array<double, 2> events_{}, expected_{};
  };

  // How soon one of the places comes back when none is up, an hour.
  double recovery(MarketState down, Pace pace) const;

  // What is left when the place that was up longest is lost: the one that is up longest of the others is in
  // bin j of age with a chance of next[j], and none is up with a chance of `none`, over the sum of none and
  // next[0] … next[i], where the lost one was in bin i.
  struct Succession {
    std::array<double, kAges> next{};
    double none = 1;
    double sumTo(std::size_t age) const;
  };
  // By share.
  std::array<Succession, kShares> succession(Pace pace) const;

  // The states some time later; with `kept`, given that what is up longest stays up all the while. Chances
  // below `least` are left out.
  Chain after(Duration time, Pace pace, bool kept, double least) const;
  // The chance that the place that is up longest stays up for so long, by state.
  std::vector<double> survival(Duration time, Pace pace) const;

 private:
  using Matrix = std::vector<double>;  // kMarketStates²
  Matrix power(Duration time, Pace pace, bool kept) const;
  // How long a state lasts on average within each bin of age.
  std::array<double, kAges> timeByAge(bool up, std::size_t share, Pace pace) const;

  // an hour; by up, age and share
  std::array<std::array<double, kAges>, 2> base_{};
  std::array<std::array<double, kShares>, 2> factor_{};
  Together together_;
  std::array<Duration, 2> usual_age_{};
  double share_ = 0.7;  // of all time
};

std::size_t ageBin(Duration age);
std::size_t shareBin(double share);

// Counts moves between bins of share, for a ShareDrift.
class DriftMeter {
 public:
  void spend(bool up, std::size_t age, std::size_t share, double hours) { hours_[up][age][share] += hours; }
  void move(bool up, std::size_t age, std::size_t from, std::size_t to) {
    if (from != to) moves_[up][age][from][to > from] += 1;
  }
  ShareDrift drift() const;

 private:
  std::array<std::array<std::array<double, kShares>, kAges>, 2> hours_{};
  ShareDrift moves_{};
};

}  // namespace buoy::schedule::spot
