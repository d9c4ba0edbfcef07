#include "os/command_output.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "os/attached.h"
#include "os/child.h"

namespace buoy::os {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Kills and reaps a child that has not been reaped when it goes out of scope.
class Running {
 public:
  Running(pid_t pid, Pidfd handle) : pid_(pid), handle_(std::move(handle)) {}
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (reaped_) return;
    ::kill(-pid_, SIGKILL);  // it leads its own session, and its pid is its own until it is reaped
    handle_.waitEnded(std::chrono::seconds{10});
    handle_.reap();
  }
  const Pidfd& handle() const { return handle_; }
  std::optional<ExitStatus> reap() {
    auto status = handle_.reap();
    reaped_ = status.has_value();
    return status;
  }

 private:
  pid_t pid_;
  Pidfd handle_;
  bool reaped_ = false;
};

// Reads what there is; false at the end.
bool drain(int fd, std::string& into, std::size_t most) {
  std::array<char, 4096> buffer;
  while (into.size() <= most) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    into.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return true;
}

}  // namespace

Result<CommandOutput> runCommand(std::vector<std::string> command,
                                 const std::vector<std::string>& environment, Duration limit,
                                 std::size_t most) {
  if (command.empty()) return fail(ErrorCode::invalid_argument, "the command is empty");
  const std::string name = command[0];
  BUOY_TRY(command[0], findProgram(name, environment));
  BUOY_TRY(Child child, startChild({std::move(command), environment, "", false}));
  BUOY_TRY(Pidfd handle, Pidfd::open(child.pid));
  Running running(child.pid, std::move(handle));
  CommandOutput output;
  const auto until = SteadyClock::now() + limit;
  // Until the program ends: what it leaves running may hold the pipes open, and is not waited for.
  std::array<pollfd, 3> waiting = {pollfd{child.out.get(), POLLIN, 0}, pollfd{child.err.get(), POLLIN, 0},
                                   pollfd{running.handle().fd(), POLLIN, 0}};
  while (waiting[2].revents == 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - SteadyClock::now()).count();
    if (left <= 0) {
      return fail(ErrorCode::deadline_exceeded,
                  strCat({inQuotes(name), " did not end within ", formatDuration(limit)}));
    }
    if (::poll(waiting.data(), waiting.size(), static_cast<int>(std::min<std::int64_t>(left, 60'000))) < 0) {
      continue;
    }
    if (!drain(child.out.get(), output.out, most)) waiting[0].fd = -1;
    if (!drain(child.err.get(), output.err, most)) waiting[1].fd = -1;
    if (output.out.size() > most || output.err.size() > most) {
      return fail(ErrorCode::resource_exhausted, inQuotes(name) + " wrote too much");
    }
  }
  drain(child.out.get(), output.out, most);
  drain(child.err.get(), output.err, most);
  output.status = running.reap().value_or(ExitStatus{});
  return output;
}

}  // namespace buoy::os
