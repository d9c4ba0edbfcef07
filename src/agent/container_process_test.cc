#include "agent/container_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>

#include "base/strings.h"
#include "container/init/protocol.h"
#include "container/init_program.h"
#include "net/sockets.h"
#include "os/files.h"
#include "os/process.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// The real init, as a process of this machine: it is in no namespace of its own, and behaves the same.
class ContainerProcessTest : public testing::Test {
 protected:
  void begin(const std::string& script, const std::vector<std::string>& environment = {}) {
    const std::string program = dir_.path() + "/" + container::kInitProgram;
    ASSERT_TRUE(os::createFileExclusive(program, container::initProgram(), 0755));
    auto listener = net::listenOnUnixSocket(dir_.path() + "/" + container::kInitSocket);
    ASSERT_TRUE(listener) << listener.error().message;
    os::SpawnOptions options;
    options.command = {program, dir_.path(), "/bin/sh", "-c", script};
    options.environment = {"PATH=/usr/bin:/bin", "FROM_IMAGE=yes", "BOTH=image"};
    options.directory = dir_.path();
    options.fds = {{2, 2}};
    auto spawned = os::spawn(options);
    ASSERT_TRUE(spawned) << spawned.error().message;
    init_ = std::move(spawned->handle);
    loop_.watch(listener->fd.get(), [this] { loop_.stop(); });
    loop_.run();
    loop_.unwatch(listener->fd.get());
    os::Fd connection(::accept4(listener->fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(connection);
    process_ = std::make_unique<ContainerProcess>(
        loop_,
        JobProcess::Callbacks{
            .on_output = [this](char stream,
                                std::string_view bytes) { (stream == 'o' ? out_ : err_) += bytes; },
            .on_exit = [this](int code) { exit_ = code; },
            .on_gone = [this](int code) { gone_ = code; }},
        std::move(connection), "64 MiB");
    const Status started = process_->start(environment);
    ASSERT_TRUE(started) << started.error().message;
  }
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!condition() && std::chrono::steady_clock::now() < end) loop_.runOnce(100ms);
    return condition();
  }
  bool untilGone() {
    return until([&] { return gone_.has_value(); });
  }
  void TearDown() override {
    process_.reset();
    EXPECT_TRUE(init_.waitEnded(20s)) << "the init outlived its agent";
    (void)init_.reap();
  }

  os::SystemClock clock_;
  os::EventLoop loop_{clock_};
  os::TempDir dir_ = os::TempDir::create("buoy-init").value();
  os::Pidfd init_;
  std::unique_ptr<ContainerProcess> process_;
  std::string out_, err_;
  std::optional<int> exit_, gone_;
};

TEST_F(ContainerProcessTest, RunsTheCommandWithItsEnvironmentAndOutput) {
  begin("echo $FROM_IMAGE $BOTH $OURS; echo wrong >&2; exit 7", {"BOTH=job", "OURS=a b"});
  ASSERT_TRUE(untilGone());
  EXPECT_EQ(out_, "yes job a b\n");
  EXPECT_EQ(err_, "wrong\n");
  EXPECT_EQ(exit_, 7);
  EXPECT_EQ(gone_, 7);
  EXPECT_EQ(process_->explanation(), "");
}

TEST_F(ContainerProcessTest, SaysWhatCannotBeRun) {
  begin("exec /nonexistent/program");
  ASSERT_TRUE(untilGone());
  EXPECT_EQ(exit_, 127);
}

TEST_F(ContainerProcessTest, PassesLargeOutputWhole) {
  begin("seq 1 200000");
  process_->pauseOutput(true);
  process_->pauseOutput(false);
  ASSERT_TRUE(untilGone());
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 200000);
}

TEST_F(ContainerProcessTest, SignalsTheWholeGroup) {
  begin(
      "trap 'echo shell' TERM; sh -c 'trap \"echo child; exit 0\" TERM; echo ready; while :; do sleep 0.05; "
      "done'");
  ASSERT_TRUE(until([&] { return out_.find("ready") != std::string::npos; }));
  process_->signal(SIGTERM);
  ASSERT_TRUE(untilGone());
  EXPECT_THAT(out_, HasSubstr("child"));
  EXPECT_THAT(out_, HasSubstr("shell"));
}

TEST_F(ContainerProcessTest, KnowsWhoHasAHandlerAndTellsNobodyElse) {
  begin(
      "sh -c 'trap \"echo saved\" USR1; echo ready; while [ ! -e stop ]; do sleep 0.05; done'; echo "
      "survived");
  ASSERT_TRUE(until([&] { return process_->catches(SIGUSR1); }));
  EXPECT_FALSE(process_->catches(SIGUSR2));
  process_->signalCatchers(SIGUSR1);
  ASSERT_TRUE(until([&] { return out_.find("saved") != std::string::npos; }));
  std::ofstream(dir_.path() + "/stop") << "";
  ASSERT_TRUE(untilGone());
  EXPECT_THAT(out_, HasSubstr("survived"));
}

TEST_F(ContainerProcessTest, KillsWhateverWasLeftRunning) {
  begin("(trap '' TERM; setsid sleep 1000 &) ; exit 0");
  ASSERT_TRUE(until([&] { return exit_.has_value(); }));
  EXPECT_FALSE(gone_);
  process_->killAll();
  ASSERT_TRUE(untilGone());
}

TEST_F(ContainerProcessTest, EndsWithItsAgent) {
  begin("trap '' TERM HUP; echo ready; while :; do sleep 0.05; done");
  ASSERT_TRUE(until([&] { return out_.find("ready") != std::string::npos; }));
  // TearDown closes the connection and waits.
}

TEST_F(ContainerProcessTest, IsGoneWhenTheContainerIs) {
  begin("echo ready; sleep 1000");
  ASSERT_TRUE(until([&] { return out_.find("ready") != std::string::npos; }));
  ASSERT_TRUE(init_.signal(SIGKILL));
  ASSERT_TRUE(untilGone());
  EXPECT_EQ(exit_, 137);
}

}  // namespace
}  // namespace buoy::agent
