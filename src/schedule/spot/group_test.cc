#include "schedule/spot/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace buoy::schedule::spot {
namespace {

using namespace std::chrono_literals;
using engine::AvailabilitySpan;

std::string textOf(std::span<const AvailabilitySpan> spans) {
  std::string text;
  for (const AvailabilitySpan& span : spans)
    text += (span.up ? "up" : "down") + std::to_string(span.length / 1min) + " ";
  return text;
}

TEST(Group, IsUpWhileAnyPlaceIs) {
  const AvailabilitySpan a[] = {{10min, true}, {20min, false}, {30min, true}};
  const AvailabilitySpan b[] = {{25min, false}, {15min, true}, {20min, false}};
  const AvailabilitySpan c[] = {{60min, false}, {0min, true}};
  engine::SpotCandidate places[] = {{.past = a}, {.past = b}, {.past = b}};
  EXPECT_EQ(textOf(together({places, 1})), "up10 down20 up30 ");
  EXPECT_EQ(textOf(together({places, 2})), "up10 down15 up35 ");
  EXPECT_EQ(textOf(together({places + 1, 2})), "down25 up15 down20 ");
  places[1].past = c;
  EXPECT_EQ(textOf(together({places + 1, 1})), "down60 up0 ") << "what has just been seen counts";
}

TEST(Group, CountsHowOftenWhatIsHeldIsLostWhileAnotherIsUp) {
  // Two places in turn, each up for an hour, with half an hour of both.
  History first{.place = "a", .step = 10min, .spans = {}}, second{.place = "b", .step = 10min, .spans = {}};
  for (int i = 0; i < 200; ++i) {
    first.spans.insert(first.spans.end(), {{60min, true}, {30min, false}});
    second.spans.insert(second.spans.end(), {{20min, true}, {30min, false}, {40min, true}});
  }
  const History both[] = {first, second};
  const Groups groups = groupsOf(both, 2);
  ASSERT_EQ(groups.histories.size(), 2u);
  EXPECT_EQ(groups.histories[0].spans.size(), 1u) << "never down together";
  EXPECT_GT(groups.handovers, 1.0);
  EXPECT_EQ(groupsOf({}, 3).histories.size(), 0u);
  EXPECT_EQ(groupsOf({both, 1}, 3).histories.size(), 1u) << "the same one at other times";
}

}  // namespace
}  // namespace buoy::schedule::spot
