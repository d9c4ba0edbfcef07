#include "cloud/local/local_provider.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <optional>

#include "base/strings.h"
#include "base/synchronized.h"
#include "cloud/local/machine_dir.h"
#include "os/files.h"
#include "os/pidfd.h"
#include "os/process_table.h"
#include "os/system_clock.h"

namespace buoy::cloud::local {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr Duration kPatience = 60s;  // only so that a broken test ends

// The sink of a provider; the test waits for what should come.
class Events {
 public:
  Provider::EventSink sink() {
    return [this](engine::Event event) {
      events_.lock()->push_back(std::move(event));
      changed_.notify_all();
    };
  }
  // Removes and returns the next event of this kind about the machine.
  template <class Event>
  std::optional<Event> wait(MachineId machine) {
    auto events = events_.lock();
    std::optional<Event> found;
    changed_.wait_for(events.mutexLock(), kPatience, [&] {
      const auto match = std::find_if(events->begin(), events->end(), [&](const engine::Event& event) {
        const auto* candidate = std::get_if<Event>(&event);
        return candidate != nullptr && candidate->machine == machine;
      });
      if (match == events->end()) return false;
      found = std::get<Event>(std::move(*match));
      events->erase(match);
      return true;
    });
    return found;
  }
  std::size_t count() { return events_.lock()->size(); }

