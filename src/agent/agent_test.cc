#include "agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/fake_control.h"
#include "agent/supervisor.h"
#include "base/strings.h"
#include "objstore/checkpoint.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

using engine::Directive;
using engine::MemberPhase;
using Kind = engine::MemberResult::Kind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr JobId kJob{1};

// The text of a framed log without times and streams.
std::string textOf(const std::string& frames) {
  std::string text;
  for (const std::string_view line : split(frames, '\n')) {
    if (line.empty()) continue;
    const auto start = line.find(' ') + 3;
    text += line.substr(start);
    if (line[start - 2] == 'o' || line[start - 2] == 'e') text += '\n';
  }
  return text;
}

class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    config_.cluster = "test";
    config_.machine = MachineId{7};
    config_.server = "unix:" + dir_.path() + "/server.sock";
    config_.token = "m7.secret";
    config_.store = "file://" + dir_.path() + "/store";
    config_.directory = dir_.path() + "/machine";
    config_.notice_file = config_.directory + "/notice.json";
    config_.address = "127.0.0.1";
    config_.heartbeat = milliseconds{100};
    EXPECT_TRUE(os::makeDirectories(config_.directory));
    spec_.name = "test";
  }

  ~AgentTest() override {
    if (!thread_.joinable()) return;
    agent_->terminate();
    thread_.join();
  }

  // The agent is made on the thread that runs it; it must have no other children than the job's.
  void start() {
    agent_ = *Agent::create(config_, clock_, options_);
    thread_ = std::jthread([this] { end_ = agent_->run(); });
  }
  AgentEnd waitForEnd() {
    thread_.join();
    return end_;
  }

  api::DirectiveMessage message(Directive::Kind kind, std::uint32_t attempt = 1, JobId job = kJob) {
    api::DirectiveMessage message;
    message.directive.kind = kind;
    message.directive.job = job;
    message.directive.attempt = attempt;
    message.directive.epoch = attempt;
    message.directive.grace = seconds{20};
    message.store_prefix = "test/" + job.toString();
    if (kind == Directive::Kind::run) message.spec = api::toJson(spec_);
    return message;
  }
  void run(const std::string& command, std::uint32_t attempt = 1, JobId job = kJob) {
    spec_.run = command;
    control_.direct(message(Directive::Kind::run, attempt, job));
  }
  const engine::MemberResult* waitForResult(Epoch epoch = 1, JobId job = kJob) {
    result_.reset();
    control_.waitFor([&](const auto& received) {
      if (const auto* result = received.result(job, epoch)) result_ = *result;
      return result_.has_value();
    });
    return result_ ? &*result_ : nullptr;
  }
  bool waitForLog(const std::string& text, const std::string& name = "j1.1.0") {
    return control_.waitFor([&](const auto& received) {
      const auto log = received.logs.find(name);
      return log != received.logs.end() && textOf(log->second).find(text) != std::string::npos;
    });
  }
  std::string log(const std::string& name = "j1.1.0") { return textOf(control_.received().logs[name]); }
  std::string work(const std::string& path) const { return config_.directory + "/work/" + path; }
  bool waitForCommit(std::uint64_t at_least = 1) {
    return control_.waitFor(
        [&](const auto& received) { return received.newest.committed_version >= at_least; });
  }
  // What the next attempt would find.
  std::map<std::string, std::string> committed() {
    const auto store = *objstore::openStore(config_.store);
    objstore::CheckpointRepository repository(*store, "test/j1/checkpoints", 1000, 1000);
    const std::string restored = dir_.path() + "/restored";
    EXPECT_TRUE(repository.restore(restored));
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(restored)) {
      if (!entry.is_regular_file()) continue;
      files[entry.path().lexically_relative(restored).string()] = *os::readFile(entry.path().string());
    }
    return files;
  }
  void giveNotice(Duration left) {
    EXPECT_TRUE(os::writeFileAtomic(config_.notice_file,
                                    "{\"deadline\": \"" + formatTime(clock_.now() + left) + "\"}"));
  }

  const os::TempDir dir_ = *os::TempDir::create("buoy-agent-");
  const os::SystemClock clock_;
  api::AgentConfig config_;
  api::JobSpec spec_;
  Agent::Options options_;
  FakeControl control_{dir_.path() + "/server.sock"};
  std::optional<engine::MemberResult> result_;
  std::unique_ptr<Agent> agent_;
  AgentEnd end_ = AgentEnd::failed;
  std::jthread thread_;
};

