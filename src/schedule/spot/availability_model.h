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
  std::string place;
  Duration step{};
  std::vector<engine::AvailabilitySpan> spans;  // oldest first, without gaps
};

inline constexpr std::size_t kAges = 18;   // bins of the age of the present state
inline constexpr std::size_t kShares = 4;  // bins of the share of the last half day in which spot was up
inline constexpr std::size_t kMarketStates = 2 * kAges * kShares;

// Up or down, for how long, and how available spot was of late: all that the model knows of a place.
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

// A semi-Markov model of spot capacity: the hazard of each state by its age, times a factor for how available
// spot was in the last twelve hours (proportional hazards). Learned by counting, with a prior of a few events
// a bin, so that without any history it is a guess of ordinary markets. Immutable; any thread.
class AvailabilityModel {
 public:
  static AvailabilityModel learn(std::span<const History> histories);

  // The state that a past says. An age of which the beginning was not seen is taken to be usual.
  MarketState stateOf(std::span<const engine::AvailabilitySpan> past) const;
  // Of the state's end, an hour.
  double hazard(MarketState state) const;

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

  // The states some time later; with `kept`, given that a place that is up stays up all the while. Chances
  // below `least` are left out.
  Chain after(Duration time, Pace pace, bool kept, double least) const;
  // The chance that a place that is up stays up for so long, by state.
  std::vector<double> survival(Duration time, Pace pace) const;

 private:
  using Matrix = std::vector<double>;  // kMarketStates²
  Matrix power(Duration time, Pace pace, bool kept) const;

  // an hour; by up, age and share
  std::array<std::array<double, kAges>, 2> base_{};
  std::array<std::array<double, kShares>, 2> factor_{};
  // an hour: the share's bin moves down [0] and up [1]; by up, age, share
  std::array<std::array<std::array<std::array<double, 2>, kShares>, kAges>, 2> drift_{};
  std::array<Duration, 2> usual_age_{};
  double share_ = 0.7;  // of all time
};

}  // namespace buoy::schedule::spot
