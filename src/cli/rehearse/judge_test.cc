#include "cli/rehearse/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cli/rehearse/cost.h"

namespace buoy::cli {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Time kFirstRun{std::chrono::hours{1000}};

// "a: 1 2 3 | 3 4": one list an attempt.
api::MetricSeriesView series(const std::vector<std::vector<double>>& attempts) {
  api::MetricSeriesView series;
  series.name = "loss";
  std::uint32_t number = 0;
  for (const auto& values : attempts) {
    ++number;
    for (const double value : values) series.points.push_back({number, kFirstRun, value});
  }
  return series;
}

RehearsedRun rehearsed(const std::vector<std::vector<double>>& attempts, bool restored = true) {
  RehearsedRun run;
  run.phase = engine::JobPhase::succeeded;
  run.metrics = {series(attempts)};
  run.last_version = 3;
  for (std::uint32_t i = 1; i <= attempts.size(); ++i)
    run.attempts.push_back({i, kFirstRun + seconds{i}, i > 1 && restored});
  run.strikes.resize(attempts.size() - 1);
  run.ended = kFirstRun + seconds{11};
  return run;
}

const RehearsedRun kReference = rehearsed({{5, 4, 3, 2, 1, 0.5}});

Judgement judged(const RehearsedRun& struck, std::vector<Difference> outputs = {},
                 JudgeOptions options = {}) {
  return judge(kReference, struck, std::move(outputs), options);
}

TEST(Judge, RanksThatPrintTheSameMetricAreTakenApart) {
  const auto of = [](const char* name, const std::vector<std::pair<std::uint32_t, double>>& points) {
    api::MetricSeriesView made;
    made.name = name;
    for (const auto& [attempt, value] : points) made.points.push_back({attempt, kFirstRun, value});
    return made;
  };
  // In the second attempt rank 0 is on another machine.
  const std::vector<api::MetricSeriesView> by_machine{of("accuracy@m2", {{1, 1}}), of("loss@m1", {{1, 10}}),
                                                      of("loss@m2", {{1, 20}, {2, 21}, {2, 22}}),
                                                      of("loss@m3", {{2, 11}, {2, 12}})};
  const Ranks ranks{
      {{1, MachineId{1}}, 0}, {{1, MachineId{2}}, 1}, {{2, MachineId{2}}, 1}, {{2, MachineId{3}}, 0}};
  const auto split = byRank(by_machine, ranks);
  ASSERT_EQ(split.size(), 3u);
  const auto values = [](const api::MetricSeriesView& series) {
    std::vector<double> found;
    for (const auto& point : series.points) found.push_back(point.value);
    return found;
  };
  EXPECT_EQ(split[0].name, "accuracy");
  EXPECT_EQ(split[1].name, "loss of rank 0");
  EXPECT_THAT(values(split[1]), ElementsAre(10, 11, 12));
  EXPECT_EQ(split[2].name, "loss of rank 1");
  EXPECT_THAT(values(split[2]), ElementsAre(20, 21, 22));
}

TEST(Judge, TheSamePointsAreExactHoweverManyWereRedone) {
  for (const auto& attempts : std::vector<std::vector<std::vector<double>>>{{{5, 4, 3}, {2, 1, 0.5}},
                                                                            {{5, 4, 3, 2}, {3, 2, 1, 0.5}},
                                                                            {{5, 4, 3}, {3}, {3, 2, 1, 0.5}},
                                                                            {{5, 4}, {}, {3, 2, 1, 0.5}}}) {
    const Judgement found = judged(rehearsed(attempts));
    EXPECT_EQ(found.verdict, Verdict::exact);
    EXPECT_THAT(found.differences, testing::IsEmpty());
    EXPECT_GT(found.resumed_at.value_or(0), 0);
  }
}

TEST(Judge, AnotherPointIsDriftAndSaysWhere) {
  const Judgement found = judged(rehearsed({{5, 4, 3}, {2, 1.25, 0.5}}));
  EXPECT_EQ(found.verdict, Verdict::drifts);
  ASSERT_EQ(found.differences.size(), 1u);
  EXPECT_EQ(found.differences[0].what, "metric loss");
  EXPECT_THAT(found.differences[0].detail,
              HasSubstr("first at point 5 of 6: 1.25 rather than 1 (20 % off); the last is the same"));
}

TEST(Judge, ATolerancePassesSmallDifferencesOnly) {
  const RehearsedRun near = rehearsed({{5, 4, 3}, {2, 1.0000001, 0.5}});
  EXPECT_EQ(judged(near).verdict, Verdict::drifts);
  EXPECT_EQ(judged(near, {}, {1e-6, {}}).verdict, Verdict::exact);
  EXPECT_EQ(judged(near, {}, {1e-8, {}}).verdict, Verdict::drifts);
}

TEST(Judge, LostPointsAreDrift) {
  EXPECT_THAT(judged(rehearsed({{5, 4}, {2, 1, 0.5}})).differences[0].detail,
              HasSubstr("has no points 3 to 3 of 6"));
  EXPECT_THAT(judged(rehearsed({{5, 4, 3}, {}})).differences, testing::Not(testing::IsEmpty()));
}

TEST(Judge, NotANumberIsItself) {
  const double nan = std::nan("");
  EXPECT_FALSE(align(series({{1, nan, 3}}), series({{1, nan}, {3}}), 0).difference);
}

TEST(Judge, BeginningAtTheFirstPointAgainIsARestart) {
  const Judgement found = judged(rehearsed({{5, 4, 3}, {5, 4, 3, 2, 1, 0.5}}));
  EXPECT_EQ(found.verdict, Verdict::restarts);
  EXPECT_THAT(found.note, HasSubstr("at the beginning all the same"));
  EXPECT_EQ(found.resumed_at, 0);
}

TEST(Judge, WithoutARestoreItIsARestartToo) {
  const Judgement found = judged(rehearsed({{5, 4, 3}, {5, 4, 3, 2, 1, 0.5}}, false));
  EXPECT_EQ(found.verdict, Verdict::restarts);
  EXPECT_THAT(found.note, HasSubstr("nothing had been saved"));
}

TEST(Judge, WithoutMetricsTheClockTells) {
  RehearsedRun reference = kReference;
  reference.metrics.clear();  // it runs from 1 s to 11 s
  RehearsedRun struck = rehearsed({{}, {}});
  struck.metrics.clear();
  struck.commits = {kFirstRun + seconds{5}};
  struck.strikes[0].at = kFirstRun + seconds{6};
  struck.attempts[1].running = kFirstRun + seconds{7};
  struck.ended = kFirstRun + seconds{13};
  EXPECT_EQ(judge(reference, struck, {}, {}).verdict, Verdict::exact);
  struck.ended = kFirstRun + seconds{17};
  EXPECT_EQ(judge(reference, struck, {}, {}).verdict, Verdict::restarts);
}

TEST(Judge, AnotherOutputIsDriftAndAFailureFails) {
  EXPECT_EQ(judged(rehearsed({{5, 4, 3}, {2, 1, 0.5}}), {{"output a", "is missing"}}).verdict,
            Verdict::drifts);
  RehearsedRun failed = rehearsed({{5, 4, 3}, {}});
  failed.phase = engine::JobPhase::failed;
  failed.reason = "exited with code 1";
  EXPECT_EQ(judged(failed).verdict, Verdict::fails);
  EXPECT_EQ(judged(failed).note, "exited with code 1");
}

TEST(Judge, WithoutAStrikeNothingIsKnown) {
  EXPECT_EQ(judged(rehearsed({{5, 4, 3, 2, 1, 0.5}})).verdict, Verdict::inconclusive);
}

TEST(Judge, WhatDiffersByItselfIsLeftOut) {
  RehearsedRun other = kReference;
  other.metrics[0].points[2].value = 9;
  EXPECT_THAT(unrepeatableMetrics(kReference, other, 0), ElementsAre("loss"));
  EXPECT_THAT(unrepeatableMetrics(kReference, kReference, 0), ElementsAre());
  EXPECT_EQ(judged(rehearsed({{5, 4, 3}, {9, 9, 9}}), {}, {0, {"loss"}}).verdict, Verdict::exact);
  EXPECT_EQ(judged(rehearsed({{5, 4, 3}, {9, 9, 9, 9, 9, 9}}), {}, {0, {"loss"}}).verdict, Verdict::restarts)
      << "counts tell all the same";
}

TEST(CompareTexts, GoesWordByWordAndNumberByNumber) {
  EXPECT_EQ(compareTexts("a = 1.5, b", "a  =  1.5,\n b", 0.1), std::nullopt);
  EXPECT_EQ(compareTexts("[1.0, 2]", "[1.0000001, 2]", 1e-6), std::nullopt);
  EXPECT_THAT(compareTexts("x 1.0", "x 1.1", 1e-6).value_or(""),
              HasSubstr("word 2: '1.1' rather than '1.0'"));
  EXPECT_THAT(compareTexts("x y", "x z", 1e-6).value_or(""), HasSubstr("word 2"));
  EXPECT_THAT(compareTexts("x y", "x", 1e-6).value_or(""), HasSubstr("has 1 words rather than 2"));
}

TEST(RehearsalCost, IsLossTimesHazardTimesPrice) {
  const auto used = [](engine::Use use, Duration time, RehearsedRun& in) {
    in.ledger.time[static_cast<std::size_t>(use)] += time;
  };
  RehearsedRun reference = kReference;
  used(engine::Use::useful, seconds{100}, reference);
  used(engine::Use::starting, seconds{2}, reference);
  ScenarioRun noticed{Scenario::notice, reference, {}}, unnoticed{Scenario::no_notice, reference, {}};
  noticed.run.strikes.resize(1);
  unnoticed.run.strikes.resize(1);
  used(engine::Use::saving, seconds{4}, noticed.run);
  used(engine::Use::redone, seconds{30}, unnoticed.run);
  used(engine::Use::restoring, seconds{6}, unnoticed.run);
  const schedule::Hazard hazard{.steps = {{Duration{}, 0.5}}, .unnoticed = 0.25};
  const RehearsalCost cost = costOf(reference, {noticed, unnoticed}, hazard, PricePerHour{3'600'000'000});
  EXPECT_EQ(cost.lost_noticed, seconds{4});
  EXPECT_EQ(cost.lost_unnoticed, seconds{36});
  EXPECT_DOUBLE_EQ(cost.lost_seconds, 0.5 * (4 * 0.75 + 36 * 0.25));
  EXPECT_EQ(cost.extra.nano_usd, 6'000'000);  // six seconds of 3.60 USD an hour
  unnoticed.judgement.verdict = Verdict::restarts;
  used(engine::Use::useful, seconds{50}, unnoticed.run);  // it takes itself for useful
  EXPECT_EQ(costOf(reference, {unnoticed}, hazard, {}).lost_unnoticed, seconds{86});
}

}  // namespace
}  // namespace buoy::cli
