#pragma once

#include <memory>

#include "gateways/backend.h"
#include "gateways/batch/library.h"
#include "gateways/front/call.h"

namespace buoy::gateways::batch {

// AWS Batch (https://docs.aws.amazon.com/batch/latest/APIReference/): compute environments are pools, job
// queues are queues, jobs are jobs. docs/migrating/batch.md lists what differs. Threads: any.
class Door {
 public:
  // data_loss: what was kept cannot be read. `backend` outlives it.
  static Result<std::unique_ptr<Door>> open(Backend& backend);

  // Answers once, perhaps later and on another thread.
  void handle(const front::Call& call, front::Reply reply);
  // Whether the call may change something.
  static bool changes(const front::Call& call);

 private:
  explicit Door(Backend& backend) : backend_(backend) {}
  Backend& backend_;
  Library library_;
};

}  // namespace buoy::gateways::batch
