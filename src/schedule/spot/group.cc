#include "schedule/spot/group.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace buoy::schedule::spot {
namespace {

using engine::AvailabilitySpan;

constexpr double kPriorPairs = 5;  // what independence weighs

// One place of a group, tick by tick.
class Member {
 public:
  // `shift`: it begins so many ticks later, and what comes before that follows at its end.
  Member(const History& history, double shift) {
    for (const AvailabilitySpan& span : history.spans)
      ticks_.insert(ticks_.end(), static_cast<std::size_t>(span.length / history.step), span.up);
    std::rotate(ticks_.begin(),
                ticks_.begin() + static_cast<std::ptrdiff_t>(shift * static_cast<double>(ticks_.size())),
                ticks_.end());
    for (const bool up : ticks_) up_before_.push_back(up_before_.back() + (up ? 1 : 0));
  }

  std::size_t size() const { return ticks_.size(); }
  bool up(std::size_t tick) const { return ticks_[tick]; }
  // Ticks for which it had been up or down at a tick.
  std::size_t age() const { return age_; }
  void advanceTo(std::size_t tick) { age_ = tick > 0 && ticks_[tick] == ticks_[tick - 1] ? age_ + 1 : 0; }
  std::size_t upWithin(std::size_t from, std::size_t until) const {
    return up_before_[until] - up_before_[from];
  }

 private:
  std::vector<bool> ticks_;
  std::vector<std::size_t> up_before_{0};
  std::size_t age_ = 0;
};

// What happened to groups, by the state in which it did.
struct PairCounts {
  std::array<std::array<double, kShares>, kAges> losses{}, downs{};  // of the one up longest; with none left
  std::array<double, kMarketStates> down_hours{};
  double recoveries = 0;
  DriftMeter drift;
};

class Group {
 public:
  Group(const AvailabilityModel& one, std::vector<Member> members, Duration step)
      : one_(one), members_(std::move(members)), step_(step) {}

  void count(PairCounts& counts) {
    std::size_t ticks = members_.front().size();
    for (const Member& member : members_) ticks = std::min(ticks, member.size());
    const double hours = hoursOf(step_);
    MarketState before;
    std::size_t longest_before = members_.size();
    for (std::size_t tick = 0; tick < ticks; ++tick) {
      for (Member& member : members_) member.advanceTo(tick);
      const std::size_t longest = upLongest(tick);
      const bool any = longest < members_.size();
      const MarketState now = stateAt(tick, longest);
      const bool lost = before.up != 0 && tick > 0 && !members_[longest_before].up(tick);
      if (lost) {
        counts.losses[before.age][before.share] += 1;
        counts.downs[before.age][before.share] += any ? 0 : 1;
      } else if (tick > 0 && before.up == now.up) {
        counts.drift.move(any, before.age, before.share, now.share);
      }
      if (tick > 0 && before.up == 0 && any) counts.recoveries += 1;
      if (tick + 1 < ticks) {
        counts.drift.spend(any, now.age, now.share, hours);
        if (!any) counts.down_hours[now.index()] += hours;
      }
      before = now;
      longest_before = longest;
    }
  }

 private:
  // members_.size(): none is up.
  std::size_t upLongest(std::size_t tick) const {
    std::size_t longest = members_.size();
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].up(tick) && (longest == members_.size() || members_[i].age() > members_[longest].age()))
        longest = i;
    }
    return longest;
  }

  MarketState stateAt(std::size_t tick, std::size_t longest) const {
    const auto memory = static_cast<std::size_t>(std::chrono::hours{12} / step_);
    const std::size_t from = tick > memory ? tick - memory : 0;
    const auto ticks = [&](std::size_t count) { return step_ * static_cast<std::int64_t>(count); };
    double share = 0;
    std::size_t age = members_.front().age();
    for (const Member& member : members_) {
      share += one_.shareOf(ticks(member.upWithin(from, tick)), ticks(tick - from)) /
               static_cast<double>(members_.size());
      age = std::min(age, member.age());
    }
    const bool any = longest < members_.size();
    return {static_cast<std::uint8_t>(any),
            static_cast<std::uint8_t>(ageBin(ticks(any ? members_[longest].age() : age))),
            static_cast<std::uint8_t>(shareBin(share))};
  }

  const AvailabilityModel& one_;
  std::vector<Member> members_;
  Duration step_;
};

// As many independent others as make it as likely that none is up when one is lost as it was.
double worthOfOthers(const AvailabilityModel& one, const PairCounts& counts, std::size_t places) {
  double losses = 0, downs = 0;
  for (std::size_t age = 0; age < kAges; ++age) {
    for (std::size_t share = 0; share < kShares; ++share) {
      losses += counts.losses[age][share];
      downs += counts.downs[age][share];
    }
  }
  const auto most = static_cast<double>(places - 1);
  if (losses == 0) return most;
  const auto expected = [&](double others) {
    const auto successions = one.with({.places = places, .others = others}).succession({});
    double sum = 0;
    for (std::size_t age = 0; age < kAges; ++age) {
      for (std::size_t share = 0; share < kShares; ++share)
        sum += counts.losses[age][share] * successions[share].none / successions[share].sumTo(age);
    }
    return sum;
  };
  const double wanted = (downs + kPriorPairs * expected(most) / losses) / (losses + kPriorPairs) * losses;
  double low = 0.1, high = 2 * most;
  for (int i = 0; i < 30; ++i) {
    const double middle = (low + high) / 2;
    (expected(middle) > wanted ? low : high) = middle;
  }
  return low;
}

}  // namespace

AvailabilityModel learnGroup(const AvailabilityModel& one, std::span<const History> histories,
                             std::size_t places) {
  if (places <= 1) return one;
  std::vector<const History*> used;
  for (const History& history : histories) {
    if (history.kind != History::Kind::recorded || history.spans.empty()) continue;
    if (used.empty() || history.step == used.front()->step) used.push_back(&history);
  }
  PairCounts counts;
  const std::size_t copies = used.empty() ? 1 : (places + used.size() - 1) / used.size();
  for (std::size_t first = 0; first < used.size(); ++first) {
    std::vector<Member> members;
    for (std::size_t i = 0; i < places; ++i)
      members.emplace_back(*used[(first + i) % used.size()],
                           static_cast<double>(i / used.size()) / static_cast<double>(copies));
    Group(one, std::move(members), used.front()->step).count(counts);
  }
  Together together{
      .places = places, .others = worthOfOthers(one, counts, places), .drift = counts.drift.drift()};
  const AvailabilityModel independent = one.with(together);
  double expected = 0;
  for (std::size_t state = 0; state < kMarketStates; ++state)
    expected += counts.down_hours[state] * independent.recovery(MarketState::at(state), {});
  together.recovery = (counts.recoveries + kPriorPairs) / (expected + kPriorPairs);
  return one.with(together);
}

}  // namespace buoy::schedule::spot