// ---- supervision

TEST_F(AgentTest, RunsAJobInItsEnvironmentAndReportsItsEnd) {
  spec_.env = {{"SEED", "7"}};
  start();
  run("echo $BUOY_JOB_ID $BUOY_ATTEMPT $BUOY_RANK $SEED; echo oops >&2; basename $PWD; exit 3");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::exited);
  EXPECT_EQ(result->exit_code, 3);
  const std::string text = log();
  EXPECT_THAT(text, HasSubstr("j1 1 0 7\n"));
  EXPECT_THAT(text, HasSubstr("oops\n"));
  EXPECT_THAT(text, HasSubstr("work\n"));
  const auto report = control_.received().last[{kJob, 1}];
  std::vector<MemberPhase> phases;
  for (const auto& change : report.phases) phases.push_back(change.phase);
  EXPECT_THAT(phases, testing::ElementsAre(MemberPhase::preparing, MemberPhase::running, MemberPhase::saving,
                                           MemberPhase::done));
}

TEST_F(AgentTest, ASignalIsAnExitCodeToo) {
  start();
  run("kill -SEGV $$");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->exit_code, 128 + SIGSEGV);
  EXPECT_THAT(result->detail, HasSubstr("SIGSEGV"));
}

TEST_F(AgentTest, NothingOfAJobIsLeftWhenItsCommandEnds) {
  start();
  run("(setsid sleep 1000 & echo $!); (sleep 1000 & echo $!); echo left");
  ASSERT_NE(waitForResult(), nullptr);
  const std::string text = log();
  for (const std::string_view line : split(text, '\n')) {
    const int pid = std::atoi(std::string(line).c_str());
    EXPECT_TRUE(pid <= 0 || ::kill(pid, 0) != 0) << "process " << pid << " lives";
  }
}

TEST_F(AgentTest, ACommandThatCannotStartIsASetupFailure) {
  spec_.inputs = {{"data", {.from = "/nonexistent/data"}}};
  start();
  run("true");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::setup_failed);
  EXPECT_THAT(result->detail, HasSubstr("inputs.data: /nonexistent/data"));
}

TEST_F(AgentTest, AStreamThatCannotGoOnEndsTheJob) {
  const auto store = *objstore::openStore(config_.store);
  ASSERT_TRUE(store->put("test/j9/outputs/a", "first"));
  ASSERT_TRUE(store->put("test/j9/outputs/b", "second"));
  spec_.inputs = {{"text", {.from = "job:j9/output", .mode = api::InputSpec::Mode::stream}}};
  start();
  run("while [ ! -e go ]; do sleep 0.01; done; cat ${BUOY_INPUT_TEXT}_0; echo all of it");
  ASSERT_TRUE(
      control_.waitFor([](const auto& received) { return received.reached(kJob, MemberPhase::running); }));
  ASSERT_TRUE(store->remove("test/j9/outputs/b"));
  std::ofstream(work("go")).put('x');
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::setup_failed);
  EXPECT_THAT(result->detail, HasSubstr("inputs.text: "));
  // The job may be ended before it passes on what it read; it must never take what came for all there is.
  EXPECT_THAT(log(), Not(HasSubstr("all of it")));
}

TEST_F(AgentTest, JobsFollowOneAnotherOnAMachineInACleanDirectory) {
  start();
  run("echo left >file; echo first");
  ASSERT_NE(waitForResult(), nullptr);
  run("ls; echo second", 1, JobId{2});
  ASSERT_NE(waitForResult(1, JobId{2}), nullptr);
  EXPECT_EQ(log("j2.1.0"), "second\n");
  run("ls; echo third", 2, JobId{2});
  ASSERT_NE(waitForResult(2, JobId{2}), nullptr);
}

TEST_F(AgentTest, ADirectiveThatIsToldAgainStartsNothingTwice) {
  start();
  run("echo x >>count; cat count");
  ASSERT_NE(waitForResult(), nullptr);
  control_.direct(message(Directive::Kind::run));
  run("echo other", 1, JobId{2});
  ASSERT_NE(waitForResult(1, JobId{2}), nullptr);
  EXPECT_EQ(log(), "x\n");
}

