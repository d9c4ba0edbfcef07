#include "control/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "schedule/spot_first.h"

namespace buoy::control {
namespace {

using testing::HasSubstr;

constexpr std::chrono::seconds kQueueLimit{60};

// A store whose disk can be full. Only what the writer uses is there.
class FakeStore final : public store::Store {
 public:
  Status commit(const store::Batch& batch) override {
    const std::lock_guard lock(mutex_);
    ++tries_;
    changed_.notify_all();
    if (full_) return fail(ErrorCode::resource_exhausted, "no space left", true);
    ++commits_;
    jobs_ += batch.documents.size();
    for (const auto& document : batch.documents) requests_[document.request_id] = document.job;
    return {};
  }
  Result<std::optional<JobId>> findRequest(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    const auto found = requests_.find(id);
    return found == requests_.end() ? std::optional<JobId>() : std::optional<JobId>(found->second);
  }
  Result<std::string> jobSpec(JobId) override { return std::string("{}"); }

  Status load(engine::State&) override { return {}; }
  Result<store::JobRow> job(JobId) override { return fail(ErrorCode::not_found, ""); }
  Result<std::vector<std::optional<store::JobRow>>> jobsById(std::span<const JobId> ids) override {
    return std::vector<std::optional<store::JobRow>>(ids.size());
  }
  Result<std::vector<store::JobRow>> jobs(const store::JobQuery&) override {
    return std::vector<store::JobRow>();
  }
  Result<std::int64_t> countJobs(bool) override { return 0; }
  Result<std::int64_t> countUnfinished(const std::string&) override { return 0; }
  Result<std::vector<store::MachineRow>> machines(int) override { return std::vector<store::MachineRow>(); }
  Result<store::MachineRow> machine(MachineId) override { return fail(ErrorCode::not_found, ""); }
  Result<std::vector<engine::Pool>> pools() override { return std::vector<engine::Pool>(); }
  Result<std::vector<engine::Queue>> queues() override { return std::vector<engine::Queue>(); }
  Result<std::vector<store::RecordRow>> records(JobId, MachineId, std::int64_t, int) override {
    return std::vector<store::RecordRow>();
  }
  Result<std::vector<engine::MarketEvent>> market(const std::string&, Time, int) override {
    return std::vector<engine::MarketEvent>{};
  }
  Result<std::vector<engine::Span>> spans(JobId) override { return std::vector<engine::Span>(); }
  Result<std::vector<store::MetricPoint>> metrics(JobId, int) override {
    return std::vector<store::MetricPoint>();
  }
  Result<std::vector<store::Resource>> resources() override { return std::vector<store::Resource>(); }
  Result<std::optional<std::string>> value(const std::string&) override {
    return std::optional<std::string>();
  }
  Status putValue(const std::string&, const std::string&) override { return {}; }
  Result<Time> latestTime() override { return Time{}; }

  void setFull(bool full) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }
  void waitForTries(int more) {
    std::unique_lock lock(mutex_);
    const int until = tries_ + more;
    EXPECT_TRUE(changed_.wait_for(lock, kQueueLimit, [&] { return tries_ >= until; }));
  }
  int commits() {
    const std::lock_guard lock(mutex_);
    return commits_;
  }
  std::size_t jobs_ = 0;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, JobId> requests_;
  bool full_ = false;
  int tries_ = 0;
  int commits_ = 0;
};

class FakeEffects final : public Writer::Effects {
 public:
  void carryOut(const engine::State&, const store::Batch&,
                const std::vector<engine::Action>& actions) override {
    seen += actions.size();
  }
  std::atomic<std::size_t> seen = 0;
};

class WriterTest : public testing::Test {
 protected:
  WriterTest() {
    Writer::Options options;
    options.policy = &policy_;
    options.clock = &clock_;
    options.queue_limit = 4;
    options.refuse_after = Duration{0};
    engine::State state;
    engine::Pool pool;
    pool.name = "local";
    pool.types = {{"small", {1000, 0, {}}, {}, {}}};
    state.restore(pool);
    state.restore(engine::Queue{"default", 0, {"local"}, false});
    writer_ = std::make_unique<Writer>(store_, std::move(state), effects_, options);
    writer_->start();
  }

