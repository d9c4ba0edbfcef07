#include "os/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

#include "os/files.h"

namespace buoy::os {
namespace {

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> makePipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failErrno(errno, "make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

void resetSignals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// In the child, between fork and exec: only async-signal-safe calls. Returns only if something failed, with
// errno set.
void becomeProgram(const ChildOptions& options, char** argv, char** environment, int out, int err,
                   pid_t parent) {
  if (options.die_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return;
    if (::getppid() != parent) ::_exit(127);  // it died before the call
  }
  if (::setsid() < 0) return;
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) return;
  if (::dup2(out, STDOUT_FILENO) < 0 || ::dup2(err, STDERR_FILENO) < 0) return;
  // Descriptors that somebody forgot to mark: close on exec.
  ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, /*CLOSE_RANGE_CLOEXEC*/ 4u);
  if (::chdir(options.directory.c_str()) != 0) return;
  resetSignals();
  ::execve(argv[0], argv, environment);
}

}  // namespace

Result<Child> startChild(const ChildOptions& options) {
  BUOY_TRY(Pipe out, makePipe());
  BUOY_TRY(Pipe err, makePipe());
  BUOY_TRY(Pipe failure, makePipe());
  const std::vector<char*> argv = pointers(options.argv);
  const std::vector<char*> environment = pointers(options.environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return failErrno(errno, "start " + options.argv[0]);
  if (pid == 0) {
    becomeProgram(options, const_cast<char**>(argv.data()), const_cast<char**>(environment.data()),
                  out.write.get(), err.write.get(), parent);
    const int error = errno;
    (void)!::write(failure.write.get(), &error, sizeof error);
    ::_exit(127);
  }
  failure.write.reset();
  int error = 0;
  ssize_t size = 0;
  do size = ::read(failure.read.get(), &error, sizeof error);
  while (size < 0 && errno == EINTR);
  if (size == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    return failErrno(error, "start " + options.argv[0] + " in " + options.directory);
  }
  Child child;
  child.pid = pid;
  child.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd) {
    const int pidfd_error = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failErrno(pidfd_error, "watch the process");
  }
  ::fcntl(child.pidfd.get(), F_SETFD, FD_CLOEXEC);
  ::fcntl(out.read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(err.read.get(), F_SETFL, O_NONBLOCK);
  child.out = std::move(out.read);
  child.err = std::move(err.read);
  return child;
}

int exitCodeOf(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

namespace {

// Children of every thread of process `pid` ("self" or a number), as the kernel lists them.
std::vector<pid_t> childrenOf(const std::string& pid) {
  std::vector<pid_t> children;
  const std::string tasks = "/proc/" + pid + "/task";
  DIR* stream = ::opendir(tasks.c_str());
  if (stream == nullptr) return children;
  while (const dirent* entry = ::readdir(stream)) {
    if (entry->d_name[0] == '.') continue;
    const auto list = readFile(tasks + "/" + entry->d_name + "/children");
    if (!list) continue;
    const char* at = list->c_str();
    for (char* end = nullptr;; at = end) {
      const long child = std::strtol(at, &end, 10);
      if (end == at) break;
      children.push_back(static_cast<pid_t>(child));
    }
  }
  ::closedir(stream);
  return children;
}

}  // namespace

void signalDescendants(int signal) {
  if (::getpid() == 1) {
    ::kill(-1, signal);
    return;
  }
  std::vector<pid_t> found = childrenOf("self");
  for (std::size_t next = 0; next < found.size(); ++next) {
    const std::vector<pid_t> below = childrenOf(std::to_string(found[next]));
    found.insert(found.end(), below.begin(), below.end());
  }
  for (const pid_t pid : found) ::kill(pid, signal);
}

}  // namespace buoy::os
