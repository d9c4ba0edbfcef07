#include "agent/job_log.h"

#include "os/log.h"

namespace buoy::agent {
namespace {

// How often a full disk, or a control plane that is behind, is looked at again.
constexpr Duration kReconsiderEvery = std::chrono::milliseconds{500};

}  // namespace

JobLog::JobLog(os::EventLoop& loop, const Clock& clock, Reporter& reporter, std::shared_ptr<LogSpool> spool,
               MetricExtractor metrics, std::uint64_t max_backlog, std::function<void(bool)> on_pause)
    : loop_(loop),
      clock_(clock),
      reporter_(reporter),
      spool_(std::move(spool)),
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
  for (const auto& [name, value] : values_) reporter_.metric(name, value, now);
  spool();
}

void JobLog::finish() {
  const Time now = clock_.now();
  const auto on_text = [&](std::string_view text) {
    values_.clear();
    metrics_.extract(text, values_);
    for (const auto& [name, value] : values_) reporter_.metric(name, value, now);
  };
  out_.finish(now, frames_, on_text);
  err_.finish(now, frames_, on_text);
  spool();
}

void JobLog::spool() {
  bool stuck = false;
  if (!frames_.empty()) {
    const Status written = spool_->append(frames_);
    stuck = !written;
    if (written) {
      frames_.clear();
      reporter_.logGrew(spool_->size());
    } else if (!paused_) {
      os::log(os::LogLevel::error, "log_spool_stuck", {{"error", written.error().message}});
      reporter_.event("the machine's disk takes no more log, the job's output waits: " +
                      written.error().message);
    }
  }
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