TEST_F(AgentTest, AnotherAttemptReplacesTheOneThatRuns) {
  start();
  run("trap '' TERM; echo up; sleep 1000");
  ASSERT_TRUE(waitForLog("up"));
  run("echo next", 2);
  const auto* result = waitForResult(2);
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_TRUE(waitForLog("next", "j1.2.0"));
}

// ---- logs, metrics, the control plane coming and going

TEST_F(AgentTest, EveryLineArrivesOnceThroughRestartsAndLostAnswers) {
  start();
  control_.loseLogAnswers(3);
  run("i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i; [ $((i % 100)) -eq 0 ] && sleep 0.2; done; "
      "printf end");
  ASSERT_TRUE(waitForLog("line 100\n"));
  control_.goAway();
  control_.comeBack();
  ASSERT_TRUE(waitForLog("line 300\n"));
  control_.goAway();
  control_.comeBack();
  ASSERT_NE(waitForResult(), nullptr);
  std::string expected;
  for (int i = 1; i <= 400; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(log(), expected + "end");
}

TEST_F(AgentTest, ALineThatComesRightAfterAnotherDoesNotWaitForTheHeartbeat) {
  config_.heartbeat = std::chrono::hours{1};
  options_.uplink.log_interval = std::chrono::seconds{5};
  start();
  run("echo one; while [ ! -e go ]; do sleep 0.01; done; echo two; sleep 1000");
  ASSERT_TRUE(waitForLog("one\n"));
  std::ofstream(work("go")).put('x');
  EXPECT_TRUE(waitForLog("two\n"));
}

TEST_F(AgentTest, AControlPlaneThatHasLessOfTheLogGetsTheRest) {
  start();
  run("echo one; echo two; while [ ! -e go ]; do sleep 0.01; done; echo three");
  ASSERT_TRUE(waitForLog("two\n"));
  const std::string before = control_.received().logs["j1.1.0"];
  control_.trimLog("j1.1.0", before.size() / 2);
  std::ofstream(work("go")).put('x');
  ASSERT_NE(waitForResult(), nullptr);
  EXPECT_EQ(log(), "one\ntwo\nthree\n");
}

TEST_F(AgentTest, AJobRunsThroughAnAbsentControlPlaneAndIsReportedAfterwards) {
  start();
  run("echo up; while [ ! -e go ]; do sleep 0.01; done; echo done >result; exit 5");
  ASSERT_TRUE(waitForLog("up"));
  control_.goAway();
  std::ofstream(work("go")).put('x');
  while (!std::filesystem::exists(work("result"))) ::usleep(1000);
  control_.comeBack();
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->exit_code, 5);
}

TEST_F(AgentTest, FindsMetricsInTheOutput) {
  spec_.metrics = {{"loss", "loss=([0-9.e+-]+)"}};
  start();
  run("echo 'epoch 1 loss=0.5'; echo 'loss=2.5e-1' >&2; echo 'loss=..'; printf 'loss=0.125'");
  ASSERT_NE(waitForResult(), nullptr);
  std::vector<double> values;
  for (const auto& [seq, value] : control_.received().metrics) values.push_back(value);
  EXPECT_THAT(values, testing::UnorderedElementsAre(0.5, 0.25, 0.125));
}

TEST_F(AgentTest, HeartbeatsGoOnBesideASilentJob) {
  start();
  run("sleep 1000");
  ASSERT_TRUE(
      control_.waitFor([](const auto& received) { return received.reached(kJob, MemberPhase::running); }));
  const int before = control_.received().reports;
  EXPECT_TRUE(control_.waitFor([&](const auto& received) { return received.reports >= before + 3; }));
}

// ---- checkpoints

class AgentCheckpointTest : public AgentTest {
 protected:
  AgentCheckpointTest() {
    spec_.checkpoint.emplace();
    spec_.checkpoint->settle = milliseconds{50};
  }
};

