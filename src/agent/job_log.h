#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/log_framer.h"
#include "agent/log_spool.h"
#include "agent/metrics.h"
#include "agent/reporter.h"
#include "base/clock.h"
#include "os/event_loop.h"

namespace buoy::agent {

// A job's output on its way: framed, searched for metrics, spooled to disk, announced to the uplink. When the
// spool cannot take more (its disk is full, or too much waits for the control plane) it asks for a pause, and
// the job waits at its full pipe: nothing is lost and memory stays bounded. Loop thread only.
class JobLog {
 public:
  struct Files {
    std::shared_ptr<LogSpool> log;
    std::shared_ptr<LogSpool> metrics;  // gets the metrics as JSON lines; null: nobody does
    std::function<void()> on_grown = [] {};
  };

  JobLog(os::EventLoop& loop, const Clock& clock, Reporter& reporter, Files files, MetricExtractor metrics,
         std::uint64_t max_backlog, std::function<void(bool paused)> on_pause);
  ~JobLog();
  JobLog(const JobLog&) = delete;
  JobLog& operator=(const JobLog&) = delete;

  void take(char stream, std::string_view bytes);
  // The output has ended: what is left of unfinished lines goes out.
  void finish();

 private:
  void spool();
  void spoolMetrics();
  void note(const std::vector<MetricExtractor::Value>& values, Time now);

  os::EventLoop& loop_;
  const Clock& clock_;
  Reporter& reporter_;
  Files files_;
  MetricExtractor metrics_;
  std::uint64_t max_backlog_;
  std::function<void(bool)> on_pause_;
  LogFramer out_{'o'};
  LogFramer err_{'e'};
  std::string frames_;        // framed, not yet on disk
  std::string metric_lines_;  // the same
  std::vector<MetricExtractor::Value> values_;
  bool paused_ = false;
  os::EventLoop::TimerId timer_ = 0;  // set while paused
};

}  // namespace buoy::agent
