#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>

#include "base/result.h"
#include "cli/context.h"
#include "cli/line_queue.h"
#include "cli/render/transfer.h"
#include "os/terminal.h"

namespace buoy::cli {

// What has happened to one file or object.
struct Outcome {
  enum class Action : std::uint8_t { upload, download, copy, remove } action = Action::upload;
  std::string source, destination;  // for people (Place::name); no destination if removed
  std::uint64_t bytes = 0;
  Status status;
  bool fatal = false;  // the others would fail the same way: nothing more is begun
};

struct ReportOptions {
  bool quiet = false;  // errors only
  bool json = false;
  bool progress = true;  // on a terminal
  bool summary = true;
  bool dry_run = false;
  bool alone = false;  // one file: its error is the command's
};

// Says what happens, draws the progress, and listens for Ctrl-C: the first one requests the stop, the second
// ends the program. One thread does all that; the rest may be called from any and waits while the terminal is
// slow.
class Report {
 public:
  // `moved` tells the bytes on the wire so far, for the progress.
  Report(const Context& context, const ReportOptions& options, os::InterruptWatch& interrupts,
         std::stop_source stop);
  ~Report();

  void done(Outcome outcome);
  // Something was left out. `failure`: that counts against success.
  void leftOut(std::string message, bool failure);
  void planned(std::uint64_t bytes) {
    ++files_planned_;
    bytes_planned_ += bytes;
  }
  void same() { ++skipped_; }
  void plannedAll() { planned_all_ = true; }
  // For the progress: bytes on the wire so far, until finish().
  void watch(std::function<std::uint64_t()> moved);

  // Everything has been said. `status`: how planning ended. Returns the exit code.
  int finish(const Status& status);

 private:
  struct LeftOut {
    std::string message;
    bool failure;
  };
  struct End {};
  using Item = std::variant<Outcome, LeftOut, std::function<std::uint64_t()>, End>;
  void work();
  void take(Item item);
  void take(Outcome outcome);
  void takeFailure(const Outcome& outcome);
  std::string line(const Outcome& outcome) const;
  std::string jsonLine(const Outcome& outcome) const;
  std::string jsonSummary() const;
  void flush();
  void draw();
  void clear();
  void checkInterrupts();

  const Context& context_;
  const ReportOptions options_;
  os::InterruptWatch& interrupts_;
  std::stop_source stop_;
  LineQueue<Item> queue_;
  std::atomic<std::uint64_t> files_planned_{0}, bytes_planned_{0}, skipped_{0};
  std::atomic<bool> planned_all_{false};
  const std::chrono::steady_clock::time_point start_;

  // The thread's until it has ended.
  TransferTotals totals_;
  std::optional<Error> fatal_;
  int interrupts_taken_ = 0;
  std::function<std::uint64_t()> moved_;
  std::string out_, err_;  // not written yet
  bool drawn_ = false, ended_ = false;
  std::chrono::steady_clock::time_point drawn_at_, rate_at_;
  std::uint64_t rate_bytes_ = 0;
  double rate_ = 0;

  std::jthread thread_;
};

}  // namespace buoy::cli