TEST_F(AgentCheckpointTest, CommitsWhileTheJobRunsAndRestoresForTheNextAttempt) {
  start();
  run("echo v1 >checkpoints/a.tmp; mv checkpoints/a.tmp checkpoints/a; mkdir checkpoints/sub; echo v2 "
      ">checkpoints/sub/b; sleep 1000");
  ASSERT_TRUE(control_.waitFor([&](const auto& received) { return received.newest.committed_version > 0; }));
  run("echo restored $BUOY_RESTORED_VERSION; cat checkpoints/a; cat $BUOY_CHECKPOINT_DIR/sub/b", 2);
  ASSERT_NE(waitForResult(2), nullptr);
  EXPECT_THAT(log("j1.2.0"), testing::MatchesRegex("restored [0-9]+\nv1\nv2\n"));
}

TEST_F(AgentCheckpointTest, TheJobIsToldWhenToSave) {
  spec_.checkpoint->save_signal = "SIGUSR1";
  spec_.checkpoint->interval = std::chrono::hours{1};
  start();
  run("trap 'echo $BUOY_CHECKPOINT_INTERVAL; cat $BUOY_CHECKPOINT_CONTROL; echo saved >checkpoints/a' USR1; "
      "echo up; while :; do sleep 0.02; done");
  ASSERT_TRUE(waitForLog("up\n"));
  api::DirectiveMessage asked = message(Directive::Kind::run);
  asked.directive.save = 1;
  control_.direct(asked);
  ASSERT_TRUE(waitForLog("\"reason\":\"request\""));
  EXPECT_THAT(log(), HasSubstr("3600\n"));
  EXPECT_THAT(log(), HasSubstr("\"save_now\":1"));
  ASSERT_TRUE(waitForCommit());
  EXPECT_THAT(committed(), Contains(std::pair<const std::string, std::string>("a", "saved\n")));
}

TEST_F(AgentCheckpointTest, ANoticeIsInTheControlFileToo) {
  start();
  run("trap '' TERM; echo up; until grep -q '\"stop\"' $BUOY_CHECKPOINT_CONTROL; do sleep 0.02; done; "
      "echo last >checkpoints/a");
  ASSERT_TRUE(waitForLog("up\n"));
  giveNotice(seconds{20});
  ASSERT_NE(waitForResult(), nullptr);
  EXPECT_THAT(committed(), Contains(std::pair<const std::string, std::string>("a", "last\n")));
}

// At every moment one of the two files is open and half written.
TEST_F(AgentCheckpointTest, TellsWhatIsWrittenWithoutAPauseAndSoIsNeverSaved) {
  spec_.checkpoint->interval = seconds{1};
  options_.assignment.checkpoint.tell_unsaved = milliseconds{300};
  start();
  run("exec 3>checkpoints/a; while [ ! -e go ]; do exec 4>checkpoints/b; echo x >&4; exec 3>&-; "
      "exec 3>checkpoints/a; echo x >&3; exec 4>&-; sleep 0.01; done; exec 3>&-; echo closed; sleep 1000");
  const auto told = [](const auto& received) {
    return std::count_if(received.events.begin(), received.events.end(), [](const std::string& event) {
      return event.find("without a pause") != std::string::npos;
    });
  };
  ASSERT_TRUE(control_.waitFor([&](const auto& received) { return told(received) > 0; }));
  EXPECT_EQ(control_.received().newest.committed_version, 0u);
  std::ofstream(work("go")).put('x');
  ASSERT_TRUE(waitForCommit());
  EXPECT_EQ(told(control_.received()), 1) << "said once";
}

TEST_F(AgentCheckpointTest, AJobThatNeverPausesIsCommittedAllTheSame) {
  start();
  run("n=0; while :; do n=$((n+1)); echo $n >checkpoints/n.tmp; mv checkpoints/n.tmp checkpoints/n; sleep "
      "0.01; done");
  EXPECT_TRUE(waitForCommit(1));
}

TEST_F(AgentCheckpointTest, TheLastStateIsCommittedWhenTheJobEnds) {
  start();
  run("exec 3>checkpoints/open; echo whole >&3; echo last >checkpoints/n");
  ASSERT_NE(waitForResult(), nullptr);
  EXPECT_GT(control_.received().newest.committed_version, 0u);
  const auto files = committed();
  EXPECT_EQ(files.at("n"), "last\n");
  EXPECT_EQ(files.at("open"), "whole\n") << "a process that ends by itself has closed its files";
}

