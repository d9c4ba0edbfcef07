#include "schedule/spot/availability_model.h"

#include <algorithm>
#include <cmath>

namespace buoy::schedule::spot {
namespace {

using engine::AvailabilitySpan;

constexpr Duration kMemory = std::chrono::hours{12};
// Upper ends of the bins of age, in minutes; the last bin has none. Narrow at first, because hazard falls
// fastest there.
constexpr std::array<double, kAges - 1> kAgeEnds{3,  6,   9,   12,  15,  18,  24,  33,  48,
                                                 70, 100, 150, 220, 330, 500, 800, 1300};
constexpr std::array<double, kShares - 1> kShareEnds{0.4, 0.7, 0.92};
constexpr double kPriorEvents = 2.0;    // a bin of age
constexpr double kFactorEvents = 15.0;  // a bin of share
constexpr double kDriftHours = 2.0;     // of exposure
constexpr double kGuessHours = 6.0;     // what the usual share weighs against what was seen

double hoursOf(Duration duration) {
  return static_cast<double>(duration.count()) / 3.6e9;
}

std::size_t ageBin(Duration age) {
  const double minutes = hoursOf(age) * 60;
  return static_cast<std::size_t>(std::upper_bound(kAgeEnds.begin(), kAgeEnds.end(), minutes) -
                                  kAgeEnds.begin());
}
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
std::size_t shareBin(double share) {
  return static_cast<std::size_t>(std::upper_bound(kShareEnds.begin(), kShareEnds.end(), share) -
                                  kShareEnds.begin());
}

// What markets usually do: reclaims come early in an up-time, capacity soon or late.
double guess(bool up, double age_hours) {
  return up ? 0.03 + 1.2 / (1 + age_hours / 0.4) : 0.2 + 2 / (1 + age_hours / 0.5);
}

// The share of the last twelve hours in which spot was up; what was not seen is filled in.
double trailingShare(std::span<const AvailabilitySpan> past, double usual) {
  Duration seen{}, up{};
  for (auto span = past.rbegin(); span != past.rend() && seen < kMemory; ++span) {
    const Duration length = std::min(span->length, kMemory - seen);
    seen += length;
    if (span->up) up += length;
  }
  const double seen_hours = hoursOf(seen), up_hours = hoursOf(up), memory = hoursOf(kMemory);
  const double rate = (up_hours + kGuessHours * usual) / (seen_hours + kGuessHours);
  return (up_hours + (memory - seen_hours) * rate) / memory;
}

// Visits every tick of a history that has a successor, with state, age, trailing share, and whether the state
// ends within the tick. The age of the first span is told from its beginning in the history.
template <class Visit>
void forEachTick(const History& history, double usual, Visit visit) {
  std::vector<AvailabilitySpan> past;
  for (std::size_t i = 0; i < history.spans.size(); ++i) {
    const AvailabilitySpan& span = history.spans[i];
    past.push_back({Duration{}, span.up});
    const bool last = i + 1 == history.spans.size();
    for (Duration age{}; age < span.length; age += history.step) {
      past.back().length = age;
      const bool ends = age + history.step >= span.length;
      if (ends && last) break;
      visit(span.up, age, trailingShare(past, usual), ends, i == 0);
    }
    past.back().length = span.length;
    if (past.size() > 512) past.erase(past.begin(), past.begin() + 256);
  }
}

struct Counts {
  std::array<std::array<std::array<double, kShares>, kAges>, 2> events{}, hours{};
};

}  // namespace

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
  double all = 20, up_hours = 20 * model.share_;
  for (const History& history : histories) {
    for (const AvailabilitySpan& span : history.spans) {
      all += hoursOf(span.length);
      if (span.up) up_hours += hoursOf(span.length);
    }
  }
  model.share_ = up_hours / all;