 private:
  Synchronized<std::vector<engine::Event>> events_;
  std::condition_variable changed_;
};

std::string besideThisProgram(const std::string& name) {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string self(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  return self.substr(0, self.find_last_of('/') + 1) + name;
}

// Processes with this word among their arguments, wherever they are.
std::vector<pid_t> processesNamed(const std::string& word) {
  std::vector<pid_t> found;
  DIR* proc = ::opendir("/proc");
  while (const dirent* entry = ::readdir(proc)) {
    const auto text = os::readFile(std::string("/proc/") + entry->d_name + "/cmdline", 1u << 20);
    if (!text || text->find(word) == std::string::npos) continue;
    found.push_back(static_cast<pid_t>(std::stol(entry->d_name)));
  }
  ::closedir(proc);
  return found;
}

LocalCapabilities sessionOnly() {
  LocalCapabilities capabilities = detectLocalCapabilities();
  capabilities.pid_namespace = false;
  capabilities.isolation = Isolation::session;
  return capabilities;
}

class LocalProviderTest : public testing::Test {
 protected:
  LocalProviderTest() : dir_(*os::TempDir::create("buoy-local-")), fifo_path_(dir_.path() + "/fifo") {
    BUOY_CHECK(::mkfifo(fifo_path_.c_str(), 0600) == 0);
    fifo_ = *os::openFile(fifo_path_, O_RDWR | O_NONBLOCK);
    start();
  }
  ~LocalProviderTest() override {
    provider_.reset();
    // Whatever a failed test has left; a good one leaves nothing.
    const std::string state = dir_.path();
    std::vector<pid_t> left = processesNamed(state);
    EXPECT_THAT(left, IsEmpty());
    for (const pid_t pid : left) {
      if (pid != ::getpid()) ::kill(pid, SIGKILL);
    }
  }

  virtual std::string agent() { return besideThisProgram("cloud_test_machine"); }
  virtual LocalCapabilities capabilities() { return detectLocalCapabilities(); }
  void start(const std::string& cluster = "test") {
    LocalOptions options{.state_dir = dir_.path(),
                         .agent_path = agent(),
                         .clock = clock_,
                         .cluster = cluster,
                         .capabilities = capabilities()};
    provider_ = makeLocalProvider(std::move(options), events_.sink());
  }

  // The agent is this script; $OUT is the pipe that readLine reads.
  LaunchRequest request(MachineId machine, const std::string& script) {
    LaunchRequest request;
    request.machine = machine;
    request.pool = "local";
    request.type.name = "small";
    request.agent_config = "OUT=" + fifo_path_ + "\n" + script;
    return request;
  }
  void launch(MachineId machine, const std::string& script) {
    provider_->launch(request(machine, script));
    ASSERT_TRUE(events_.wait<engine::LaunchSucceeded>(machine));
  }
  // Launches an agent that says "up" and stays, and waits for it.
  void launchIdle(MachineId machine) {
    launch(machine, "echo up > $OUT\nexec sleep 1000\n");
    ASSERT_EQ(readLine(), "up");
  }
  std::string readLine() {
    while (buffer_.find('\n') == std::string::npos) {
      pollfd entry{fifo_.get(), POLLIN, 0};
      if (::poll(&entry, 1, static_cast<int>(kPatience / 1ms)) <= 0) return "nothing came";
      char chunk[4096];
      const ssize_t n = ::read(fifo_.get(), chunk, sizeof chunk);
      if (n > 0) buffer_.append(chunk, static_cast<std::size_t>(n));
    }
    const auto end = buffer_.find('\n');
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return line;
  }
  engine::MachineGone waitGone(MachineId machine) {
    auto gone = events_.wait<engine::MachineGone>(machine);
    EXPECT_TRUE(gone) << "no MachineGone";
    return gone.value_or(engine::MachineGone{});
  }
  void expectNothingLeft(MachineId machine) {
    EXPECT_THAT(os::processesWithEnvironment("BUOY_MACHINE=test/" + machine.toString()), IsEmpty());
    EXPECT_NE(::access(machineDir(machine).path().c_str(), F_OK), 0) << "the directory is gone";
    for (const std::string& parent :
         {capabilities().cgroups.cpu_parent, capabilities().cgroups.memory_parent}) {
      if (parent.empty()) continue;
      EXPECT_NE(::access((parent + "/buoy-test-" + machine.toString()).c_str(), F_OK), 0)
          << "the cgroup is gone";
    }
  }
  MachineDir machineDir(MachineId machine) const { return MachineDir::of(dir_.path(), machine); }
  os::Pidfd host(MachineId machine) {
    return *os::Pidfd::open(*os::ProcessIdentity::parse(*os::readFile(machineDir(machine).hostPid())));
  }

  os::SystemClock clock_;
  os::TempDir dir_;
  std::string fifo_path_;
  os::Fd fifo_;
  std::string buffer_;
  Events events_;
  std::unique_ptr<Provider> provider_;
};

// What must hold however machines are shut in.
class IsolationTest : public LocalProviderTest, public testing::WithParamInterface<bool> {
 protected:
  IsolationTest() {
    provider_.reset();
    start();  // again, now that capabilities() is this class's
  }
  LocalCapabilities capabilities() override { return GetParam() ? detectLocalCapabilities() : sessionOnly(); }
};
INSTANTIATE_TEST_SUITE_P(, IsolationTest, testing::Values(true, false),
                         [](const auto& mode) { return mode.param ? "Best" : "Session"; });

TEST_P(IsolationTest, TerminateEndsTheMachineAndAllItsProcesses) {
  const MachineId machine{7};
  const std::string name = dir_.path() + "-daemon";
  launch(machine, "env -i setsid bash -c 'exec -a " + name + " sleep 1000' &\nwhile ! grep -aqs ^" + name +
                      " /proc/$!/cmdline; do :; done\necho up > $OUT\nsleep 1000 & wait\n");
  ASSERT_EQ(readLine(), "up");
  EXPECT_THAT(processesNamed(name), Not(IsEmpty()));
  provider_->terminate(machine);
  const auto gone = waitGone(machine);
  EXPECT_EQ(gone.reason, engine::GoneReason::terminated) << gone.detail;
  EXPECT_THAT(processesNamed(name), IsEmpty());
  expectNothingLeft(machine);
}

TEST_P(IsolationTest, ADaemonThatLeftItsParentDiesWithTheMachine) {
  const MachineId machine{1};
  const std::string name = dir_.path() + "-daemon";
  // The middle shell ends before the daemon says that it is there.
  launch(machine,
         "env -i OUT=$OUT setsid bash -c '( while kill -0 '$$' && [ \"$(ps -o ppid= -p $BASHPID)\" = $$ ]; "
         "do :; done; "
         "echo up > $OUT; exec -a " +
             name + " sleep 1000 ) & exit'\nsleep 1000 & wait\n");
  ASSERT_EQ(readLine(), "up");
  provider_->reclaim(machine, Duration{});
  EXPECT_EQ(waitGone(machine).reason, engine::GoneReason::reclaimed);
  EXPECT_THAT(processesNamed(name), IsEmpty());
  expectNothingLeft(machine);
}

TEST_P(IsolationTest, AKilledHostTakesItsMachineAlong) {
  const MachineId machine{2};
  launch(machine, "sleep 1000 &\nsetsid sleep 1000 &\necho up > $OUT\nwait\n");
  ASSERT_EQ(readLine(), "up");
  ASSERT_TRUE(host(machine).signal(SIGKILL));
  const auto gone = waitGone(machine);
  EXPECT_EQ(gone.reason, engine::GoneReason::vanished);
  EXPECT_THAT(gone.detail, HasSubstr("signal 9"));
  expectNothingLeft(machine);
}

TEST_P(IsolationTest, AKilledAgentIsAVanishedMachine) {
  const MachineId machine{3};
  launch(machine, "sleep 1000 &\necho up > $OUT\nwait\n");
  ASSERT_EQ(readLine(), "up");
  // The host writes down who the agent is after it has started it.
  std::optional<os::ProcessIdentity> agent;
  while (!agent) {
    const auto text = os::readFile(machineDir(machine).host());
    if (text) agent = os::ProcessIdentity::parse(parseHostRecord(*text)->agent);
  }
  ASSERT_TRUE(os::Pidfd::open(*agent)->signal(SIGKILL));
  const auto gone = waitGone(machine);
  EXPECT_EQ(gone.reason, engine::GoneReason::vanished);
  EXPECT_THAT(gone.detail, HasSubstr("its agent ended with signal 9"));
  expectNothingLeft(machine);
}

TEST_P(IsolationTest, ARemovedDirectoryIsAVanishedMachine) {
  const MachineId machine{4};
  launchIdle(machine);
  // The host may write a file there meanwhile; who removes the directory by hand would do it again.
  while (!os::removeTree(machineDir(machine).path())) {
  }
  const auto gone = waitGone(machine);
  EXPECT_EQ(gone.reason, engine::GoneReason::vanished);
  EXPECT_THAT(gone.detail, HasSubstr("directory was removed"));
  expectNothingLeft(machine);
}

TEST_P(IsolationTest, TheAgentSeesOnlyWhatAMachineShouldHave) {
  const MachineId machine{5};
  ::setenv("BUOY_TOKEN", "secret", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  launch(machine, "env > env.txt\necho $PWD > $OUT\nexec sleep 1000\n");
  ::unsetenv("BUOY_TOKEN");
  ::unsetenv("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(readLine(), machineDir(machine).path()) << "it starts in its directory";
  const auto environment = *os::readFile(machineDir(machine).path() + "/env.txt");
  EXPECT_THAT(environment, HasSubstr("BUOY_MACHINE=test/m5"));
  EXPECT_THAT(environment, HasSubstr("PATH="));
  EXPECT_THAT(environment, Not(HasSubstr("secret")));
  provider_->terminate(machine);
  waitGone(machine);
}

TEST_P(IsolationTest, ATerminationRightAfterTheLaunchIsNotLost) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    const MachineId machine{i};
    launch(machine, "exec sleep 1000\n");
    provider_->terminate(machine);
    const auto gone = waitGone(machine);
    EXPECT_EQ(gone.reason, engine::GoneReason::terminated) << gone.detail;
    expectNothingLeft(machine);
  }
}

TEST_F(LocalProviderTest, LaunchingAgainReturnsTheMachineThatExists) {
  const MachineId machine{7};
  const std::string script = "echo up >> " + dir_.path() + "/starts\necho up > $OUT\nexec sleep 1000\n";
  launch(machine, script);
  ASSERT_EQ(readLine(), "up");
  launch(machine, script);
  provider_.reset();
  start();
  launch(machine, script);  // by another control plane, too
  provider_->terminate(machine);
  EXPECT_EQ(waitGone(machine).reason, engine::GoneReason::terminated);
  EXPECT_EQ(*os::readFile(dir_.path() + "/starts"), "up\n");
}

TEST_F(LocalProviderTest, AReclaimWithNoticeTellsTheAgentItsDeadline) {
  const MachineId machine{1};
  launch(machine,
         "echo up > $OUT\nwhile ! [ -e notice.json ]; do :; done\ncat notice.json > $OUT\nexec sleep 1000\n");
  ASSERT_EQ(readLine(), "up");
  const Time before = clock_.now();
  provider_->reclaim(machine, 300ms);
  const std::string notice = readLine();
  EXPECT_THAT(notice, HasSubstr("deadline"));
  const auto colon = notice.find(":\"");
  const auto deadline = parseTime(notice.substr(colon + 2, notice.rfind('"') - colon - 2));
  ASSERT_TRUE(deadline) << notice;
  EXPECT_GE(*deadline, before + 298ms);
  const auto gone = waitGone(machine);
  EXPECT_EQ(gone.reason, engine::GoneReason::reclaimed);
  EXPECT_THAT(gone.detail, HasSubstr("after a notice of"));
  EXPECT_GE(clock_.now() + 2ms, *deadline) << "not before its time";
  expectNothingLeft(machine);
}

TEST_F(LocalProviderTest, AReclaimWithoutNoticeOvertakesALongNotice) {
  const MachineId machine{1};
  launch(machine,
         "echo up > $OUT\nwhile ! [ -e notice.json ]; do :; done\necho told > $OUT\nexec sleep 1000\n");
  ASSERT_EQ(readLine(), "up");
  provider_->reclaim(machine, 1h);
  ASSERT_EQ(readLine(), "told");
  provider_->reclaim(machine, Duration{});
  EXPECT_EQ(waitGone(machine).reason, engine::GoneReason::reclaimed);
}

TEST_F(LocalProviderTest, AnAgentThatShutsDownBeforeTheDeadlineReleasesItsMachine) {
  const MachineId machine{1};
  launch(machine, "echo up > $OUT\nwhile ! [ -e notice.json ]; do :; done\nexit 0\n");
  ASSERT_EQ(readLine(), "up");
  provider_->reclaim(machine, 1h);
  EXPECT_EQ(waitGone(machine).reason, engine::GoneReason::terminated);
  expectNothingLeft(machine);
}

TEST_F(LocalProviderTest, AnAgentThatFailsIsAVanishedMachine) {
  launch(MachineId{1}, "exit 3\n");
  const auto gone = waitGone(MachineId{1});
  EXPECT_EQ(gone.reason, engine::GoneReason::vanished);
  EXPECT_THAT(gone.detail, HasSubstr("exit code 3"));
}

TEST_F(LocalProviderTest, TheMarketTakesMachinesWhileNoProviderLives) {
  const MachineId machine{1};
  auto wanted = request(machine, "echo up > $OUT\nexec sleep 1000\n");
  wanted.provider_config = R"({"script": [{"after": 0.2}]})";
  provider_->launch(wanted);
  ASSERT_EQ(readLine(), "up");
  const os::Pidfd watched = host(machine);
  provider_.reset();
  ASSERT_TRUE(watched.waitEnded(kPatience));
  start();
  const auto listed = provider_->list({});
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_FALSE(listed->front().alive);
  const auto gone = waitGone(machine);
  EXPECT_EQ(gone.reason, engine::GoneReason::reclaimed);
  EXPECT_THAT(gone.detail, HasSubstr("market"));
  expectNothingLeft(machine);
}

TEST_F(LocalProviderTest, AnotherProviderFindsTheMachinesAndWatchesThem) {
  launchIdle(MachineId{1});
  launchIdle(MachineId{2});
  provider_.reset();
  start();
  const auto listed = provider_->list({});
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->size(), 2u);
  ASSERT_TRUE(host(MachineId{1}).signal(SIGKILL));
  EXPECT_EQ(waitGone(MachineId{1}).reason, engine::GoneReason::vanished);
  provider_->terminate(MachineId{2});
  EXPECT_EQ(waitGone(MachineId{2}).reason, engine::GoneReason::terminated);
  EXPECT_THAT(*provider_->list({}), IsEmpty());
}

TEST_F(LocalProviderTest, MachinesOfAnotherClusterAreNotListed) {
  launchIdle(MachineId{1});
  provider_.reset();
  start("other");
  EXPECT_THAT(*provider_->list({}), IsEmpty());
  provider_.reset();
  start();
  EXPECT_EQ(provider_->list({})->size(), 1u);
  provider_->terminate(MachineId{1});
  waitGone(MachineId{1});
}

TEST_F(LocalProviderTest, ALaunchThatNeverCameToAnythingIsClearedAway) {
  ASSERT_TRUE(os::makeDirectories(machineDir(MachineId{9}).path()));
  EXPECT_THAT(*provider_->list({}), IsEmpty());
  EXPECT_NE(::access(machineDir(MachineId{9}).path().c_str(), F_OK), 0);
  EXPECT_EQ(events_.count(), 0u);
}

TEST_F(LocalProviderTest, APidThatBelongsToAnotherProcessNowIsLeftAlone) {
  const MachineId machine{1};
  launchIdle(machine);
  provider_.reset();
  auto watched = host(machine);
  ASSERT_TRUE(watched.signal(SIGKILL));
  ASSERT_TRUE(watched.waitEnded(kPatience));
  (void)watched.reap();
  // The host's number has been given to this very test.
  auto reused = *os::identify(::getpid());
  reused.start_ticks += 1;
  ASSERT_TRUE(replaceFile(machineDir(machine).hostPid(), reused.toString()));
  HostRecord record;
  record.agent = reused.toString();
  ASSERT_TRUE(replaceFile(machineDir(machine).host(), toJson(record)));
  start();
  provider_->terminate(machine);
  EXPECT_TRUE(waitGone(machine).machine);
  expectNothingLeft(machine);
}

TEST_F(LocalProviderTest, QueriesAreAnsweredByWhatIsTrue) {
  provider_->query(MachineId{1});
  EXPECT_EQ(waitGone(MachineId{1}).reason, engine::GoneReason::vanished);
  provider_->terminate(MachineId{1});
  EXPECT_EQ(waitGone(MachineId{1}).reason, engine::GoneReason::terminated) << "it never existed";
  launchIdle(MachineId{2});
  provider_->query(MachineId{2});
  EXPECT_TRUE(events_.wait<engine::MachineAlive>(MachineId{2}));
  provider_->terminate(MachineId{2});
  waitGone(MachineId{2});
}

TEST_F(LocalProviderTest, AMissingAgentIsAFailedLaunchThatLeavesNothing) {
  LocalOptions options{
      .state_dir = dir_.path(), .agent_path = "/nonexistent/agent", .clock = clock_, .cluster = "test"};
  const auto provider = makeLocalProvider(std::move(options), events_.sink());
  provider->launch(request(MachineId{1}, ""));
  const auto failed = events_.wait<engine::LaunchFailed>(MachineId{1});
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error, engine::LaunchError::invalid);
  EXPECT_THAT(failed->message, HasSubstr("/nonexistent/agent"));
  expectNothingLeft(MachineId{1});
}

