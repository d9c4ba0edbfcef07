#include "control/job_stream.h"

#include <utility>

#include "os/log.h"

namespace buoy::control {

JobStream::JobStream(SerialWorkers& workers, JobId job, bool follow, Produce produce)
    : workers_(workers), job_(job), follow_(follow), produce_(std::move(produce)) {}

std::shared_ptr<JobStream> JobStream::create(SerialWorkers& workers, JobId job, bool follow, Produce produce,
                                             std::shared_ptr<net::Responder> responder) {
  std::shared_ptr<JobStream> stream(new JobStream(workers, job, follow, std::move(produce)));
  stream->live_.lock()->responder = std::move(responder);
  return stream;
}

void JobStream::keep(std::vector<std::shared_ptr<void>> handles) {
  live_.withLock([&](Live& live) { live.handles = std::move(handles); });
}

void JobStream::begin() {
  const auto responder = live_.lock()->responder;
  responder->begin(200, "application/x-ndjson");
  responder->onClosed([self = shared_from_this()] { self->close(); });
  schedule();
}

void JobStream::wake(bool finished) {
  if (finished) finished_ = true;
  schedule();
}

void JobStream::schedule() {
  if (scheduled_.exchange(true)) return;
  // When the workers are stopping, or too many streams wait, the client is cut off and comes back with its
  // cursor.
  if (!workers_.post(job_.value, [self = shared_from_this()] { self->pump(); })) close();
}

void JobStream::pump() {
  const auto responder = live_.withLock([](Live& live) { return live.responder; });
  if (responder == nullptr) return;
  scheduled_ = false;
  if (blocked_) return;
  // Looked at before producing: what came before the end is then certainly produced below.
  const bool last = !follow_ || finished_;
  auto lines = produce_();
  if (!lines) {
    os::log(os::LogLevel::warn, "stream_failed",
            {{"job", job_.toString()}, {"error", lines.error().message}});
    return close();
  }
  if (lines->empty()) {
    if (!last) return;
    responder->end();
    return close();
  }
  if (!responder->write(std::move(*lines))) return close();
  blocked_ = true;
  responder->onWritable([self = shared_from_this()] {
    self->blocked_ = false;
    self->schedule();
  });
}

void JobStream::close() {
  Live ended;
  live_.withLock([&](Live& live) { std::swap(live, ended); });
}

}  // namespace buoy::control
