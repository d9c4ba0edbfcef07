#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/job_spec.h"
#include "base/synchronized.h"
#include "engine/engine.h"
#include "engine/types.h"
#include "gateways/backend.h"

namespace buoy::control {

// The pools and queues as they were last committed, for those who check requests. Threads: any.
class Catalog {
 public:
  using View = gateways::Places;
  void replace(View view);
  std::shared_ptr<const View> view();

 private:
  Synchronized<std::shared_ptr<const View>> view_{std::make_shared<const View>()};
};

// What of a job can never work with these pools and queues: an unknown pool or queue (with the nearest known
// one), more resources than any machine type has, more machines than a pool may have. Empty: nothing. Pure.
std::vector<api::Problem> checkAdmission(const Catalog::View& view, const engine::JobRequest& request);
// A job that keeps volumes or shared file systems runs in pools of these providers only. Pure.
std::vector<api::Problem> checkStoragePools(const Catalog::View& view, const engine::JobRequest& request,
                                            const cloud::Storage& storage,
                                            const std::vector<std::string>& providers);
// Why its deadline cannot be met, with the earliest that can, if it is submitted at `now`; and why its budget
// is too small for any work, with the smallest that is not. Empty: neither, or it has none. Pure.
std::vector<api::Problem> checkPromises(const Catalog::View& view, const engine::JobRequest& request,
                                        Time now, const engine::Settings& settings);
// The same for a queue's pools.
std::vector<api::Problem> checkQueue(const Catalog::View& view, const engine::Queue& queue);

}  // namespace buoy::control