TEST_F(AgentCheckpointTest, AFileThatWasBeingWrittenAtTheKillKeepsItsCommittedContent) {
  start();
  run("echo good >checkpoints/n; trap '' TERM; while [ ! -e go ]; do sleep 0.01; done; "
      "exec 3>checkpoints/n; echo half >&3; echo new >checkpoints/m; echo writing; while :; do sleep 0.01; "
      "done");
  ASSERT_TRUE(waitForCommit());
  std::ofstream(work("go")).put('x');
  ASSERT_TRUE(waitForLog("writing"));
  auto stop = message(Directive::Kind::stop);
  stop.directive.grace = milliseconds{100};
  control_.direct(stop);
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::stopped);
  const auto files = committed();
  EXPECT_EQ(files.at("n"), "good\n");
  EXPECT_EQ(files.at("m"), "new\n");
}

TEST_F(AgentCheckpointTest, AFileThatWasBeingWrittenAtACrashKeepsItsCommittedContent) {
  start();
  run("echo good >checkpoints/n; while [ ! -e go ]; do sleep 0.01; done; exec 3>checkpoints/n; echo half "
      ">&3; kill -KILL $$");
  ASSERT_TRUE(waitForCommit());
  std::ofstream(work("go")).put('x');
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
  EXPECT_EQ(committed().at("n"), "good\n");
}

TEST_F(AgentCheckpointTest, WhatAnAttemptLeftUncommittedIsNoCheckpoint) {
  start();
  run("echo torn >checkpoints/n; ln -s /etc/passwd checkpoints/stolen; echo up; sleep 1000");
  EXPECT_TRUE(control_.waitFor([](const auto& received) {
    return testing::Matches(Contains(HasSubstr("stolen")))(received.events);
  })) << "the link leads out of the directory: nothing is committed, and the history says why";
  run("ls -a checkpoints | wc -l", 2);
  ASSERT_NE(waitForResult(2), nullptr);
  EXPECT_EQ(log("j1.2.0"), "2\n") << "empty but for . and ..";
}

TEST_F(AgentCheckpointTest, AnAttemptThatWasReplacedIsFencedAndKilled) {
  start();
  run("echo up; n=0; while :; do n=$((n+1)); echo $n >checkpoints/n; sleep 0.02; done");
  ASSERT_TRUE(waitForCommit());
  const auto store = *objstore::openStore(config_.store);
  objstore::CheckpointRepository successor(*store, "test/j1/checkpoints", 2, 2);
  ASSERT_TRUE(successor.open());
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::fenced);
  EXPECT_EQ((*successor.list()).back().epoch, 1u);
}

TEST_F(AgentCheckpointTest, AnAttemptThatComesTooLateDoesNotStart) {
  const auto store = *objstore::openStore(config_.store);
  objstore::CheckpointRepository successor(*store, "test/j1/checkpoints", 5, 5);
  ASSERT_TRUE(successor.open());
  start();
  run("echo started");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::fenced);
  EXPECT_EQ(log(), "");
}

// ---- notices and stops

TEST_F(AgentCheckpointTest, ANoticeGivesTheJobTimeToSave) {
  start();
  run("trap 'cat $BUOY_NOTICE_FILE; echo saved >checkpoints/n; exit 0' TERM; echo up; while :; do sleep "
      "0.01; done");
  ASSERT_TRUE(waitForLog("up"));
  giveNotice(seconds{25});
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::stopped) << "an exit after the signal is no success";
  EXPECT_THAT(log(), HasSubstr("\"seconds_left\":2"));
  EXPECT_EQ(committed().at("n"), "saved\n");
  EXPECT_TRUE(control_.received().newest.notice_in);
}

TEST_F(AgentCheckpointTest, TheProgramBelowAShellThatDiedHasItsTimeToSave) {
  start();
  // The shell dies of the signal; the program below it, written without a rename, saves and ends.
  run("sh -c 'trap \"sleep 0.3; echo saved >checkpoints/n; exit 0\" TERM; echo up; while :; do sleep 0.01; "
      "done'; true");
  ASSERT_TRUE(waitForLog("up"));
  control_.direct(message(Directive::Kind::stop));
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::stopped);
  EXPECT_EQ(committed().at("n"), "saved\n");
}

