#include "agent/job_log.h"

#include "api/json_writer.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

// How often a full disk, or a control plane that is behind, is looked at again.
constexpr Duration kReconsiderEvery = std::chrono::milliseconds{500};

// Bytes of metrics that a full disk does not take.
constexpr std::size_t kMostWaiting = 1 << 20;

}  // namespace

JobLog::JobLog(os::EventLoop& loop, const Clock& clock, Reporter& reporter, Files files,
               MetricExtractor metrics, std::uint64_t max_backlog, std::function<void(bool)> on_pause)
    : loop_(loop),
      clock_(clock),
      reporter_(reporter),
      files_(std::move(files)),
      metrics_(std::move(metrics)),
      max_backlog_(max_backlog),
      on_pause_(std::move(on_pause)) {}

JobLog::~JobLog() {
  loop_.cancel(timer_);
}

void JobLog::take(char stream, std::string_view bytes) {
  const Time now = clock_.now();
  values_.clear();
  (stream == 'o' ? out_ : err_).feed(bytes, now, frames_, [this](std::string_view text) {
    metrics_.extract(text, values_);
  });
  note(values_, now);
  spool();
}

void JobLog::finish() {
  const Time now = clock_.now();
  const auto on_text = [&](std::string_view text) {
    values_.clear();
    metrics_.extract(text, values_);
    note(values_, now);
  };
  out_.finish(now, frames_, on_text);
  err_.finish(now, frames_, on_text);
  spool();
}

void JobLog::note(const std::vector<MetricExtractor::Value>& values, Time now) {
  for (const auto& [name, value] : values) {
    reporter_.metric(name, value, now);
    if (!files_.metrics || metric_lines_.size() > kMostWaiting) continue;
    api::JsonWriter line(metric_lines_);
    line.beginObject().field("at", now).field("name", name).field("value", value).endObject();
    metric_lines_ += '\n';
  }
}

// The control plane gets the metrics by itself; a full disk costs at most the copy in the store.
void JobLog::spoolMetrics() {
  if (metric_lines_.empty() || !files_.metrics->append(metric_lines_)) return;
  metric_lines_.clear();
}

void JobLog::spool() {
  bool stuck = false;
  if (!frames_.empty()) {
    const Status written = files_.log->append(frames_);
    stuck = !written;
    if (written) {
      frames_.clear();
      reporter_.logGrew(files_.log->size());
    } else if (!paused_) {
      os::log(os::LogLevel::error, "log_spool_stuck", {{"error", written.error().message}});
      reporter_.event("the machine's disk takes no more log, the job's output waits: " +
                      written.error().message);
    }
  }
  spoolMetrics();
  files_.on_grown();
  const bool pause = stuck || reporter_.unshippedLog() >= max_backlog_;
  if (pause != paused_) {
    paused_ = pause;
    on_pause_(pause);
  }
  if (paused_ && timer_ == 0) {
    timer_ = loop_.after(kReconsiderEvery, [this] {
      timer_ = 0;
      spool();
    });
  }
}

}  // namespace buoy::agent