TEST_F(LocalProviderTest, AFullMarketIsACapacityError) {
  ASSERT_TRUE(os::writeFileAtomic(dir_.path() + "/trace.json",
                                  R"({"metadata": {"gap_seconds": 1000}, "data": [0]})"));
  auto wanted = request(MachineId{1}, "exec sleep 1000\n");
  wanted.provider_config = R"({"trace": ")" + dir_.path() + R"(/trace.json"})";
  provider_->launch(wanted);
  const auto failed = events_.wait<engine::LaunchFailed>(MachineId{1});
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->error, engine::LaunchError::capacity);
}

TEST_F(LocalProviderTest, ATraceTakesTheNewestMachine) {
  ASSERT_TRUE(os::writeFileAtomic(
      dir_.path() + "/trace.json",
      R"({"metadata": {"gap_seconds": 0.5}, "data": [2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], "prices": )"
      R"([0.5, 0.25, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]})"));
  for (const std::uint64_t id : {1u, 2u}) {
    auto wanted = request(MachineId{id}, "exec sleep 1000\n");
    wanted.provider_config = R"({"trace": ")" + dir_.path() + R"(/trace.json"})";
    provider_->launch(wanted);
    ASSERT_TRUE(events_.wait<engine::LaunchSucceeded>(MachineId{id}));
  }
  EXPECT_EQ(waitGone(MachineId{2}).reason, engine::GoneReason::reclaimed);
  provider_->terminate(MachineId{1});
  EXPECT_EQ(waitGone(MachineId{1}).reason, engine::GoneReason::terminated);
}

