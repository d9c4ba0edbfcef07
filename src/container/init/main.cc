// Process 1 of a job's container. Runs in any image, whatever is or is not in it: linked statically, and made
// of system calls and plain C functions only.
//
//   init DIRECTORY COMMAND [ARGUMENT …]
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "container/init/protocol.h"

namespace {

using namespace buoy::container;

constexpr int kLookEveryMs = 500;  // at what signals the job has handlers for
constexpr unsigned long kLongestEnvironment = 4ul << 20;
constexpr int kForwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};
constexpr int kKilledByAgentsEnd = 137;

struct Init {
  int agent = -1;
  int signals = -1;
  pid_t job = -1;  // its process group too
  bool exited = false;
  bool killing = false;
  int last_code = 0;
  std::uint64_t caught = 0;
  char line[256] = {};
  std::size_t length = 0;
};

[[noreturn]] void giveUp(const char* what) {
  const int error = errno;
  std::fprintf(stderr, "buoy: the container's init: %s: %s\n", what, std::strerror(error));
  ::_exit(125);
}

void tell(const Init& init, const char* text) {
  std::size_t done = 0;
  const std::size_t size = std::strlen(text);
  while (done < size) {
    const ssize_t sent = ::send(init.agent, text + done, size - done, MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return;
    if (sent > 0) done += static_cast<std::size_t>(sent);
  }
}

// Relative to the directory, whose path may be longer than the address of a socket.
int connectTo(const char* directory) {
  const int here = ::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kInitSocket, sizeof kInitSocket);
  if (fd < 0 || ::chdir(directory) != 0 ||
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    giveUp("cannot reach the agent");
  if (here >= 0 && ::fchdir(here) == 0) ::close(here);
  return fd;
}

// ---- processes

struct Process {
  pid_t parent = 0;
  std::uint64_t caught = 0;
};

bool readProcess(pid_t pid, Process& process) {
  char path[64];
  char text[4096];
  std::snprintf(path, sizeof path, "/proc/%d/status", static_cast<int>(pid));
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t size = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (size <= 0) return false;
  text[size] = '\0';
  const char* const parent = std::strstr(text, "\nPPid:");
  const char* const caught = std::strstr(text, "\nSigCgt:");
  if (parent != nullptr) process.parent = static_cast<pid_t>(std::strtol(parent + 6, nullptr, 10));
  if (caught != nullptr) process.caught = std::strtoull(caught + 8, nullptr, 16);
  return true;
}

// Whether `pid` descends from this process: always, where this is process 1.
bool isMine(pid_t pid, Process process) {
  if (::getpid() == 1) return true;
  for (int depth = 0; depth < 1000; ++depth) {
    if (process.parent == ::getpid()) return true;
    if (process.parent <= 1 || !readProcess(process.parent, process)) return false;
  }
  return pid == 0;
}

template <class Visit>
void forEachProcess(Visit visit) {
  DIR* const all = ::opendir("/proc");
  if (all == nullptr) return;
  while (const dirent* const entry = ::readdir(all)) {
    const auto pid = static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10));
    Process process;
    if (pid <= 0 || pid == ::getpid() || !readProcess(pid, process) || !isMine(pid, process)) continue;
    visit(pid, process);
  }
  ::closedir(all);
}

void killAll(Init& init) {
  init.killing = true;
  if (init.job > 0) ::kill(-init.job, SIGKILL);
  if (::getpid() == 1) {
    ::kill(-1, SIGKILL);
  } else {
    forEachProcess([](pid_t pid, const Process&) { ::kill(pid, SIGKILL); });
  }
}

void signalCatchers(int number) {
  const std::uint64_t bit = 1ull << (number - 1);
  forEachProcess([&](pid_t pid, const Process& process) {
    if ((process.caught & bit) != 0) ::kill(pid, number);
  });
}

void lookAtHandlers(Init& init) {
  std::uint64_t caught = 0;
  forEachProcess([&](pid_t, const Process& process) { caught |= process.caught; });
  if (caught == init.caught) return;
  init.caught = caught;
  char text[64];
  std::snprintf(text, sizeof text, "caught %llx\n", static_cast<unsigned long long>(caught));
  tell(init, text);
}

// By control groups of version 2 and 1, as a container sees its own.
unsigned long killedForMemory() {
  for (const char* path : {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}) {
    char text[1024];
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    const ssize_t size = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    if (size <= 0) continue;
    text[size] = '\0';
    const char* const found = std::strstr(text, "oom_kill ");
    if (found != nullptr) return std::strtoul(found + 9, nullptr, 10);
  }
  return 0;
}

void reportEnd(Init& init) {
  char text[96];
  std::snprintf(text, sizeof text, "gone %d %lu\n", init.last_code, killedForMemory());
  tell(init, text);
  ::_exit(init.last_code & 255);
}

