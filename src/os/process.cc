#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>

#include "base/strings.h"
#include "os/files.h"

// The child runs in the parent's memory until it executes (CLONE_VM), so no allocation, no locks, no errno of
// libc's that matters later; and nothing that a sanitizer would record as if it belonged to the parent.
#define BUOY_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

// ThreadSanitizer takes every clone for a fork with memory of
// its own and stops watching the thread, and its interceptors of calls on descriptors would note the child's
// as the parent's: hence this name, and bare system calls in the child.
#ifdef __SANITIZE_THREAD__
extern "C" int __clone(int (*)(void*), void*, int, void*, ...) noexcept;
#define BUOY_CLONE ::__clone
#else
#define BUOY_CLONE ::clone
#endif

namespace buoy::os {
namespace {

constexpr std::size_t kStackSize = 64 * 1024;
constexpr int kExecFailed = 127;

// Everything that the child needs, laid out before the clone.
struct ChildPlan {
  const SpawnOptions* options = nullptr;
  std::vector<char*> argv, envp;
  std::vector<std::pair<int, int>> fds;  // moved out of the way of one another
  std::vector<rlimit> rlimits;
  cpu_set_t cpus{};
  sigset_t mask{};
  int parent_pidfd = -1;
  uid_t uid = 0;
  gid_t gid = 0;
  const char* failed_at = nullptr;  // written by the child
  int error = 0;
};

BUOY_IN_CHILD void resetSignalHandlers() {
  // By the bare system call: the libraries' own tables belong to the parent.
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } action = {};
  for (int number = 1; number <= 64; ++number) {
    if (number != SIGKILL && number != SIGSTOP)
      ::syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof action.mask);
  }
}

BUOY_IN_CHILD bool arrangeDescriptors(ChildPlan& plan) {
  int first_free = 3;
  for (const auto& [ours, theirs] : plan.fds) first_free = theirs >= first_free ? theirs + 1 : first_free;
  for (auto& entry : plan.fds) {
    const int moved = ::fcntl(entry.first, F_DUPFD_CLOEXEC, first_free);
    if (moved < 0) return false;
    entry.first = moved;
  }
  if (::syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) != 0) return false;
  const int opened = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0));
  if (opened < 0) return false;
  const int null = ::fcntl(opened, F_DUPFD_CLOEXEC, first_free);  // dup3 refuses a descriptor onto itself
  if (null < 0) return false;
  for (int standard = 0; standard < 3; ++standard) {
    if (::syscall(SYS_dup3, null, standard, 0) < 0) return false;
  }
  for (const auto& [ours, theirs] : plan.fds) {
    if (::syscall(SYS_dup3, ours, theirs, 0) < 0) return false;
  }
  return true;
}

BUOY_IN_CHILD bool parentIsGone(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  timespec at_once{};
  return ::syscall(SYS_ppoll, &entry, 1ul, &at_once, nullptr, 8ul) > 0;
}

BUOY_IN_CHILD const char* prepareChild(ChildPlan& plan) {
  const SpawnOptions& options = *plan.options;
  resetSignalHandlers();
  for (const int fd : options.cgroup_procs) {
    if (::syscall(SYS_write, fd, "0", 1ul) != 1) return "enter the cgroup";
  }
  if (const int error = setUpNamespace(options.namespaces, plan.uid, plan.gid); error != 0) {
    errno = error;
    return "set up the namespace";
  }
  if (options.new_session && ::setsid() < 0) return "start a session";
  if (options.adopts_orphans && ::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return "adopt orphans";
  if (!options.cpus.empty() && ::sched_setaffinity(0, sizeof plan.cpus, &plan.cpus) != 0)
    return "set the CPU affinity";
  for (std::size_t i = 0; i < plan.rlimits.size(); ++i) {
    if (::syscall(SYS_prlimit64, 0, options.rlimits[i].first, &plan.rlimits[i], nullptr) != 0)
      return "set a limit";
  }
  if (options.parent_death_signal != 0) {
    if (::prctl(PR_SET_PDEATHSIG, options.parent_death_signal) != 0) return "tie the process to its parent";
    errno = ESRCH;
    if (parentIsGone(plan.parent_pidfd)) return "find the parent";
  }
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) return "enter the directory";
  if (!arrangeDescriptors(plan)) return "arrange the descriptors";
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &plan.mask, nullptr, 8ul);
  ::execve(plan.argv[0], plan.argv.data(), plan.envp.data());
  return "execute";
}