TEST_F(LocalProviderTest, LimitsByControlGroup) {
  const auto found = detectLocalCapabilities();
  if (!found.cgroups.memory() || !found.cgroups.cpu()) GTEST_SKIP() << found.cgroups.reason;
  auto wanted = request(MachineId{1}, "cat /proc/self/cgroup > $OUT\necho end > $OUT\nexec sleep 1000\n");
  wanted.type.resources.milli_cpus = 500;
  wanted.type.resources.memory = ByteCount{256ull << 20};
  provider_->launch(wanted);
  std::string groups;
  for (std::string line = readLine(); line != "end"; line = readLine()) groups += line + "\n";
  EXPECT_THAT(groups, HasSubstr("buoy-test-m1"));
  const std::string memory = found.cgroups.memory_parent + "/buoy-test-m1/" +
                             (found.cgroups.memory_v2 ? "memory.max" : "memory.limit_in_bytes");
  EXPECT_EQ(trim(*os::readFile(memory)), std::to_string(256ull << 20));
  const std::string cpu =
      found.cgroups.cpu_parent + "/buoy-test-m1/" + (found.cgroups.cpu_v2 ? "cpu.max" : "cpu.cfs_quota_us");
  EXPECT_THAT(*os::readFile(cpu), HasSubstr("50000"));
  provider_->terminate(MachineId{1});
  waitGone(MachineId{1});
  expectNothingLeft(MachineId{1});
}

