#include "os/pidfd.h"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "base/parse_number.h"
#include "base/strings.h"
#include "os/boot_id.h"
#include "os/files.h"

namespace buoy::os {
namespace {

constexpr int kStartTimeField = 22;  // proc(5), counted from 1

}  // namespace

std::string ProcessIdentity::toString() const {
  return strCat({std::to_string(pid), " ", std::to_string(start_ticks), " ", boot_id});
}

std::optional<ProcessIdentity> ProcessIdentity::parse(std::string_view text) {
  const auto parts = split(trim(text), ' ');
  ProcessIdentity identity;
  if (parts.size() != 3 || !parseNumber(parts[0], identity.pid) || identity.pid <= 0 ||
      !parseNumber(parts[1], identity.start_ticks) || parts[2].empty()) {
    return std::nullopt;
  }
  identity.boot_id = parts[2];
  return identity;
}

Result<ProcessIdentity> identify(pid_t pid) {
  auto stat = readFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return fail(ErrorCode::not_found, "no process " + std::to_string(pid));
  // The second field is the name in parentheses and may itself hold spaces and parentheses.
  const auto name_end = stat->rfind(')');
  if (name_end == std::string::npos) return fail(ErrorCode::internal, "cannot read the stat of a process");
  const auto fields = split(trim(std::string_view(*stat).substr(name_end + 1)), ' ');  // from field 3
  ProcessIdentity identity;
  if (fields.size() < kStartTimeField - 2 ||
      !parseNumber(fields[kStartTimeField - 3], identity.start_ticks)) {
    return fail(ErrorCode::internal, "cannot read the start time of a process");
  }
  identity.pid = pid;
  identity.boot_id = bootId();
  return identity;
}

std::string ExitStatus::toString() const {
  return signalled ? "signal " + std::to_string(code - 128) : "exit code " + std::to_string(code);
}

Result<Pidfd> Pidfd::open(const ProcessIdentity& identity) {
  BUOY_TRY(Pidfd handle, open(identity.pid));
  // The handle first, the look at who it is second: a process that matches now is the one that the handle
  // holds.
  BUOY_TRY(const ProcessIdentity found, identify(identity.pid));
  if (found != identity) {
    return fail(ErrorCode::not_found, "process " + std::to_string(identity.pid) + " is another one now");
  }
  return handle;
}

Result<Pidfd> Pidfd::open(pid_t pid) {
  // By number: the C library's header for these calls cannot be used from C++. Close-on-exec by its nature.
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd) return Pidfd(std::move(fd));
  if (errno == ESRCH) return fail(ErrorCode::not_found, "no process " + std::to_string(pid));
  return failErrno(errno, "open process " + std::to_string(pid));
}

Status Pidfd::signal(int number) const {
  if (::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0) == 0) return {};
  if (errno == ESRCH) return fail(ErrorCode::not_found, "the process has ended");
  return failErrno(errno, "send signal " + std::to_string(number));
}

bool Pidfd::waitEnded(Duration limit) const {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
    pollfd entry{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return false;
  }
}

std::optional<ExitStatus> Pidfd::reap() const {
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(fd_.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
    return std::nullopt;
  }
  if (info.si_code == CLD_EXITED) return ExitStatus{info.si_status, false};
  return ExitStatus{128 + info.si_status, true};
}

}  // namespace buoy::os
