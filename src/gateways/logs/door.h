#pragma once

#include "gateways/backend.h"
#include "gateways/front/call.h"

namespace buoy::gateways::logs {

// As much of CloudWatch Logs (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/) as the
// AWS command line needs to read what jobs print: one group, /aws/batch/job, with one stream an attempt,
// "<definition>/default/<job>.<attempt>[.<rank>]". Nothing can be written. Threads: any.
class Door {
 public:
  explicit Door(Backend& backend) : backend_(backend) {}
  // Answers once, later: files are read in the background.
  void handle(const front::Call& call, front::Reply reply);

 private:
  Backend& backend_;
};

}  // namespace buoy::gateways::logs
