#include "agent/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "os/files.h"

namespace buoy::agent {
namespace {

using engine::MemberPhase;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr Time kNoon{std::chrono::hours{24}};

class OutboxTest : public testing::Test {
 protected:
  engine::Directive directive(std::uint64_t job = 1, std::uint32_t attempt = 1) {
    engine::Directive directive;
    directive.kind = engine::Directive::Kind::run;
    directive.job = JobId{job};
    directive.attempt = attempt;
    directive.epoch = attempt;
    return directive;
  }
  std::shared_ptr<LogSpool> spool(const std::string& name) {
    return std::make_shared<LogSpool>(std::move(*LogSpool::open(dir_.path() + "/" + name)));
  }

  os::TempDir dir_ = *os::TempDir::create("buoy-outbox-");
  Outbox outbox_{MachineId{7}};
};

TEST_F(OutboxTest, SaysFirstOfAllThatTheAgentIsHere) {
  EXPECT_TRUE(outbox_.reportDue(kNoon));
  const auto draft = outbox_.draft(kNoon);
  EXPECT_EQ(draft.message.machine, MachineId{7});
  EXPECT_FALSE(draft.message.job);
  outbox_.acknowledged(draft);
  EXPECT_FALSE(outbox_.reportDue(kNoon));
  EXPECT_TRUE(outbox_.drained());
}

TEST_F(OutboxTest, ReportsAreCumulativeAndSayAges) {
  outbox_.begin(directive(), nullptr);
  outbox_.phase(MemberPhase::preparing, kNoon - seconds{3});
  outbox_.acknowledged(outbox_.draft(kNoon));
  outbox_.phase(MemberPhase::running, kNoon - seconds{1});
  outbox_.committed(4, kNoon - seconds{2}, {});
  EXPECT_TRUE(outbox_.reportDue(kNoon));
  const auto message = outbox_.draft(kNoon).message;
  ASSERT_EQ(message.phases.size(), 2u);
  EXPECT_EQ(message.phases[0].age, seconds{3});
  EXPECT_EQ(message.phases[1].phase, MemberPhase::running);
  EXPECT_EQ(message.committed_version, 4u);
  EXPECT_EQ(message.committed_covers_age, seconds{2});
}

TEST_F(OutboxTest, WhatCameAfterTheDraftIsNotAcknowledgedByIt) {
  outbox_.begin(directive(), nullptr);
  outbox_.metric("loss", 1, kNoon);
  outbox_.event("one");
  const auto draft = outbox_.draft(kNoon);
  outbox_.metric("loss", 2, kNoon);
  outbox_.event("two");
  outbox_.acknowledged(draft);
  EXPECT_TRUE(outbox_.reportDue(kNoon));
  const auto next = outbox_.draft(kNoon).message;
  ASSERT_EQ(next.metrics.size(), 1u);
  EXPECT_EQ(next.metrics[0].seq, 2u);
  EXPECT_THAT(next.events, ElementsAre("two"));
  EXPECT_EQ(next.events_from, 1u);
}

TEST_F(OutboxTest, AnAnswerAboutTheLastJobAcknowledgesNothingOfThisOne) {
  outbox_.begin(directive(1), nullptr);
  const auto draft = outbox_.draft(kNoon);
  outbox_.begin(directive(2), nullptr);
  outbox_.event("one");
  outbox_.acknowledged(draft);
  EXPECT_TRUE(outbox_.reportDue(kNoon));
  EXPECT_THAT(outbox_.draft(kNoon).message.events, ElementsAre("one"));
}

TEST_F(OutboxTest, MetricsWaitingAreBoundedAndSentInParts) {
  outbox_.begin(directive(), nullptr);
  for (std::size_t i = 0; i < Outbox::kMaxMetrics + 5; ++i) outbox_.metric("loss", 1, kNoon);
  auto draft = outbox_.draft(kNoon);
  EXPECT_EQ(draft.message.metrics.size(), Outbox::kMetricsAReport);
  EXPECT_EQ(draft.message.metrics.front().seq, 6u) << "the oldest went";
  outbox_.acknowledged(draft);
  EXPECT_TRUE(outbox_.reportDue(kNoon));
  EXPECT_EQ(outbox_.draft(kNoon).message.metrics.front().seq, 6u + Outbox::kMetricsAReport);
}

TEST_F(OutboxTest, AResultWaitsForItsLogButNotForEver) {
  const auto log = spool("a");
  outbox_.begin(directive(), log);
  ASSERT_TRUE(log->append("1 o last words\n"));
  outbox_.logGrew(log->size());
  outbox_.result({engine::MemberResult::Kind::exited, 3, ""}, kNoon, kNoon + seconds{10});
  auto draft = outbox_.draft(kNoon);
  EXPECT_FALSE(draft.message.result);
  outbox_.acknowledged(draft);
  EXPECT_FALSE(outbox_.reportDue(kNoon + seconds{1}));
  EXPECT_TRUE(outbox_.reportDue(kNoon + seconds{10})) << "long enough";
  EXPECT_FALSE(outbox_.drained());

  const auto next = outbox_.nextLog();
  ASSERT_TRUE(next);
  outbox_.logAcknowledged(*next, log->size());
  EXPECT_TRUE(outbox_.reportDue(kNoon + seconds{1}));
  draft = outbox_.draft(kNoon + seconds{1});
  ASSERT_TRUE(draft.message.result);
  EXPECT_EQ(draft.message.result->exit_code, 3);
  EXPECT_EQ(draft.message.phases.back().phase, MemberPhase::done);
  outbox_.acknowledged(draft);
  EXPECT_TRUE(outbox_.drained());
}

TEST_F(OutboxTest, TheLogOfTheLastJobIsShippedBeforeThatOfTheNext) {
  const auto first = spool("a");
  ASSERT_TRUE(first->append("1 o old\n"));
  outbox_.begin(directive(1), first);
  const auto second = spool("b");
  outbox_.begin(directive(2), second);
  ASSERT_TRUE(second->append("2 o new\n"));
  outbox_.logGrew(second->size());
  auto next = outbox_.nextLog();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->job, JobId{1});
  outbox_.logAcknowledged(*next, next->size);
  next = outbox_.nextLog();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->job, JobId{2});
  outbox_.logAcknowledged(*next, 3);  // the control plane has only a part: go on from there
  EXPECT_EQ(outbox_.nextLog()->acked, 3u);
  outbox_.logRefused(*next);
  EXPECT_FALSE(outbox_.nextLog());
}

TEST_F(OutboxTest, ANoticeIsToldInTheTimeThatIsLeft) {
  outbox_.notice(kNoon + seconds{30});
  EXPECT_EQ(outbox_.draft(kNoon + seconds{10}).message.notice_in, seconds{20});
  EXPECT_EQ(outbox_.draft(kNoon + seconds{40}).message.notice_in, seconds{0});
}

TEST_F(OutboxTest, ASpoolThatIsContinuedEndsABrokenLine) {
  ASSERT_TRUE(os::writeFileAtomic(dir_.path() + "/c", "1 o whole\n2 o bro"));
  const auto log = spool("c");
  ASSERT_TRUE(log->append("3 o next\n"));
  EXPECT_EQ(*log->read(0, 1000), "1 o whole\n2 o bro\n3 o next\n");
  EXPECT_EQ(log->size(), 27u);
  EXPECT_EQ(*log->read(18, 5), "3 o n");
}

}  // namespace
}  // namespace buoy::agent
