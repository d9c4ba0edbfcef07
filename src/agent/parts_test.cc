#include "agent/parts.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>

#include "agent/supervisor.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

using Close = engine::Directive::Part::Close;
using std::chrono::seconds;

constexpr MachineId kPart{8}, kOther{9};

// Agents are shell scripts here: what they are told is in their configuration's file.
class PartsTest : public testing::Test {
 protected:
  PartsTest() : loop_(clock_) {
    blockSignals();
    config_.cluster = "test";
    config_.machine = MachineId{7};
    config_.server = "unix:/nowhere";
    config_.token = "m7.secret";
    config_.store = "file:///nowhere";
    config_.directory = dir_.path();
    write("true");
  }

  void write(const std::string& script) {
    program_ = dir_.path() + "/program";
    ASSERT_TRUE(os::writeFileAtomic(program_, "#!/bin/sh\n" + script + "\n", 0755));
  }
  void make(Duration patience = seconds{20}) {
    parts_ = std::make_unique<Parts>(loop_, worker_, config_,
                                     Parts::Options{.patience = patience, .program = program_},
                                     [this](Parts::Closed closed) { closed_ = std::move(closed); });
  }
  static api::DirectiveMessage message(std::vector<std::pair<MachineId, Close>> parts) {
    api::DirectiveMessage message;
    for (const auto& [machine, close] : parts) {
      message.directive.parts.push_back({machine, {.milli_cpus = 500}, {1, 3}, close});
      message.tokens.push_back(machine.toString() + ".secret");
    }
    return message;
  }
  template <class Condition>
  bool waitFor(Condition condition) {
    const Time give_up = clock_.now() + seconds{30};
    while (!condition() && clock_.now() < give_up) loop_.runOnce(std::chrono::milliseconds{50});
    return condition();
  }
  bool exists(const std::string& file) { return os::readFile(dir_.path() + "/" + file).has_value(); }

  os::TempDir dir_ = *os::TempDir::create("buoy-parts");
  os::SystemClock clock_;
  os::EventLoop loop_;
  Worker worker_;
  api::AgentConfig config_;
  std::string program_;
  Parts::Closed closed_;
  std::unique_ptr<Parts> parts_;
};

TEST_F(PartsTest, OpensAnAgentWithItsOwnDirectoryAndShare) {
  write("cp \"$3\" ../../seen; touch ../../up; exec sleep 100");
  make();
  parts_->follow(message({{kPart, Close::no}}));
  ASSERT_TRUE(waitFor([&] { return exists("up"); }));
  const auto config = api::parseAgentConfig(*os::readFile(dir_.path() + "/seen"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->machine, kPart);
  EXPECT_EQ(config->token, "m8.secret");
  EXPECT_EQ(config->directory, dir_.path() + "/parts/m8");
  EXPECT_EQ(config->cache, dir_.path() + "/cache");
  EXPECT_EQ(config->milli_cpus, 500);
  EXPECT_TRUE(config->part);
  EXPECT_EQ(config->devices, (std::vector<std::int32_t>{1, 3}));
  EXPECT_TRUE(closed_.empty());
}

TEST_F(PartsTest, EndsWhatIsToBeClosedAndTellsOfItUntilNobodyAsks) {
  write("trap 'exit 0' TERM; touch ../../up; while :; do sleep 0.02; done");
  make();
  parts_->follow(message({{kPart, Close::no}}));
  ASSERT_TRUE(waitFor([&] { return exists("up"); }));
  parts_->follow(message({{kPart, Close::when_done}}));
  ASSERT_TRUE(waitFor([&] { return parts_->empty(); }));
  ASSERT_EQ(closed_.size(), 1u);
  EXPECT_EQ(closed_[0].machine, kPart);
  EXPECT_EQ(closed_[0].detail, "");
  parts_->follow(message({{kPart, Close::when_done}}));  // it is not opened again
  EXPECT_EQ(closed_.size(), 1u);
  parts_->follow(message({}));
  EXPECT_TRUE(closed_.empty());
}

TEST_F(PartsTest, KillsWhatDoesNotEnd) {
  write("trap '' TERM; touch ../../up-${PWD##*/}; while :; do sleep 0.02; done");
  make(std::chrono::milliseconds{10});
  parts_->follow(message({{kPart, Close::no}, {kOther, Close::no}}));
  ASSERT_TRUE(waitFor([&] { return exists("up-m8") && exists("up-m9"); }));
  parts_->follow(message({{kPart, Close::when_done}, {kOther, Close::by_force}}));
  EXPECT_TRUE(waitFor([&] { return parts_->empty(); }));
  EXPECT_EQ(closed_.size(), 2u);
}

TEST_F(PartsTest, EndsWithItsMachineWhenItsJobHasSaved) {
  FakeClock clock(clock_.now());
  os::EventLoop loop(clock);
  write(
      "trap 'touch ../../told; until [ -e ../../saved ]; do sleep 0.02; done; touch ../../done; exit 0' "
      "TERM; touch ../../up; while :; do sleep 0.02; done");
  parts_ = std::make_unique<Parts>(loop, worker_, config_,
                                   Parts::Options{.patience = seconds{1}, .program = program_},
                                   [this](Parts::Closed closed) { closed_ = std::move(closed); });
  const auto until = [&](auto condition) {
    const Time give_up = clock_.now() + seconds{30};
    while (!condition() && clock_.now() < give_up) loop.runOnce(std::chrono::milliseconds{50});
    return condition();
  };
  parts_->follow(message({{kPart, Close::no}}));
  ASSERT_TRUE(until([&] { return exists("up"); }));
  parts_->endAll();
  ASSERT_TRUE(until([&] { return exists("told"); }));
  clock.advance(seconds{3600});
  loop.runOnce(Duration{0});
  EXPECT_FALSE(parts_->empty());
  ASSERT_TRUE(os::writeFileAtomic(dir_.path() + "/saved", "", 0600));
  ASSERT_TRUE(until([&] { return parts_->empty(); }));
  EXPECT_TRUE(exists("done")) << "it was killed";
  EXPECT_EQ(closed_.size(), 1u);
  parts_.reset();  // before its loop
}

TEST_F(PartsTest, TellsOfAnAgentThatEndsByItself) {
  write("exit 3");
  make();
  parts_->follow(message({{kPart, Close::no}}));
  ASSERT_TRUE(waitFor([&] { return parts_->empty(); }));
  ASSERT_EQ(closed_.size(), 1u);
  EXPECT_EQ(closed_[0].detail, "its agent ended with exit code 3");
}

TEST_F(PartsTest, TellsOfOneThatCannotBeStarted) {
  program_ = dir_.path() + "/missing";
  make();
  parts_->follow(message({{kPart, Close::no}}));
  ASSERT_EQ(closed_.size(), 1u);
  EXPECT_NE(closed_[0].detail, "");
  EXPECT_TRUE(parts_->empty());
}

TEST_F(PartsTest, WhatIsNobodysIsKilled) {
  write("touch ../../up; exec sleep 100");
  make();
  parts_->follow(message({{kPart, Close::no}}));
  ASSERT_TRUE(waitFor([&] { return exists("up"); }));
  parts_->follow(message({}));
  EXPECT_TRUE(waitFor([&] { return parts_->empty(); }));
}

}  // namespace
}  // namespace buoy::agent
