#include "os/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/strings.h"
#include "os/files.h"
#include "os/process_table.h"

namespace buoy::os {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr Duration kPatience = 60s;

struct Output {
  ExitStatus status;
  std::string text;  // standard output
};

// Runs a command to its end with its output in a pipe.
Output run(SpawnOptions options) {
  int ends[2];
  BUOY_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  options.fds.emplace_back(writer.get(), 1);
  const auto child = spawn(options);
  if (!child) return {ExitStatus{-1}, child.error().message};
  writer.reset();
  Output output;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    output.text.append(buffer, static_cast<std::size_t>(n));
  }
  BUOY_CHECK(child->handle.waitEnded(kPatience));
  output.status = child->handle.reap().value_or(ExitStatus{-1});
  return output;
}

Output run(const std::string& script, SpawnOptions options = {}) {
  options.command = {"/bin/sh", "-c", script};
  return run(std::move(options));
}

// A child that stays until it is killed at the end of the test.
class Sleeper {
 public:
  explicit Sleeper(SpawnOptions options = {}) {
    options.command = {"/bin/sleep", "1000"};
    child_ = *spawn(options);
  }
  ~Sleeper() {
    (void)child_.handle.signal(SIGKILL);
    (void)child_.handle.waitEnded(kPatience);
    (void)child_.handle.reap();
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  const Spawned& operator*() const { return child_; }
  const Spawned* operator->() const { return &child_; }

 private:
  Spawned child_;
};

TEST(Spawn, TheChildGetsWhatIsNamedAndNothingElse) {
  const TempDir dir = *TempDir::create("buoy-process-");
  const Fd leak(::open("/dev/null", O_RDONLY));  // without close-on-exec, as a library may open it
  SpawnOptions options;
  options.environment = {"ONE=1", "PATH=/usr/bin:/bin"};
  options.directory = dir.path();
  const Output output = run("pwd; echo $ONE$HOME; cat; exec ls /proc/self/fd", options);
  EXPECT_EQ(output.status.code, 0);
  EXPECT_EQ(output.text, dir.path() + "\n1\n0\n1\n2\n3\n")
      << "three descriptors and that of ls, an empty input";
}

TEST(Spawn, DescriptorsAreMovedToTheirNumbersHoweverTheyOverlap) {
  const TempDir dir = *TempDir::create("buoy-process-");
  ASSERT_TRUE(writeFileAtomic(dir.path() + "/a", "a"));
  ASSERT_TRUE(writeFileAtomic(dir.path() + "/b", "b"));
  const Fd a = *openFile(dir.path() + "/a", O_RDONLY);
  const Fd b = *openFile(dir.path() + "/b", O_RDONLY);
  SpawnOptions options;
  options.fds = {{a.get(), b.get()}, {b.get(), a.get()}};
  const Output output =
      run("cat <&" + std::to_string(a.get()) + "; cat <&" + std::to_string(b.get()), options);
  EXPECT_EQ(output.text, "ba");
}

TEST(Spawn, SaysWhatKeptTheProgramFromRunningAndLeavesNothing) {
  SpawnOptions options;
  options.command = {"/nonexistent/program"};
  const auto missing = spawn(options);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr("/nonexistent/program: execute"));
  options.command = {"/bin/true"};
  options.directory = "/nonexistent";
  EXPECT_THAT(spawn(options).error().message, HasSubstr("enter the directory"));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST(Spawn, SignalsAreAtTheirDefaultsUnlessBlocked) {
  ::signal(SIGPIPE, SIG_IGN);
  SpawnOptions options;
  options.blocked_signals = {SIGUSR1};
  options.command = {"/bin/cat", "/proc/self/status"};
  const Output output = run(options);
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_THAT(output.text,
              HasSubstr("SigBlk:\t0000000000000200\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"));
}

TEST(Spawn, LimitsAndAffinityHoldForTheChildOnly) {
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  int cpu = 0;
  while (!CPU_ISSET(static_cast<std::size_t>(cpu), &set)) ++cpu;
  SpawnOptions options;
  options.rlimits = {{RLIMIT_NOFILE, 77}};
  options.cpus = {cpu};
  EXPECT_EQ(run("ulimit -n; /usr/bin/nproc", options).text, "77\n1\n");
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  EXPECT_NE(own.rlim_cur, 77u);
}

TEST(Spawn, AChildDiesWithTheThreadThatStartedIt) {
  Spawned child;
  std::thread([&] {
    SpawnOptions options;
    options.command = {"/bin/sleep", "1000"};
    options.parent_death_signal = SIGKILL;
    child = *spawn(options);
  }).join();
  EXPECT_TRUE(child.handle.waitEnded(kPatience));
  const auto status = child.handle.reap();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->toString(), "signal 9");
}

