#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/synchronized.h"

namespace buoy::control {

// Callbacks of those who wait for news of a job. Threads: any. Callbacks run on the notifying thread, outside
// the lock.
template <class... Args>
class JobWatchers {
 public:
  using Callback = std::function<void(Args...)>;

  // Until the handle is destroyed (a call that has begun by then may still end); it may outlive this object.
  std::shared_ptr<void> watch(JobId job, Callback callback) {
    const auto kept = std::make_shared<Callback>(std::move(callback));
    const std::uint64_t id = state_->withLock([&](State& state) {
      state.by_job[job].emplace(state.next, kept);
      return state.next++;
    });
    return std::shared_ptr<void>(nullptr, [state = state_, job, id](void*) {
      state->withLock([&](State& all) {
        const auto found = all.by_job.find(job);
        if (found == all.by_job.end()) return;
        found->second.erase(id);
        if (found->second.empty()) all.by_job.erase(found);
      });
    });
  }

  void notify(JobId job, Args... args) {
    std::vector<std::shared_ptr<Callback>> callbacks;
    state_->withLock([&](State& state) {
      const auto found = state.by_job.find(job);
      if (found == state.by_job.end()) return;
      for (const auto& [id, callback] : found->second) callbacks.push_back(callback);
    });
    for (const auto& callback : callbacks) (*callback)(args...);
  }

 private:
  struct State {
    std::uint64_t next = 1;
    std::map<JobId, std::map<std::uint64_t, std::shared_ptr<Callback>>> by_job;
  };
  std::shared_ptr<Synchronized<State>> state_ = std::make_shared<Synchronized<State>>();
};

}  // namespace buoy::control
