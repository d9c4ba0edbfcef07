#include "schedule/spot/availability_model.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace buoy::schedule::spot {
namespace {

using engine::AvailabilitySpan;

constexpr Duration kMemory = std::chrono::hours{12};
// Upper ends of the bins of age, in minutes; the last bin has none. Narrow at first, because hazard falls
// fastest there.
constexpr std::array<double, kAges - 1> kAgeEnds{3,  6,   9,   12,  15,  18,  24,  33,  48,
                                                 70, 100, 150, 220, 330, 500, 800, 1300};
constexpr std::array<double, kShares - 1> kShareEnds{0.4, 0.7, 0.92};
constexpr std::array<double, kShares> kShareMiddles{0.25, 0.55, 0.82, 0.97};
constexpr double kPriorEvents = 2.0;    // a bin of age
constexpr double kFactorEvents = 15.0;  // a bin of share
constexpr double kDriftHours = 2.0;     // of exposure
constexpr double kGuessHours = 6.0;     // what the usual share weighs against what was seen

double ageMiddle(std::size_t bin) {  // hours
  const double begin = bin == 0 ? 0 : kAgeEnds[bin - 1];
  const double end = bin + 1 < kAges ? kAgeEnds[bin] : 2 * begin;
  return (begin + end) / 120;
}
// How fast time leads out of a bin, an hour.
double aging(std::size_t bin) {
  if (bin + 1 >= kAges) return 0;
  return 60 / (kAgeEnds[bin] - (bin == 0 ? 0 : kAgeEnds[bin - 1]));
}
// What markets usually do: reclaims come early in an up-time, capacity soon or late.
double guess(bool up, double age_hours) {
  return up ? 0.03 + 1.2 / (1 + age_hours / 0.4) : 0.2 + 2 / (1 + age_hours / 0.5);
}

// How much was seen of the last twelve hours, and for how long of that spot was up.
struct Trailing {
  Duration seen{}, up{};
};
Trailing trailing(std::span<const AvailabilitySpan> past) {
  Trailing result;
  for (auto span = past.rbegin(); span != past.rend() && result.seen < kMemory; ++span) {
    const Duration length = std::min(span->length, kMemory - result.seen);
    result.seen += length;
    if (span->up) result.up += length;
  }
  return result;
}

// Visits every tick of a history that has a successor, with state, age, the past until then, whether the
// state ends within the tick, and whether its beginning was not seen.
template <class Visit>
void forEachTick(const History& history, Visit visit) {
  std::vector<AvailabilitySpan> past;
  for (std::size_t i = 0; i < history.spans.size(); ++i) {
    const AvailabilitySpan& span = history.spans[i];
    past.push_back({Duration{}, span.up});
    const bool last = i + 1 == history.spans.size();
    for (Duration age{}; age < span.length; age += history.step) {
      past.back().length = age;
      const bool ends = age + history.step >= span.length;
      if (ends && last) break;
      visit(span.up, age, past, ends, i == 0);
    }
    past.back().length = span.length;
    if (past.size() > 512) past.erase(past.begin(), past.begin() + 256);
  }
}

using ByState = std::array<std::array<std::array<double, kShares>, kAges>, 2>;

// Ends of states, and hours spent in them.
struct Counts {
  ByState events{}, hours{};
};

double sum(const std::array<double, kShares>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// The share of all time in which spot was up.
double upShare(std::span<const History> histories, double usual) {
  double all = 20, up = 20 * usual;
  for (const History& history : histories) {
    if (history.kind == History::Kind::life) continue;
    for (const AvailabilitySpan& span : history.spans) {
      all += hoursOf(span.length);
      if (span.up) up += hoursOf(span.length);
    }
  }
  return up / all;
}

}  // namespace

std::size_t ageBin(Duration age) {
  const double minutes = hoursOf(age) * 60;
  return static_cast<std::size_t>(std::upper_bound(kAgeEnds.begin(), kAgeEnds.end(), minutes) -
                                  kAgeEnds.begin());
}

std::size_t shareBin(double share) {
  return static_cast<std::size_t>(std::upper_bound(kShareEnds.begin(), kShareEnds.end(), share) -
                                  kShareEnds.begin());
}

ShareDrift DriftMeter::drift() const {
  ShareDrift drift;
  for (const bool up : {false, true}) {
    for (std::size_t share = 0; share < kShares; ++share) {
      for (const std::size_t to : {0u, 1u}) {
        double moves = 0, hours = 0;
        for (std::size_t age = 0; age < kAges; ++age) {
          moves += moves_[up][age][share][to];
          hours += hours_[up][age][share];
        }
        const double usual = hours > 0 ? moves / hours : (up == (to == 1) ? 0.1 : 0.0);
        for (std::size_t age = 0; age < kAges; ++age)
          drift[up][age][share][to] =
              (moves_[up][age][share][to] + kDriftHours * usual) / (hours_[up][age][share] + kDriftHours);
      }
    }
  }
  return drift;
}

void Chain::addRow(std::span<const double> weights, double least) {
  double sum = 0;
  for (const double weight : weights) sum += weight >= least ? weight : 0;
  for (std::size_t state = 0; state < weights.size(); ++state) {
    if (weights[state] >= least)
      entries_.push_back({static_cast<std::uint16_t>(state), static_cast<float>(weights[state] / sum)});
  }
  begin_.push_back(static_cast<std::uint32_t>(entries_.size()));
}

AvailabilityModel AvailabilityModel::learn(std::span<const History> histories) {
  AvailabilityModel model;
  model.share_ = upShare(histories, model.share_);
  Counts counts;
  DriftMeter drift;
  for (const History& history : histories) {
    const double step = hoursOf(history.step);
    const bool drifts = history.kind != History::Kind::life;
    MarketState before;
    bool has_before = false;
    forEachTick(history,
                [&](bool up, Duration age, std::span<const AvailabilitySpan> past, bool ends, bool unseen) {
                  const Trailing last = trailing(past);
                  const std::size_t bin = ageBin(age), share = shareBin(model.shareOf(last.up, last.seen));
                  if (drifts && has_before && before.up == up)
                    drift.move(up, before.age, before.share, share);
                  before = {static_cast<std::uint8_t>(up), static_cast<std::uint8_t>(bin),
                            static_cast<std::uint8_t>(share)};
                  has_before = true;
                  if (unseen) return;
                  if (drifts) drift.spend(up, bin, share, step);
                  counts.hours[up][bin][share] += step;
                  if (ends) counts.events[up][bin][share] += 1;
                });
  }
  model.together_.drift = drift.drift();
  for (const bool up : {false, true}) {
    for (std::size_t age = 0; age < kAges; ++age) {
      model.base_[up][age] = (sum(counts.events[up][age]) + kPriorEvents) /
                             (sum(counts.hours[up][age]) + kPriorEvents / guess(up, ageMiddle(age)));
    }
    model.factor_[up].fill(1);
    // The age at which the hazard is what it is on average over time.
    const auto spent = model.timeByAge(up, 0, {});
    double time = 0, ends = 0;
    for (std::size_t age = 0; age < kAges; ++age) {
      time += spent[age];
      ends += spent[age] * model.base_[up][age];
    }
    std::size_t usual = 0;
    while (usual + 1 < kAges && model.base_[up][usual] > ends / time) ++usual;
    model.usual_age_[up] = Duration{static_cast<Duration::rep>(ageMiddle(usual) * 3.6e9)};
    for (std::size_t share = 0; share < kShares; ++share) {
      double events = kFactorEvents, expected = kFactorEvents;
      for (std::size_t age = 0; age < kAges; ++age) {
        events += counts.events[up][age][share];
        expected += counts.hours[up][age][share] * model.base_[up][age];
      }
      model.factor_[up][share] = events / expected;
    }
  }
  return model;
}

AvailabilityModel AvailabilityModel::with(Together together) const {
  AvailabilityModel model = *this;
  model.together_ = std::move(together);
  return model;
}

double AvailabilityModel::shareOf(Duration up, Duration seen) const {
  const double seen_hours = hoursOf(seen), up_hours = hoursOf(up), memory = hoursOf(kMemory);
  // What was not seen is filled in.
  const double rate = (up_hours + kGuessHours * share_) / (seen_hours + kGuessHours);
  return (up_hours + (memory - seen_hours) * rate) / memory;
}

MarketState AvailabilityModel::stateOf(std::span<const AvailabilitySpan> past) const {
  const engine::SpotCandidate place{.past = past};
  return stateOf({&place, 1});
}

MarketState AvailabilityModel::stateOf(std::span<const engine::SpotCandidate> places) const {
  bool up = false;
  Duration longest_up{}, shortest_down = Duration::max();
  double share = 0;
  for (const engine::SpotCandidate& place : places) {
    const Trailing last = trailing(place.past);
    share += shareOf(last.up, last.seen) / static_cast<double>(places.size());
    Duration age = place.past.back().length;
    if (place.past.size() == 1) age += usual_age_[place.up()];
    up = up || place.up();
    if (place.up()) {
      longest_up = std::max(longest_up, age);
    } else {
      shortest_down = std::min(shortest_down, age);
    }
  }
  return {static_cast<std::uint8_t>(up), static_cast<std::uint8_t>(ageBin(up ? longest_up : shortest_down)),
          static_cast<std::uint8_t>(shareBin(share))};
}

double AvailabilityModel::hazard(MarketState state) const {
  return base_[state.up][state.age] * factor_[state.up][state.share];
}

std::array<double, kAges> AvailabilityModel::timeByAge(bool up, std::size_t share, Pace pace) const {
  std::array<double, kAges> spent{};
  double alive = 1;
  for (std::size_t age = 0; age < kAges; ++age) {
    const double ends = base_[up][age] * factor_[up][share] * (up ? pace.up : pace.down);
    spent[age] = alive / (aging(age) + ends);
    alive *= aging(age) / (aging(age) + ends);
  }
  return spent;
}

// Of the place that was lost last, by the age of that; of the others, which went down before, as it is on
// average from that age on.
double AvailabilityModel::recovery(MarketState down, Pace pace) const {
  const double last = hazard(down) * pace.down;
  if (together_.places == 1) return last;
  const auto spent = timeByAge(false, down.share, pace);
  double time = 0, ends = 0;
  for (std::size_t age = down.age; age < kAges; ++age) {
    time += spent[age];
    ends += spent[age] * base_[0][age] * factor_[0][down.share] * pace.down;
  }
  return together_.recovery * (last + static_cast<double>(together_.places - 1) * ends / time);
}

double AvailabilityModel::Succession::sumTo(std::size_t age) const {
  return std::accumulate(next.begin(), next.begin() + static_cast<std::ptrdiff_t>(age) + 1, none);
}

std::array<AvailabilityModel::Succession, kShares> AvailabilityModel::succession(Pace pace) const {
  std::array<Succession, kShares> all;
  if (together_.places == 1) return all;
  for (std::size_t share = 0; share < kShares; ++share) {
    // Each of the others is down, or up for no longer than until bin j, with a chance of `within`.
    const auto spent = timeByAge(true, share, pace);
    const double whole = std::accumulate(spent.begin(), spent.end(), 0.0);
    double within = 1 - kShareMiddles[share], sum = std::pow(within, together_.others);
    all[share].none = sum;
    for (std::size_t age = 0; age < kAges; ++age) {
      within += kShareMiddles[share] * spent[age] / whole;
      const double next = std::pow(within, together_.others);
      all[share].next[age] = next - sum;
      sum = next;
    }
  }
  return all;
}

void AvailabilityModel::PaceMeter::add(std::span<const AvailabilitySpan> past) {
  constexpr std::size_t kMostSpans = 200;
  for (std::size_t i = past.size() > kMostSpans ? past.size() - kMostSpans : 0; i < past.size(); ++i) {
    const AvailabilitySpan& span = past[i];
    if (i + 1 < past.size()) events_[span.up] += 1;
    double age = i == 0 ? hoursOf(model_.usual_age_[span.up]) : 0;
    const double end = age + hoursOf(span.length);
    for (std::size_t bin = 0; bin < kAges && age < end; ++bin) {
      const double until = bin + 1 < kAges ? std::min(end, kAgeEnds[bin] / 60) : end;
      if (until <= age) continue;
      expected_[span.up] += (until - age) * model_.base_[span.up][bin];
      age = until;
    }
  }
}

AvailabilityModel::Pace AvailabilityModel::PaceMeter::pace() const {
  const auto ratio = [&](std::size_t of) { return (events_[of] + prior_) / (expected_[of] + prior_); };
  return {.up = ratio(1), .down = ratio(0)};
}

AvailabilityModel::Matrix AvailabilityModel::power(Duration time, Pace pace, bool kept) const {
  constexpr double kFine = 0.02;  // hours
  const int doublings = std::max(0, static_cast<int>(std::ceil(std::log2(hoursOf(time) / kFine))));
  const double step = hoursOf(time) / std::exp2(doublings);
  Matrix matrix(kMarketStates * kMarketStates, 0.0);
  const auto successions = succession(pace);
  for (std::size_t from = 0; from < kMarketStates; ++from) {
    const MarketState state = MarketState::at(from);
    double* const row = &matrix[from * kMarketStates];
    const double rate = state.up ? hazard(state) * pace.up : recovery(state, pace);
    const double ends = 1 - std::exp(-rate * step);
    const double stays = 1 - ends;
    if (!state.up) {
      row[MarketState{1, 0, state.share}.index()] += ends;
    } else if (!kept) {
      const Succession& others = successions[state.share];
      const double chance = ends / others.sumTo(state.age);
      row[MarketState{0, 0, state.share}.index()] += chance * others.none;
      for (std::uint8_t age = 0; age <= state.age; ++age)
        row[MarketState{1, age, state.share}.index()] += chance * others.next[age];
    }
    const double ages = std::min(1.0, aging(state.age) * step);
    for (const int older : {0, 1}) {
      const double weight = stays * (older ? ages : 1 - ages);
      if (weight <= 0) continue;
      const auto age = static_cast<std::uint8_t>(state.age + older);
      const auto& drift = together_.drift[state.up][state.age][state.share];
      const double down = state.share > 0 ? std::min(0.5, drift[0] * step) : 0;
      const double rise = state.share + 1u < kShares ? std::min(0.5, drift[1] * step) : 0;
      row[MarketState{state.up, age, state.share}.index()] += weight * (1 - down - rise);
      if (down > 0)
        row[MarketState{state.up, age, static_cast<std::uint8_t>(state.share - 1)}.index()] += weight * down;
      if (rise > 0)
        row[MarketState{state.up, age, static_cast<std::uint8_t>(state.share + 1)}.index()] += weight * rise;
    }
  }
  Matrix square(matrix.size());
  for (int i = 0; i < doublings; ++i) {
    std::fill(square.begin(), square.end(), 0.0);
    for (std::size_t from = 0; from < kMarketStates; ++from) {
      for (std::size_t by = 0; by < kMarketStates; ++by) {
        const double weight = matrix[from * kMarketStates + by];
        if (weight == 0) continue;
        for (std::size_t to = 0; to < kMarketStates; ++to)
          square[from * kMarketStates + to] += weight * matrix[by * kMarketStates + to];
      }
    }
    matrix.swap(square);
  }
  return matrix;
}

Chain AvailabilityModel::after(Duration time, Pace pace, bool kept, double least) const {
  const Matrix matrix = power(time, pace, kept);
  Chain chain;
  for (std::size_t from = 0; from < kMarketStates; ++from)
    chain.addRow({&matrix[from * kMarketStates], kMarketStates}, least);
  return chain;
}

std::vector<double> AvailabilityModel::survival(Duration time, Pace pace) const {
  const Matrix matrix = power(time, pace, true);
  std::vector<double> chances;
  for (std::size_t from = 0; from < kMarketStates; ++from) {
    double sum = 0;
    for (std::size_t to = 0; to < kMarketStates; ++to) sum += matrix[from * kMarketStates + to];
    chances.push_back(sum);
  }
  return chances;
}

}  // namespace buoy::schedule::spot
