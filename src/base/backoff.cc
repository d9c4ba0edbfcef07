#include "base/backoff.h"

#include <algorithm>

#include "base/pause.h"

namespace buoy {

bool Backoff::wait(Duration patience, const std::stop_token& stop) {
  const auto now = std::chrono::steady_clock::now();
  if (!trouble_since_) trouble_since_ = now;
  const Duration pause{
      std::uniform_int_distribution<Duration::rep>{wait_.count() / 2, wait_.count()}(random_)};
  if (now + pause > *trouble_since_ + patience) return false;
  wait_ = std::min(wait_ * 2, longest_);
  return pauseFor(pause, stop);
}

void Backoff::reset() {
  trouble_since_.reset();
  wait_ = first_;
}

}  // namespace buoy
