#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/ids.h"
#include "base/synchronized.h"

namespace buoy::control {

// Tells those who follow a job that something about it was committed. Threads: any.
class Feed {
 public:
  using Callback = std::function<void(bool finished)>;
  // Calls `callback` after every commit that concerns the job, until the handle is destroyed (a call that has
  // begun by then may still end). It runs on the writer's thread: it must not block.
  std::shared_ptr<void> watch(JobId job, Callback callback);
  void notify(JobId job, bool finished);

 private:
  using Callbacks = std::map<std::uint64_t, std::shared_ptr<Callback>>;
  struct Watchers {
    std::uint64_t next = 1;
    std::map<JobId, Callbacks> by_job;
  };
  std::shared_ptr<Synchronized<Watchers>> watchers_ = std::make_shared<Synchronized<Watchers>>();
};

}  // namespace buoy::control
