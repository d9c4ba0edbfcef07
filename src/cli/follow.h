#pragma once

#include <optional>

#include "api/views.h"
#include "cli/connection.h"
#include "cli/context.h"
#include "os/terminal.h"

namespace buoy::cli {

struct FollowOptions {
  bool history = true;  // notices, reclaims and restores between the lines
  bool timestamps = false;
  std::optional<std::int32_t> rank;  // only this member's lines
  Time since{};                      // only lines from then on
  std::optional<int> tail;
  bool until_paused = false;  // ends when the job is paused; needs the history

  bool wants(const api::LogLineView& line) const { return (!rank || line.rank == *rank) && line.at >= since; }
};

struct FollowEnd {
  bool detached = false;  // the user left, the job goes on
  bool paused = false;    // it was left when it was paused
  api::JobView job;       // as it was last seen
};

// Prints what the job does until it has ended (or is paused) or the user interrupts: its lines to standard
// output, Buoy's own to standard error, on a terminal with a line of state below them. Keeps on while the
// server is away.
Result<FollowEnd> follow(const Context& context, const ServerAddress& address, const api::JobView& job,
                         const FollowOptions& options, os::InterruptWatch& interrupts);

// Prints log lines to standard output as the job wrote them: pieces of one line are put together again.
class LogPrinter {
 public:
  LogPrinter(const Context& context, bool timestamps, bool ranks)
      : context_(context), timestamps_(timestamps), ranks_(ranks) {}
  void print(const api::LogLineView& line);
  void finish();  // ends a line that is still open
  bool open() const { return open_.has_value(); }

 private:
  struct Origin {
    std::uint32_t attempt = 0;
    std::int32_t rank = 0;
    bool is_stderr = false;
  };
  const Context& context_;
  const bool timestamps_, ranks_;
  std::optional<Origin> open_;
};

}  // namespace buoy::cli