TEST(Spawn, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 25; ++i) {
        const std::string word = std::to_string(t * 100 + i);
        EXPECT_EQ(run("echo " + word).text, word + "\n");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class NamespaceTest : public testing::TestWithParam<NamespaceMode> {};
INSTANTIATE_TEST_SUITE_P(, NamespaceTest, testing::Values(NamespaceMode::pid, NamespaceMode::user_pid),
                         [](const auto& mode) {
                           return mode.param == NamespaceMode::pid ? "Pid" : "UserPid";
                         });

TEST_P(NamespaceTest, TheFirstProcessIsNumberOneAndTakesAllWithIt) {
  if (const int error = probeNamespace(GetParam()); error != 0)
    GTEST_SKIP() << "not permitted here: errno " << error;
  const std::string marker = "BUOY_TEST_MARKER=" + std::to_string(::getpid());
  SpawnOptions options;
  options.namespaces = GetParam();
  options.environment = {marker, "PATH=/usr/bin:/bin"};
  const Output output =
      run("echo $$; ls -d /proc/[0-9]* | wc -l; id -u; setsid sleep 1000 > /dev/null &", options);
  EXPECT_EQ(output.status.code, 0);
  const auto lines = split(trim(output.text), '\n');
  ASSERT_EQ(lines.size(), 3u) << output.text;
  EXPECT_EQ(lines[0], "1");
  EXPECT_EQ(lines[2], std::to_string(::geteuid())) << "the user stays who they are";
  EXPECT_THAT(processesWithEnvironment(marker), IsEmpty());
}

TEST(Namespaces, TheDetectedModeWorksAndSaysWhy) {
  const NamespaceSupport support = detectNamespaces();
  EXPECT_THAT(support.reason, Not(IsEmpty()));
  if (support.mode != NamespaceMode::none) {
    EXPECT_EQ(probeNamespace(support.mode), 0);
  }
}

TEST(ProcessIdentity, RoundTripsAndRefusesWhatIsNotOne) {
  const auto self = identify(::getpid());
  ASSERT_TRUE(self);
  EXPECT_EQ(self->pid, ::getpid());
  EXPECT_GT(self->start_ticks, 0u);
  EXPECT_EQ(ProcessIdentity::parse(self->toString() + "\n"), *self);
  for (const char* text : {"", "1", "1 2", "0 2 b", "-4 2 b", "x 2 b", "1 y b", "1 2 b c"}) {
    EXPECT_EQ(ProcessIdentity::parse(text), std::nullopt) << text;
  }
  EXPECT_EQ(identify(0x7fffffff).error().code, ErrorCode::not_found);
}

TEST(ProcessIdentity, ANameFullOfParenthesesIsReadThrough) {
  const TempDir dir = *TempDir::create("buoy-process-");
  const std::string program = dir.path() + "/) S 1 (x";
  ASSERT_TRUE(writeFileAtomic(program, *readFile("/bin/sleep"), 0755));
  SpawnOptions options;
  options.command = {program, "1000"};
  const auto child = spawn(options);
  ASSERT_TRUE(child);
  const auto own = identify(::getpid());
  const auto found = identify(child->pid);
  ASSERT_TRUE(found && own);
  EXPECT_GE(found->start_ticks, own->start_ticks);
  EXPECT_THAT(descendantsOf(::getpid()), Contains(child->pid));
  ASSERT_TRUE(child->handle.signal(SIGKILL));
  ASSERT_TRUE(child->handle.waitEnded(kPatience));
  EXPECT_TRUE(child->handle.reap());
}

TEST(Pidfd, OpensOnlyTheProcessThatIsMeant) {
  const Sleeper child;
  auto identity = *identify(child->pid);
  EXPECT_TRUE(Pidfd::open(identity));
  identity.start_ticks += 1;
  EXPECT_EQ(Pidfd::open(identity).error().code, ErrorCode::not_found);
  identity.start_ticks -= 1;
  identity.boot_id = "another boot";
  EXPECT_EQ(Pidfd::open(identity).error().code, ErrorCode::not_found);
}

TEST(Pidfd, ToldApartAliveEndedAndReaped) {
  SpawnOptions options;
  options.command = {"/bin/sh", "-c", "exit 3"};
  const auto child = spawn(options);
  ASSERT_TRUE(child && child->handle.waitEnded(kPatience));
  const auto status = child->handle.reap();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->toString(), "exit code 3");
  EXPECT_EQ(child->handle.reap(), std::nullopt);
  EXPECT_EQ(child->handle.signal(SIGTERM).error().code, ErrorCode::not_found);
  const Sleeper sleeper;
  EXPECT_FALSE(sleeper->handle.waitEnded(Duration{}));
  EXPECT_EQ(sleeper->handle.reap(), std::nullopt);
}

