#include "cli/rehearse/striker.h"

#include <algorithm>

namespace buoy::cli {
namespace {

constexpr double kLatest = 0.7;
constexpr double kLatestSave = 0.85;                          // a save that is waited for does not come
constexpr Duration kLongestNotice = std::chrono::minutes{2};  // what AWS gives
constexpr Duration kShortestNotice = std::chrono::seconds{5};

Duration part(Duration whole, double share) {
  return std::chrono::duration_cast<Duration>(whole * share);
}

Duration medianGap(const std::vector<Time>& commits) {
  std::vector<Duration> gaps;
  for (std::size_t i = 1; i < commits.size(); ++i) gaps.push_back(commits[i] - commits[i - 1]);
  if (gaps.empty()) return Duration{};
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2), gaps.end());
  return gaps[gaps.size() / 2];
}

}  // namespace

Striker::Striker(Scenario scenario, const RehearsedRun& reference, Options options)
    : scenario_(scenario), options_(options), length_(reference.length()) {
  begin_ = part(length_, options_.earliest);
  end_ = part(length_, scenario == Scenario::during_save ? kLatestSave : kLatest);
  gap_ = medianGap(reference.commits);
  wanted_ = scenario == Scenario::twice ? 2 : 1;
  if (reference.commits.empty()) return;
  const Duration first = reference.commits.front() - reference.running();
  saves_ = first < part(length_, 0.9);
  if (!saves_) return;
  // What has not yet saved can only begin again: that is seen where nothing is ever saved.
  begin_ = std::max(begin_, first);
  end_ = std::max(end_, first + part(length_ - first, 0.5));
}

bool Striker::ripe(const RehearsedRun& so_far, engine::JobPhase phase, Time now) const {
  if (finished() || phase != engine::JobPhase::running || so_far.attempts.empty()) return false;
  const RehearsedRun::Attempt& current = so_far.attempts.back();
  if (current.running == Time{}) return false;
  // The second of two in a row comes before anything can be saved again.
  if (struck_ > 0) return current.number > so_far.strikes.back().attempt;
  const Duration ran = now - so_far.running();
  if (ran >= end_) return true;
  if (ran < begin_ || (saves_ && so_far.commits.empty())) return false;
  if (scenario_ == Scenario::during_save || scenario_ == Scenario::notice || !saves_) return true;
  return now >= so_far.commits.back() + gap_ / 2;
}

bool Striker::awaitsSave(const RehearsedRun& so_far, engine::JobPhase phase, Time now) const {
  return scenario_ == Scenario::during_save && saves_ && ripe(so_far, phase, now);
}

std::optional<Striker::Order> Striker::next(const RehearsedRun& so_far, engine::JobPhase phase, Time now,
                                            bool saving) {
  if (!ripe(so_far, phase, now)) return std::nullopt;
  const bool waits = scenario_ == Scenario::during_save && saves_ && now - so_far.running() < end_;
  if (waits && !saving) return std::nullopt;
  ++struck_;
  return Order{scenario_ == Scenario::notice ? notice() : Duration{}, saving};
}

// Not longer than a part of the run: a job that does not mind the signal must not be done before the end.
Duration Striker::notice() const {
  if (options_.notice > Duration{}) return options_.notice;
  return std::clamp(part(length_, 0.25), kShortestNotice, kLongestNotice);
}

}  // namespace buoy::cli
