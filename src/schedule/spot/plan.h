#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "schedule/spot/availability_model.h"

namespace buoy::schedule::spot {

// What a plan is made for.
struct PlanProblem {
  Duration time{}, slack{};  // the most that may be left: time, and time beyond what the work needs
  Duration step{};           // between decisions
  Duration changeover{};
  double on_demand_price = 0, spot_price = 0;  // USD an hour of the whole gang
  AvailabilityModel::Pace pace;
  Duration whole_work{};  // of a job that loses all it has done with its machine; zero: it loses nothing

  bool operator==(const PlanProblem&) const = default;
};

// The least expected cost to go from every time left, slack left, holding and market state: the deadline
// problem of one place, or of several of which the one that has been up longest is taken, solved backwards in
// time. Slack is what is left of time beyond the work: it passes while nothing works. Where less than two
// changeovers of slack are left, on-demand is taken to the end. A job that loses what it has done has, when
// spot is lost, all of its work before it again; it never leaves on-demand, and begins spot only where there
// is time to do everything again after the worst loss. Immutable; any thread.
class Plan {
 public:
  enum Held : std::uint8_t { nothing, on_demand, spot };  // the latter two with their changeover behind them

  Plan(const AvailabilityModel& model, const PlanProblem& problem);

  // Expected USD; time and slack in hours.
  double cost(Held held, double time, double slack, std::size_t state) const;
  // Of beginning a changeover to spot in this state at this price, if it is lost before the changeover's end
  // with this chance, and what then is the state.
  double spotLaunch(double time, double slack, std::size_t state, double price, double loss,
                    std::size_t after_loss) const;
  double onDemandLaunch(double time, double slack, std::size_t state) const;
  double waiting(double time, double slack, std::size_t state) const;
  double stayingOnDemand(double time, double slack, std::size_t state) const;

  // The most memory that it took while it was solved, and what it keeps, in bytes.
  std::size_t peakBytes() const { return peak_bytes_; }
  std::size_t keptBytes() const { return stored_.size() * kLayerBytes; }

 private:
  static constexpr std::size_t kSlacks = 48;
  using Values = std::vector<float>;  // by state and slack
  struct Layer {
    std::array<Values, 3> of;
  };
  static constexpr std::size_t kLayerBytes = 3 * kMarketStates * kSlacks * sizeof(float);
  struct Shift {  // where on the grid a slack lies that is smaller by some time
    std::array<std::uint16_t, kSlacks> at{};
    std::array<float, kSlacks> share{};
  };

  struct Between {  // two points of that grid
    std::size_t at = 0;
    double share = 0;  // of the one after `at`
  };

  Shift shiftBy(double hours) const;
  Between onGrid(double slack) const;
  static double valueAt(const float* row, Between place);
  double timeForTwice() const;
  void solve();
  void solveLayer(std::size_t n);
  float* row(Values& values, std::size_t state) const { return &values[state * kSlacks]; }
  const float* row(const Values& values, std::size_t state) const { return &values[state * kSlacks]; }
  double afterLoss(Held held, double time, double slack, MarketState state) const;
  double afterStep(Held held, double time, double slack, std::size_t state) const;
  void expectLost(const Values& values, Values& out) const;
  void blend(double steps_back, Held held, std::size_t n, Values& out) const;

  PlanProblem problem_;
  double step_, changeover_, forced_;  // hours; below `forced_` slack on-demand is taken
  double again_;                       // hours of work to do again after a loss; zero: none
  Chain next_, during_, kept_;
  std::vector<double> survival_;  // of a changeover
  std::vector<float> lost_;       // the chance to be lost within a step
  std::array<AvailabilityModel::Succession, kShares> succession_;
  std::array<double, kSlacks> slacks_{};
  Shift by_step_, by_changeover_, by_half_;
  std::size_t layers_ = 0, every_ = 1;
  std::vector<Layer> ring_;
  std::vector<Layer> stored_;  // every so many layers
  Values blend_od_, blend_spot_, blend_none_;
  Values lost_none_, lost_od_, lost_half_;  // expected after a loss
  std::size_t peak_bytes_ = 0;
};

}  // namespace buoy::schedule::spot