  struct Answer {
    std::future<Result<engine::Reply>> reply;
    Status taken;
  };
  Answer send(engine::Event event, std::string request_id = {}) {
    auto promise = std::make_shared<std::promise<Result<engine::Reply>>>();
    Submission submission;
    if (std::holds_alternative<engine::SubmitJob>(event)) submission.spec = "{}";
    submission.request_id = std::move(request_id);
    submission.events.push_back(std::move(event));
    submission.done = [promise](const Result<engine::Reply>& reply, const engine::State&) {
      promise->set_value(reply);
    };
    Answer answer{promise->get_future(), {}};
    answer.taken = writer_->offer(std::move(submission));
    return answer;
  }
  static Result<engine::Reply> wait(Answer& answer) {
    if (!answer.taken) return fail(answer.taken.error());
    EXPECT_EQ(answer.reply.wait_for(kQueueLimit), std::future_status::ready);
    return answer.reply.get();
  }
  Result<engine::Reply> ask(engine::Event event, std::string request_id = {}) {
    Answer answer = send(std::move(event), std::move(request_id));
    return wait(answer);
  }

  FakeClock clock_;
  schedule::SpotFirst policy_;
  FakeStore store_;
  FakeEffects effects_;
  std::unique_ptr<Writer> writer_;
};

TEST_F(WriterTest, AnAnswerMeansACommit) {
  const auto reply = ask(engine::SubmitJob{});
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->job, JobId{1});
  EXPECT_EQ(store_.commits(), 1);
  EXPECT_GT(effects_.seen, 0u) << "a machine was asked for";
}

TEST_F(WriterTest, WhatChangesNothingIsNotCommitted) {
  EXPECT_FALSE(ask(engine::CancelJob{JobId{9}}));
  EXPECT_FALSE(ask(engine::LeaseRenewed{MachineId{9}}));
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(WriterTest, ARepeatedRequestIsAnsweredWithTheSameJob) {
  EXPECT_EQ(ask(engine::SubmitJob{}, "r")->job, JobId{1});
  EXPECT_EQ(ask(engine::SubmitJob{}, "r")->job, JobId{1});
  EXPECT_EQ(store_.jobs_, 1u);
}

TEST_F(WriterTest, NothingIsSeenUntilAFullDiskHasRoomAgain) {
  store_.setFull(true);
  const auto refused = ask(engine::SubmitJob{}, "r");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr("storage is full"));
  const auto at_once = ask(engine::SubmitJob{});
  ASSERT_FALSE(at_once);
  EXPECT_THAT(at_once.error().message, HasSubstr("nothing was changed"));
  store_.waitForTries(2);
  EXPECT_EQ(effects_.seen, 0u);
  store_.setFull(false);
  store_.waitForTries(1);
  // What was refused because it was not known whether it would happen has happened, once.
  Result<engine::Reply> again = fail(ErrorCode::internal, "");
  const auto deadline = std::chrono::steady_clock::now() + kQueueLimit;
  while (!again && std::chrono::steady_clock::now() < deadline) again = ask(engine::SubmitJob{}, "r");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->job, JobId{1});
  EXPECT_EQ(store_.jobs_, 1u);
  EXPECT_GT(effects_.seen, 0u);
}

TEST_F(WriterTest, StoppingWithAFullDiskActsOnNothing) {
  store_.setFull(true);
  Answer answer = send(engine::SubmitJob{});
  store_.waitForTries(1);
  writer_->stop();
  EXPECT_FALSE(wait(answer));
  EXPECT_EQ(effects_.seen, 0u);
  EXPECT_EQ(ask(engine::SubmitJob{}).error().code, ErrorCode::unavailable);
}

TEST_F(WriterTest, TooManyThatWaitAreRefused) {
  std::promise<void> go;
  std::promise<void> held;
  writer_->look([&](const engine::State&) {
    held.set_value();
    go.get_future().wait();
  });
  held.get_future().wait();
  std::vector<Answer> answers;
  for (int n = 0; n < 5; ++n) answers.push_back(send(engine::SubmitJob{}));
  EXPECT_EQ(answers.back().taken.error().code, ErrorCode::resource_exhausted);
  go.set_value();
  for (int n = 0; n < 4; ++n) EXPECT_TRUE(wait(answers[static_cast<std::size_t>(n)]));
  EXPECT_EQ(store_.commits(), 1) << "one commit for all that waited";
}

}  // namespace
}  // namespace buoy::control
