#include "schedule/spot/policy_pool.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace buoy::schedule::spot {
namespace {

using engine::AvailabilitySpan;
using engine::Holding;
using engine::SpotCandidate;
using engine::SpotRule;
using engine::SpotView;
using namespace std::chrono_literals;

struct Question {
  std::vector<AvailabilitySpan> past{{2h, true}, {1h, false}, {30min, true}};
  std::vector<SpotCandidate> candidates;
  SpotView view;

  explicit Question(Duration left, Duration deadline = 20h) {
    candidates.push_back({.place = "a", .price = {970'000'000}, .changeover = 10min, .past = past});
    view = {.work_total = 10h,
            .work_left = left,
            .time_total = deadline,
            .time_left = left + 6h,
            .changeover = 10min,
            .step = 5min,
            .on_demand_price = {3'060'000'000},
            .candidates = candidates};
  }
};

TEST(PolicyPool, AnswersDependOnTheViewAloneWhateverWasAskedBefore) {
  PolicyPool used(std::make_shared<Planner>(std::vector<History>{}));
  for (const Duration left : {10h, 3h}) {
    for (const Duration deadline : {20h}) {
      // Prices that move a little must not make an answer depend on the one before.
      for (const std::int64_t price : {970'000'000, 1'500'000'000, 971'000'000}) {
        Question question(left, deadline);
        question.candidates[0].price = {price};
        const engine::SpotDecision now = used.decide(SpotRule::buoy, question.view);
        PolicyPool fresh(std::make_shared<Planner>(std::vector<History>{}));
        const engine::SpotDecision alone = fresh.decide(SpotRule::buoy, question.view);
        EXPECT_EQ(now, alone);
        EXPECT_EQ(now.reason, alone.reason);
      }
    }
  }
}

TEST(PolicyPool, ServesManyThreads) {
  PolicyPool pool(std::make_shared<Planner>(std::vector<History>{}));
  const Question question(5h);
  const engine::SpotDecision expected = pool.decide(SpotRule::buoy, question.view);
  std::vector<std::jthread> threads;
  std::atomic<int> others = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        if (!(pool.decide(SpotRule::buoy, question.view) == expected)) ++others;
        if (pool.decide(SpotRule::on_demand, question.view).take != Holding::on_demand) ++others;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(others, 0);
}

}  // namespace
}  // namespace buoy::schedule::spot