BUOY_IN_CHILD int childMain(void* argument) {
  auto& plan = *static_cast<ChildPlan*>(argument);
  plan.failed_at = prepareChild(plan);
  plan.error = errno;
  ::syscall(SYS_exit_group, kExecFailed);
  return kExecFailed;
}

BUOY_IN_CHILD int exitAtOnce(void* argument) {
  const auto& plan = *static_cast<ChildPlan*>(argument);
  const int error = setUpNamespace(plan.options->namespaces, plan.uid, plan.gid);
  ::syscall(SYS_exit_group, error);
  return error;
}

// Blocks every signal of the calling thread: a handler must not run in the child, which shares this memory.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

struct Cloned {
  pid_t pid = -1;
  Fd pidfd;
  int error = 0;
};

Cloned cloneAndWaitForExec(int (*function)(void*), ChildPlan& plan) {
  const auto stack = std::make_unique_for_overwrite<char[]>(kStackSize);
  auto top = reinterpret_cast<std::uintptr_t>(stack.get() + kStackSize);
  top &= ~std::uintptr_t{15};
  const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD | cloneFlags(plan.options->namespaces);
  AllSignalsBlocked blocked;
  Cloned result;
  int pidfd = -1;
  result.pid = BUOY_CLONE(function, reinterpret_cast<void*>(top), flags, &plan, &pidfd);
  result.error = result.pid < 0 ? errno : 0;
  if (result.pid >= 0) result.pidfd = Fd(pidfd);
  return result;
}

// The child has ended without executing anything: collects it and how it ended.
int collect(const Cloned& child) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(child.pidfd.get()), &info, WEXITED) != 0 && errno == EINTR) {
  }
  return info.si_status;
}

std::vector<char*> pointersTo(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

ChildPlan planFor(const SpawnOptions& options) {
  ChildPlan plan;
  plan.options = &options;
  plan.argv = pointersTo(options.command);
  plan.envp = pointersTo(options.environment);
  plan.fds = options.fds;
  for (const auto& [resource, limit] : options.rlimits) plan.rlimits.push_back(rlimit{limit, limit});
  CPU_ZERO(&plan.cpus);
  for (const int cpu : options.cpus) CPU_SET(static_cast<std::size_t>(cpu), &plan.cpus);
  ::sigemptyset(&plan.mask);
  for (const int number : options.blocked_signals) ::sigaddset(&plan.mask, number);
  plan.uid = ::geteuid();
  plan.gid = ::getegid();
  return plan;
}

}  // namespace

Result<Spawned> spawn(const SpawnOptions& options) {
  BUOY_CHECK(!options.command.empty());
  ChildPlan plan = planFor(options);
  Pidfd parent;
  if (options.parent_death_signal != 0) {
    BUOY_TRY(parent, Pidfd::open(::getpid()));
    plan.parent_pidfd = parent.fd();
  }
  Cloned child = cloneAndWaitForExec(childMain, plan);
  if (child.error != 0) return failErrno(child.error, "start " + options.command[0]);
  if (plan.failed_at != nullptr) {
    collect(child);
    return failErrno(plan.error, strCat({"start ", options.command[0], ": ", plan.failed_at}));
  }
  return Spawned{child.pid, Pidfd(std::move(child.pidfd))};
}

int probeNamespace(NamespaceMode mode) {
  SpawnOptions options;
  options.namespaces = mode;
  ChildPlan plan = planFor(options);
  const Cloned child = cloneAndWaitForExec(exitAtOnce, plan);
  return child.error != 0 ? child.error : collect(child);
}

}  // namespace buoy::os
