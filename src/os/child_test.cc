#include "os/child.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace buoy::os {
namespace {

ChildOptions shell(const std::string& command) {
  return ChildOptions{{"/bin/sh", "-c", command}, {"GREETING=hello", "PATH=/usr/bin:/bin"}, "/", false};
}

std::string readToEnd(int fd) {
  std::string text;
  char buffer[256];
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1) return text + " (timed out)";
    const ssize_t size = ::read(fd, buffer, sizeof buffer);
    if (size <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(size));
  }
}

int reap(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(Child, RunsInItsDirectoryWithExactlyItsEnvironment) {
  const Child child = *startChild(shell("pwd; echo $GREETING; echo lost >&2; env | wc -l; cat"));
  EXPECT_EQ(readToEnd(child.out.get()), "/\nhello\n3\n") << "GREETING, PATH, and the PWD that sh adds";
  EXPECT_EQ(readToEnd(child.err.get()), "lost\n");
  EXPECT_EQ(reap(child.pid), 0);
}

TEST(Child, InheritsNoDescriptorAndNoBlockedSignal) {
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  const int leaked = ::dup(STDERR_FILENO);
  const Child child = *startChild(shell("ls /proc/self/fd | wc -l; kill -TERM $$; echo survived"));
  EXPECT_EQ(readToEnd(child.out.get()), "4\n") << "0, 1, 2 and the one that ls opens";
  EXPECT_EQ(reap(child.pid), 128 + SIGTERM);
  ::close(leaked);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST(Child, AFailureToExecuteIsAnErrorAndLeavesNoProcess) {
  const auto child = startChild(ChildOptions{{"/nonexistent/program"}, {}, "/", false});
  ASSERT_FALSE(child);
  EXPECT_NE(child.error().message.find("/nonexistent/program"), std::string::npos);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Child, SignalsReachDescendantsInOtherSessions) {
  const Child child = *startChild(shell("setsid sleep 600 & echo started; wait"));
  char byte = 0;
  pollfd ready{child.out.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
  ASSERT_EQ(::read(child.out.get(), &byte, 1), 1);
  signalDescendants(SIGKILL);
  EXPECT_EQ(reap(child.pid), 128 + SIGKILL);
  readToEnd(child.out.get());  // ends only when the sleeper, which holds the other end, is gone too
}

}  // namespace
}  // namespace buoy::os
