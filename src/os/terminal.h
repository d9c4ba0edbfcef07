#pragma once

#include <string>

#include "base/result.h"
#include "base/units.h"
#include "os/fd.h"

namespace buoy::os {

bool isTerminal(int fd);
// Columns of the terminal behind `fd`; zero if it is none or does not say.
int terminalColumns(int fd);

// Absolute path of the running program.
Result<std::string> executablePath();

// SIGINT and SIGTERM of the whole process as something to wait for: while it lives they are not delivered
// otherwise. Make it before the first thread, so that every thread inherits the mask.
class InterruptWatch {
 public:
  static Result<InterruptWatch> create();
  InterruptWatch(InterruptWatch&& other) noexcept = default;
  InterruptWatch& operator=(InterruptWatch&&) = delete;
  ~InterruptWatch();
  // The descriptor becomes readable when one has come.
  int fd() const { return fd_.get(); }
  // Takes one that has come: its number, or zero.
  int take();

 private:
  explicit InterruptWatch(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Waits until `fd` is readable or the time is up. False at the latter.
bool waitReadable(int fd, Duration limit);

}  // namespace buoy::os
