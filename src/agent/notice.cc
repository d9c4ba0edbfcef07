#include "agent/notice.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "os/files.h"
#include "os/log.h"
#include "os/paths.h"

namespace buoy::agent {
namespace {

constexpr std::uint64_t kMaxNotice = 64 * 1024;
constexpr Duration kPollEvery = std::chrono::milliseconds{250};

std::string nameOf(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
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
  if (auto inotify = watchFiles()) {
    inotify_ = std::move(*inotify);
    loop_.watch(inotify_->fd(), [this] { drain(); });
  }
  // The file may have been there before the watch. Looked at by the loop, when whoever creates this is
  // complete.
  timer_ = loop_.after(Duration{0}, [this] { poll(); });
}

FileNoticeSource::~FileNoticeSource() {
  if (inotify_) loop_.unwatch(inotify_->fd());
  loop_.cancel(timer_);
}

// The directory's end is seen in the directory above it: its own is told only when nothing refers to it any
// more, and the job, which stands in a directory below, does.
Result<os::Inotify> FileNoticeSource::watchFiles() {
  BUOY_TRY(os::Inotify inotify, os::Inotify::create());
  const std::string directory = os::parentOf(file_);
  BUOY_TRY_VOID(inotify.add(directory, IN_MOVED_TO | IN_CLOSE_WRITE).map([](int) {}));
  BUOY_TRY(above_, inotify.add(os::parentOf(directory), IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR));
  return inotify;
}

void FileNoticeSource::drain() {
  const std::string file = nameOf(file_);
  const std::string directory = nameOf(os::parentOf(file_));
  bool touched = false;
  bool gone = false;
  inotify_->drain([&](const os::Inotify::Event& event) {
    const bool above = event.watch == above_;
    touched = touched || (!above && event.name == file);
    gone = gone || (above && event.name == directory);
  });
  if (touched) check();
  if (gone) on_directory_gone_();
}

void FileNoticeSource::poll() {
  check();
  if (inotify_) return;
  if (::access(os::parentOf(file_).c_str(), F_OK) != 0) return on_directory_gone_();
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
