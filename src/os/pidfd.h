#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "os/fd.h"

namespace buoy::os {

// Which process is meant: a pid alone may be given to another process once this one is gone, or after a
// reboot.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // since boot: field 22 of /proc/PID/stat
  std::string boot_id;
  bool operator==(const ProcessIdentity&) const = default;

  std::string toString() const;                                        // "PID START BOOT"
  static std::optional<ProcessIdentity> parse(std::string_view text);  // a trailing newline is allowed
};

// not_found if there is no such process (a zombie counts as one).
Result<ProcessIdentity> identify(pid_t pid);

// How a process ended: exit_code, or 128 + N for signal N.
struct ExitStatus {
  int code = 0;
  bool signalled = false;
  std::string toString() const;  // "exit code 3", "signal 9"
};

// A handle on one process that never means another one. Threads: const functions from any thread.
class Pidfd {
 public:
  Pidfd() = default;
  explicit Pidfd(Fd fd) : fd_(std::move(fd)) {}
  // not_found if that very process has ended and been reaped, or never was.
  static Result<Pidfd> open(const ProcessIdentity& identity);
  static Result<Pidfd> open(pid_t pid);  // for a child not yet waited for

  int fd() const { return fd_.get(); }  // polls readable when the process has ended
  explicit operator bool() const { return static_cast<bool>(fd_); }
  Status signal(int number) const;  // not_found if it has ended
  // True when the process has ended, false when `limit` ran out first.
  bool waitEnded(Duration limit) const;
  // For a child of this process that has ended: reaps it. nullopt if it runs on or is not a child.
  std::optional<ExitStatus> reap() const;

 private:
  Fd fd_;
};

}  // namespace buoy::os
