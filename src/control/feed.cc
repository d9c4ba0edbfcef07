#include "control/feed.h"

#include <vector>

namespace buoy::control {

std::shared_ptr<void> Feed::watch(JobId job, Callback callback) {
  const auto kept = std::make_shared<Callback>(std::move(callback));
  const std::uint64_t id = watchers_->withLock([&](Watchers& watchers) {
    watchers.by_job[job].emplace(watchers.next, kept);
    return watchers.next++;
  });
  return std::shared_ptr<void>(nullptr, [watchers = watchers_, job, id](void*) {
    watchers->withLock([&](Watchers& all) {
      const auto found = all.by_job.find(job);
      if (found == all.by_job.end()) return;
      found->second.erase(id);
      if (found->second.empty()) all.by_job.erase(found);
    });
  });
}

void Feed::notify(JobId job, bool finished) {
  std::vector<std::shared_ptr<Callback>> callbacks;
  watchers_->withLock([&](Watchers& watchers) {
    const auto found = watchers.by_job.find(job);
    if (found == watchers.by_job.end()) return;
    for (const auto& [id, callback] : found->second) callbacks.push_back(callback);
  });
  for (const auto& callback : callbacks) (*callback)(finished);
}

}  // namespace buoy::control