class UnlimitedTest : public LocalProviderTest {
 protected:
  UnlimitedTest() {
    provider_.reset();
    start();
  }
  LocalCapabilities capabilities() override {
    LocalCapabilities found = detectLocalCapabilities();
    found.cgroups.cpu_parent = found.cgroups.memory_parent =
        "/nonexistent/cgroup";  // permitted once, it seemed
    return found;
  }
  // A sanitizer's memory does not fit under the limit: the agent is the shell itself.
  std::string agent() override {
    const std::string path = dir_.path() + "/agent";
    const std::string script = strCat(
        {"#!/bin/sh\n[ $1 = host ] && exec ", LocalProviderTest::agent(), " \"$@\"\nexec /bin/sh $3\n"});
    EXPECT_TRUE(os::writeFileAtomic(path, script, 0755));
    return path;
  }
};

TEST_F(UnlimitedTest, WithoutControlGroupsLimitsAreTheProcesses) {
  auto wanted = request(MachineId{1}, "ulimit -d > $OUT\nnproc > $OUT\nexec sleep 1000\n");
  wanted.type.resources.milli_cpus = 1000;
  wanted.type.resources.memory = ByteCount{256ull << 20};
  provider_->launch(wanted);
  EXPECT_EQ(readLine(), std::to_string(256 * 1024)) << "kibibytes of data";
  EXPECT_EQ(readLine(), "1");
  provider_->terminate(MachineId{1});
  waitGone(MachineId{1});
}

}  // namespace
}  // namespace buoy::cloud::local
