#include "agent/notice.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "os/files.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

constexpr std::uint64_t kMaxNotice = 64 * 1024;
constexpr Duration kPollEvery = std::chrono::milliseconds{250};

std::string directoryOf(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<Time> parseNotice(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("deadline") || !parsed["deadline"].is_string()) {
    return fail(ErrorCode::invalid_argument, "a notice is {\"deadline\": time}");
  }
  return parseTime(parsed["deadline"].get_ref<const std::string&>());
}

std::string noticeForJob(Time deadline, Duration left) {
  const double seconds = std::chrono::duration<double>(std::max(left, Duration{0})).count();
  return nlohmann::json{{"deadline", formatTime(deadline)}, {"seconds_left", seconds}}.dump() + "\n";
}

FileNoticeSource::FileNoticeSource(os::EventLoop& loop, std::string file, OnNotice on_notice,
                                   std::function<void()> on_directory_gone)
    : loop_(loop),
      file_(std::move(file)),
      on_notice_(std::move(on_notice)),
      on_directory_gone_(std::move(on_directory_gone)) {
  if (auto inotify = os::Inotify::create();
      inotify &&
      inotify->add(directoryOf(file_), IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF)) {
    inotify_ = std::move(*inotify);
    loop_.watch(inotify_->fd(), [this] {
      const std::string name = file_.substr(file_.find_last_of('/') + 1);
      bool touched = false;
      bool gone = false;
      inotify_->drain([&](const os::Inotify::Event& event) {
        touched = touched || event.name == name;
        gone = gone || (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
      });
      if (touched) check();
      if (gone) on_directory_gone_();
    });
  }
  // The file may have been there before the watch. Looked at by the loop, when whoever creates this is
  // complete.
  timer_ = loop_.after(Duration{0}, [this] { poll(); });
}

FileNoticeSource::~FileNoticeSource() {
  if (inotify_) loop_.unwatch(inotify_->fd());
  loop_.cancel(timer_);
}

void FileNoticeSource::poll() {
  check();
  if (inotify_) return;
  if (::access(directoryOf(file_).c_str(), F_OK) != 0) return on_directory_gone_();
  timer_ = loop_.after(kPollEvery, [this] { poll(); });
}

void FileNoticeSource::check() {
  const auto content = os::readFile(file_, kMaxNotice);
  if (!content) return;
  const auto deadline = parseNotice(*content);
  if (!deadline) {
    // Perhaps not yet written to its end: its close is told as well.
    os::log(os::LogLevel::warn, "notice_unreadable", {{"file", file_}, {"error", deadline.error().message}});
    return;
  }
  if (told_ == *deadline) return;
  told_ = *deadline;
  on_notice_(*deadline);
}

}  // namespace buoy::agent