TEST(ProcessTable, FindsByEnvironmentAndByDescent) {
  const std::string marker = "BUOY_TEST_MARKER=" + std::to_string(::getpid()) + "-table";
  SpawnOptions options;
  options.environment = {"A=1", marker};
  const Sleeper child(options);
  EXPECT_THAT(processesWithEnvironment(marker), ElementsAre(child->pid));
  EXPECT_THAT(processesWithEnvironment(marker.substr(0, marker.size() - 1)), IsEmpty())
      << "only the whole entry";
  EXPECT_THAT(descendantsOf(::getpid()), Contains(child->pid));
  EXPECT_THAT(descendantsOf(child->pid), IsEmpty());
  EXPECT_THAT(descendantsOf(::getpid(), child->pid), Not(Contains(child->pid)));
}

TEST(ProcessTable, WhoAdoptsOrphansHasThemBelowItself) {
  const std::string marker = "BUOY_TEST_MARKER=" + std::to_string(::getpid()) + "-orphan";
  SpawnOptions options;
  options.environment = {marker, "PATH=/usr/bin:/bin"};
  options.adopts_orphans = true;
  options.command = {"/bin/sh", "-c", "sh -c 'setsid sleep 1000 & echo $!'; read -r forever"};
  int input[2], output[2];
  ASSERT_EQ(::pipe2(input, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(output, O_CLOEXEC), 0);
  const Fd keep_open(input[1]), in(input[0]), read_end(output[0]);
  Fd write_end(output[1]);
  options.fds = {{in.get(), 0}, {write_end.get(), 1}};
  const auto child = spawn(options);
  ASSERT_TRUE(child);
  write_end = {};
  char text[32] = {};
  ASSERT_GT(::read(read_end.get(), text, sizeof text - 1), 0);
  const pid_t orphan = std::atoi(text);
  EXPECT_THAT(descendantsOf(child->pid), Contains(orphan));
  EXPECT_TRUE(killAll([&] { return processesWithEnvironment(marker); }, kPatience));
  EXPECT_TRUE(child->handle.reap());
}

TEST(ProcessTable, KillAllGoesOnUntilNothingIsFound) {
  const std::string marker = "BUOY_TEST_MARKER=" + std::to_string(::getpid()) + "-kill";
  SpawnOptions options;
  options.environment = {marker, "PATH=/usr/bin:/bin"};
  options.new_session = true;
  options.command = {"/bin/sh", "-c", "for i in 1 2 3 4; do setsid sleep 1000 & done; wait"};
  const auto child = spawn(options);
  ASSERT_TRUE(child);
  EXPECT_TRUE(killAll([&] { return processesWithEnvironment(marker); }, kPatience));
  EXPECT_THAT(processesWithEnvironment(marker), IsEmpty());
  EXPECT_TRUE(child->handle.reap());
}

}  // namespace
}  // namespace buoy::os
