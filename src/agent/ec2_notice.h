#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "agent/notice.h"
#include "aws/metadata_service.h"

namespace buoy::agent {

// EC2's word by the instance's metadata service: spot/instance-action, and the recommendation to move before
// that (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html). A thread
// of its own asks; while the service does not answer, there is no notice.
class Ec2NoticeSource final : public NoticeSource {
 public:
  struct Options {
    aws::MetadataOptions service;
    Duration every = std::chrono::milliseconds{500};
    int rebalance_every = 10;  // of these looks
  };
  // Callbacks come on the loop's thread, `on_rebalance` once.
  Ec2NoticeSource(os::EventLoop& loop, Options options, OnNotice on_notice,
                  std::function<void()> on_rebalance);
  ~Ec2NoticeSource() override;

 private:
  void ask(const std::stop_token& stop);

  os::EventLoop& loop_;
  const Options options_;
  // Shared with what was posted and may come later than the end.
  struct Callbacks {
    OnNotice on_notice;
    std::function<void()> on_rebalance;
  };
  std::shared_ptr<Callbacks> callbacks_;
  std::jthread thread_;
};

// The instant of {"action": "terminate", "time": "…Z"}. "stop" and "hibernate" are taken alike: the machine
// is as good as gone. invalid_argument: it is no such document.
Result<Time> parseInstanceAction(std::string_view json);

}  // namespace buoy::agent