  Counts counts;
  std::array<std::array<std::array<std::array<double, 2>, kShares>, kAges>, 2> moves{};
  for (const History& history : histories) {
    const double step = hoursOf(history.step);
    MarketState before;
    bool has_before = false;
    forEachTick(history, model.share_, [&](bool up, Duration age, double share, bool ends, bool unseen) {
      const std::size_t bin = ageBin(age), of = shareBin(share);
      if (has_before && before.up == up && before.share != of)
        moves[up][before.age][before.share][of > before.share] += 1;
      before = {static_cast<std::uint8_t>(up), static_cast<std::uint8_t>(bin), static_cast<std::uint8_t>(of)};
      has_before = true;
      if (unseen) return;
      counts.hours[up][bin][of] += step;
      if (ends) counts.events[up][bin][of] += 1;
    });
  }
  for (const bool up : {false, true}) {
    for (std::size_t age = 0; age < kAges; ++age) {
      double events = 0, hours = 0;
      for (std::size_t of = 0; of < kShares; ++of) {
        events += counts.events[up][age][of];
        hours += counts.hours[up][age][of];
      }
      const double prior = guess(up, ageMiddle(age));
      model.base_[up][age] = (events + kPriorEvents) / (hours + kPriorEvents / prior);
      for (std::size_t of = 0; of < kShares; ++of) {
        for (const int to : {0, 1}) {
          double pooled = 0, pooled_hours = 0;
          for (std::size_t other = 0; other < kAges; ++other) {
            pooled += moves[up][other][of][static_cast<std::size_t>(to)];
            pooled_hours += counts.hours[up][other][of];
          }
          const double usual = pooled_hours > 0 ? pooled / pooled_hours : (up == (to == 1) ? 0.1 : 0.0);
          model.drift_[up][age][of][static_cast<std::size_t>(to)] =
              (moves[up][age][of][static_cast<std::size_t>(to)] + kDriftHours * usual) /
              (counts.hours[up][age][of] + kDriftHours);
        }
      }
    }
    for (std::size_t of = 0; of < kShares; ++of) {
      double events = kFactorEvents, expected = kFactorEvents;
      for (std::size_t age = 0; age < kAges; ++age) {
        events += counts.events[up][age][of];
        expected += counts.hours[up][age][of] * model.base_[up][age];
      }
      model.factor_[up][of] = events / expected;
    }
    // The age at which the hazard is what it is on average over time.
    double time = 0, mass = 0, alive = 1;
    std::array<double, kAges> spent{};
    for (std::size_t age = 0; age < kAges; ++age) {
      const double out = aging(age), hazard = model.base_[up][age];
      spent[age] = alive / (out + hazard);
      alive *= out / (out + hazard);
      time += spent[age];
      mass += spent[age] * hazard;
    }
    std::size_t usual = 0;
    while (usual + 1 < kAges && model.base_[up][usual] > mass / time) ++usual;
    model.usual_age_[up] = Duration{static_cast<Duration::rep>(ageMiddle(usual) * 3.6e9)};
  }
  return model;
}

MarketState AvailabilityModel::stateOf(std::span<const AvailabilitySpan> past) const {
  const AvailabilitySpan& now = past.back();
  Duration age = now.length;
  if (past.size() == 1) age += usual_age_[now.up];
  return {static_cast<std::uint8_t>(now.up), static_cast<std::uint8_t>(ageBin(age)),
          static_cast<std::uint8_t>(shareBin(trailingShare(past, share_)))};
}

double AvailabilityModel::hazard(MarketState state) const {
  return base_[state.up][state.age] * factor_[state.up][state.share];
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
  for (std::size_t from = 0; from < kMarketStates; ++from) {
    const MarketState state = MarketState::at(from);
    double* const row = &matrix[from * kMarketStates];
    const double ends = 1 - std::exp(-hazard(state) * (state.up ? pace.up : pace.down) * step);
    const double stays = 1 - ends;
    if (!(kept && state.up))
      row[MarketState{static_cast<std::uint8_t>(1 - state.up), 0, state.share}.index()] += ends;
    const double ages = std::min(1.0, aging(state.age) * step);
    for (const int older : {0, 1}) {
      const double weight = stays * (older ? ages : 1 - ages);
      if (weight <= 0) continue;
      const auto age = static_cast<std::uint8_t>(state.age + older);
      const auto& drift = drift_[state.up][state.age][state.share];
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
