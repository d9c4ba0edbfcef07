#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "os/event_loop.h"
#include "os/inotify.h"

namespace buoy::agent {

// Watches for the provider's word that this machine will be reclaimed. One implementation a kind of provider.
class NoticeSource {
 public:
  using OnNotice = std::function<void(Time deadline)>;  // on the loop's thread; again if the deadline changes
  virtual ~NoticeSource() = default;
};

// The stand-in for a metadata service: a file that appears (by rename) with {"deadline": RFC 3339} in the
// machine's directory, whose removal stands for the loss of the machine's disk. Costs nothing while nothing
// happens; a few looks a second where the kernel gives no change queue (the user's limit of inotify
// instances).
class FileNoticeSource final : public NoticeSource {
 public:
  FileNoticeSource(os::EventLoop& loop, std::string file, OnNotice on_notice,
                   std::function<void()> on_directory_gone);
  ~FileNoticeSource() override;

 private:
  Result<os::Inotify> watchFiles();
  void drain();
  void check();
  void poll();

  os::EventLoop& loop_;
  std::string file_;
  OnNotice on_notice_;
  std::function<void()> on_directory_gone_;
  std::optional<os::Inotify> inotify_;
  int above_ = -1;  // the watch of the directory above the machine's
  os::EventLoop::TimerId timer_ = 0;
  std::optional<Time> told_;
};

Result<Time> parseNotice(std::string_view json);
// What a job reads in BUOY_NOTICE_FILE.
std::string noticeForJob(Time deadline, Duration left);

}  // namespace buoy::agent