TEST_F(AgentTest, WhoeverIgnoresTheSignalIsKilledBeforeTheDeadline) {
  start();
  run("trap '' TERM; echo up; while :; do sleep 0.01; done");
  ASSERT_TRUE(waitForLog("up"));
  giveNotice(milliseconds{500});
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::stopped);
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
}

TEST_F(AgentTest, AMachineUnderNoticeTakesNoNewJob) {
  start();
  giveNotice(seconds{25});
  ASSERT_TRUE(control_.waitFor([](const auto& received) { return received.newest.notice_in.has_value(); }));
  run("echo started");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::stopped);
  EXPECT_EQ(log(), "");
}

TEST_F(AgentTest, StoppingWhatNeverBeganIsDoneAtOnce) {
  control_.direct(message(Directive::Kind::stop));
  start();
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::stopped);
}

// ---- outputs

TEST_F(AgentTest, StoresTheOutputsOfAJobThatSucceeded) {
  spec_.outputs = {"model.pt", "logs/*.txt", "missing", "stolen"};
  start();
  run("echo weights >model.pt; mkdir logs; echo a >logs/a.txt; echo b >logs/b.bin; ln -s /etc/passwd stolen");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->exit_code, 0);
  const auto store = *objstore::openStore(config_.store);
  EXPECT_EQ(*store->get("test/j1/outputs/model.pt"), "weights\n");
  EXPECT_EQ(*store->get("test/j1/outputs/logs/a.txt"), "a\n");
  EXPECT_EQ((*store->list("test/j1/outputs/", "", 100)).size(), 2u);
  EXPECT_THAT(control_.received().events, Contains("warning: output missing was not there"));
  EXPECT_THAT(control_.received().events, Contains(HasSubstr("output stolen was left out")));
}

// ---- the end

TEST_F(AgentTest, LeavesWhenTheControlPlaneSaysSo) {
  start();
  run("echo done");
  ASSERT_NE(waitForResult(), nullptr);
  control_.direct(message(Directive::Kind::shutdown));
  EXPECT_EQ(waitForEnd(), AgentEnd::shutdown);
}

TEST_F(AgentCheckpointTest, AnOrphanSavesAndLeaves) {
  config_.orphan_after = milliseconds{600};
  start();
  run("trap 'echo saved >checkpoints/n; exit 0' TERM; echo up; while :; do sleep 0.01; done");
  ASSERT_TRUE(waitForLog("up"));
  control_.goAway();
  EXPECT_EQ(waitForEnd(), AgentEnd::orphaned);
  EXPECT_EQ(committed().at("n"), "saved\n");
}

TEST_F(AgentCheckpointTest, AMachineThatTheControlPlaneDoesNotKnowSavesAndLeaves) {
  start();
  run("trap 'echo saved >checkpoints/n; exit 0' TERM; echo up; while :; do sleep 0.01; done");
  ASSERT_TRUE(waitForLog("up"));
  control_.reject();
  EXPECT_EQ(waitForEnd(), AgentEnd::orphaned);
  EXPECT_EQ(committed().at("n"), "saved\n");
}

TEST_F(AgentTest, ARemovedDirectoryIsALostMachine) {
  start();
  run("echo up; sleep 1000");
  ASSERT_TRUE(waitForLog("up"));
  ASSERT_TRUE(os::removeTree(config_.directory));
  EXPECT_EQ(waitForEnd(), AgentEnd::machine_lost);
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::machine_lost);
}

TEST_F(AgentTest, AnAgentThatIsStartedAnewDoesNotRunTheSameAttemptAgain) {
  ASSERT_TRUE(os::writeFileAtomic(config_.directory + "/work.job", "j1 1"));
  start();
  run("echo twice");
  const auto* result = waitForResult();
  ASSERT_NE(result, nullptr);
  EXPECT_EQ(result->kind, Kind::machine_lost);
  EXPECT_EQ(log(), "");
}

}  // namespace
}  // namespace buoy::agent

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  buoy::agent::blockSignals();
  return RUN_ALL_TESTS();
}
