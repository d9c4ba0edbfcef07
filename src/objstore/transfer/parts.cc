#include "objstore/transfer/parts.h"

#include <algorithm>

namespace buoy::objstore {

void Parts::run(TransferPool& pool, std::size_t count, std::size_t at_once, Task task,
                std::function<void(Status)> finished) {
  if (count == 0) return finished({});
  const std::shared_ptr<Parts> parts(new Parts(pool, count, std::move(task), std::move(finished)));
  const std::size_t runners = std::min(count, std::max<std::size_t>(at_once, 1));
  parts->runners_ = runners;
  for (std::size_t i = 0; i < runners; ++i) pool.submit([parts] { parts->step(); });
}

void Parts::step() {
  const std::size_t part = next_++;
  if (part < count_ && !failed_) {
    Status status = task_(part);
    if (status) return pool_.submit([self = shared_from_this()] { self->step(); });
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) first_error_ = std::move(status);
  }
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    last = --runners_ == 0;
  }
  if (last) finished_(first_error_);
}

}  // namespace buoy::objstore
