#include "schedule/spot/group.h"

#include <algorithm>

namespace buoy::schedule::spot {
namespace {

using engine::AvailabilitySpan;

void append(std::vector<AvailabilitySpan>& spans, Duration length, bool up) {
  if (spans.empty() || spans.back().up != up) spans.push_back({Duration{}, up});
  spans.back().length += length;
}

std::vector<bool> ticksOf(const History& history) {
  std::vector<bool> ticks;
  for (const AvailabilitySpan& span : history.spans)
    ticks.insert(ticks.end(), static_cast<std::size_t>(span.length / history.step), span.up);
  return ticks;
}

// Follows one place as long as it is up, then the one that has been up longest.
class Follower {
 public:
  explicit Follower(std::vector<std::vector<bool>> places)
      : places_(std::move(places)), ages_(places_.size(), 0) {}

  // Whether any place is up.
  bool tick(std::size_t at) {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const bool up = places_[i][(at + i / distinct * places_[i].size() / 3) % places_[i].size()];
      ages_[i] = up ? ages_[i] + 1 : 0;
    }
    const auto longest = std::max_element(ages_.begin(), ages_.end());
    const bool any = *longest > 0;
    const bool lost = holds_ && ages_[held_] == 0;
    if (any && lost) ++handovers;
    if (any && (!holds_ || lost)) held_ = static_cast<std::size_t>(longest - ages_.begin());
    holds_ = any;
    return any;
  }

  std::size_t distinct = 1;  // from here on the same places come again, shifted by a third of their time
  std::size_t handovers = 0;

 private:
  std::vector<std::vector<bool>> places_;
  std::vector<std::size_t> ages_;
  std::size_t held_ = 0;
  bool holds_ = false;
};

}  // namespace

std::vector<AvailabilitySpan> together(std::span<const engine::SpotCandidate> places) {
  // Backwards from now: the ends of up-times and their beginnings.
  constexpr std::size_t kMostSpans = 100;  // of one place
  struct Edge {
    Duration ago;
    int change;  // going back in time
  };
  std::vector<Edge> edges;
  Duration horizon = Duration::max();
  for (const engine::SpotCandidate& place : places) {
    const std::size_t first = place.past.size() > kMostSpans ? place.past.size() - kMostSpans : 0;
    Duration ago{};
    for (std::size_t i = place.past.size(); i > first; --i) {
      const AvailabilitySpan& span = place.past[i - 1];
      if (span.up) {
        edges.push_back({ago, 1});
        edges.push_back({ago + span.length, -1});
      }
      ago += span.length;
    }
    horizon = std::min(horizon, ago);
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.ago < b.ago; });
  std::vector<AvailabilitySpan> spans;
  bool any_now = false;
  for (const engine::SpotCandidate& place : places) any_now = any_now || place.up();
  int up = 0;
  Duration at{};
  for (const Edge& edge : edges) {
    const Duration until = std::min(edge.ago, horizon);
    if (until > at) append(spans, until - at, up > 0);
    at = std::max(at, until);
    up += edge.change;
  }
  if (horizon > at) append(spans, horizon - at, up > 0);
  std::reverse(spans.begin(), spans.end());
  // A state that has just been seen has no length yet.
  if (spans.empty() || spans.back().up != any_now) spans.push_back({Duration{}, any_now});
  return spans;
}

Groups groupsOf(std::span<const History> histories, std::size_t size) {
  Groups groups;
  std::vector<std::vector<bool>> ticks;
  std::vector<const History*> used;
  for (const History& history : histories) {
    if (history.step != histories.front().step || history.spans.empty()) continue;
    ticks.push_back(ticksOf(history));
    used.push_back(&history);
  }
  std::size_t up = 0, handovers = 0;
  for (std::size_t first = 0; first < ticks.size(); ++first) {
    std::vector<std::vector<bool>> places;
    std::size_t length = ticks[first].size();
    for (std::size_t i = 0; i < size; ++i) {
      places.push_back(ticks[(first + i) % ticks.size()]);
      length = std::min(length, places.back().size());
    }
    Follower follower(std::move(places));
    follower.distinct = ticks.size();
    History history{.place = {}, .step = used[first]->step, .spans = {}};
    for (std::size_t at = 0; at < length; ++at) {
      const bool any = follower.tick(at);
      if (any) ++up;
      append(history.spans, history.step, any);
    }
    handovers += follower.handovers;
    groups.histories.push_back(std::move(history));
  }
  constexpr double kPriorHours = 10;
  const double step = used.empty() ? 0 : static_cast<double>(used.front()->step.count()) / 3.6e9;
  const double usual = size > 1 ? 0.1 : 0;
  groups.handovers =
      (static_cast<double>(handovers) + usual * kPriorHours) / (static_cast<double>(up) * step + kPriorHours);
  return groups;
}

}  // namespace buoy::schedule::spot