void reap(Init& init) {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == ECHILD && init.job > 0) reportEnd(init);
    if (pid <= 0) {
      // What a dying process forked in its last moment.
      if (pid == 0 && init.killing) killAll(init);
      return;
    }
    init.last_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (pid != init.job || init.exited) continue;
    init.exited = true;
    char text[32];
    std::snprintf(text, sizeof text, "exit %d\n", init.last_code);
    tell(init, text);
  }
}

// ---- what the agent says

bool readExactly(int fd, char* into, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::recv(fd, into, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

// "run SIZE\n" with stdout and stderr. Signals wait meanwhile.
bool awaitRun(int agent, int (&output)[2], char*& environment, std::size_t& size) {
  char line[64];
  std::size_t length = 0;
  output[0] = output[1] = -1;
  for (;;) {
    char byte = 0;
    iovec part = {&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof output)] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(agent, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof output))
      std::memcpy(output, CMSG_DATA(header), sizeof output);
    if (byte == '\n') break;
    if (length + 1 < sizeof line) line[length++] = byte;
  }
  line[length] = '\0';
  if (std::strncmp(line, "run ", 4) != 0 || output[0] < 0) return false;
  size = std::strtoul(line + 4, nullptr, 10);
  if (size > kLongestEnvironment) return false;
  environment = static_cast<char*>(std::malloc(size + 1));
  if (environment == nullptr || !readExactly(agent, environment, size)) return false;
  environment[size] = '\0';
  return true;
}

[[noreturn]] void runJob(const int (&output)[2], char* environment, std::size_t size, char** command) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  const int empty = ::open("/dev/null", O_RDONLY);
  ::dup2(empty, 0);
  ::dup2(output[0], 1);
  ::dup2(output[1], 2);
  if (empty > 2) ::close(empty);
  for (std::size_t at = 0; at < size; at += std::strlen(environment + at) + 1) ::putenv(environment + at);
  ::execvp(command[0], command);
  const int error = errno;
  std::fprintf(stderr, "buoy: cannot run %s in the container: %s\n", command[0], std::strerror(error));
  ::_exit(error == ENOENT ? 127 : 126);
}

void obey(Init& init, const char* line) {
  const bool to_group = std::strncmp(line, "signal ", 7) == 0;
  const bool to_catchers = std::strncmp(line, "catchers ", 9) == 0;
  if (std::strcmp(line, "kill") == 0) return killAll(init);
  if (!to_group && !to_catchers) return;
  const int number = std::atoi(line + (to_group ? 7 : 9));
  if (number < 1 || number > 64) return;
  if (to_catchers) return signalCatchers(number);
  ::kill(-init.job, number);
}

void listenTo(Init& init) {
  char bytes[256];
  const ssize_t got = ::recv(init.agent, bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    killAll(init);
    ::_exit(kKilledByAgentsEnd);
  }
  for (ssize_t i = 0; i < got; ++i) {
    if (bytes[i] == '\n') {
      init.line[init.length] = '\0';
      init.length = 0;
      obey(init, init.line);
    } else if (init.length + 1 < sizeof init.line) {
      init.line[init.length++] = bytes[i];
    }
  }
}

void takeSignals(Init& init) {
  signalfd_siginfo info;
  while (::read(init.signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo != SIGCHLD) ::kill(-init.job, static_cast<int>(info.ssi_signo));
  }
  reap(init);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) {
    std::fprintf(stderr, "usage: init DIRECTORY COMMAND [ARGUMENT ...]\n");
    return 2;
  }
  Init init;
  sigset_t watched;
  ::sigemptyset(&watched);
  ::sigaddset(&watched, SIGCHLD);
  for (const int number : kForwarded) ::sigaddset(&watched, number);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (::getpid() != 1) ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  init.signals = ::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
  init.agent = connectTo(arguments[1]);
  int output[2];
  char* environment = nullptr;
  std::size_t size = 0;
  if (!awaitRun(init.agent, output, environment, size)) return kKilledByAgentsEnd;
  int running[2];  // closed at the other end when the command runs, or could not
  if (::pipe2(running, O_CLOEXEC) != 0) giveUp("cannot make a pipe");
  init.job = ::fork();
  if (init.job < 0) giveUp("cannot make a process");
  if (init.job == 0) runJob(output, environment, size, arguments + 2);
  ::close(running[1]);
  char nothing = 0;
  while (::read(running[0], &nothing, 1) < 0 && errno == EINTR) {
  }
  ::close(running[0]);
  std::free(environment);
  ::close(output[0]);
  ::close(output[1]);
  for (;;) {
    pollfd waiting[2] = {{init.agent, POLLIN, 0}, {init.signals, POLLIN, 0}};
    const int ready = ::poll(waiting, 2, kLookEveryMs);
    if (waiting[1].revents != 0) takeSignals(init);
    if (waiting[0].revents != 0) listenTo(init);
    if (ready == 0) {
      lookAtHandlers(init);
      if (init.killing) reap(init);
    }
  }
}
