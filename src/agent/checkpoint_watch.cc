#include "agent/checkpoint_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace buoy::agent {
namespace {

constexpr std::uint32_t kMask = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                                IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;
// Deeper trees than this are watched down to here.
constexpr int kMaxDepth = 64;
// How often a directory that the job removed is looked for.
constexpr Duration kFindRootEvery = std::chrono::seconds{1};

// Whether anybody has the file open for writing: the kernel grants a read lease only if nobody has. nullopt
// where leases are not supported.
std::optional<bool> isOpenForWriting(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return false;
  if (::fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(fd.get(), F_SETLEASE, F_UNLCK);
    return false;
  }
  return errno == EAGAIN ? std::optional(true) : std::nullopt;
}

std::string below(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : directory + "/" + std::string(name);
}

}  // namespace

Result<std::unique_ptr<CheckpointWatch>> CheckpointWatch::create(os::EventLoop& loop, const Clock& clock,
                                                                 std::string directory,
                                                                 std::function<void()> on_change) {
  BUOY_TRY(os::Inotify inotify, os::Inotify::create());
  std::unique_ptr<CheckpointWatch> watch(
      new CheckpointWatch(loop, clock, std::move(directory), std::move(on_change), std::move(inotify)));
  std::vector<std::string> open;
  watch->scan("", open);
  if (watch->watches_.empty()) return fail(ErrorCode::unavailable, watch->trouble_);
  return watch;
}

CheckpointWatch::CheckpointWatch(os::EventLoop& loop, const Clock& clock, std::string directory,
                                 std::function<void()> on_change, os::Inotify inotify)
    : loop_(loop),
      clock_(clock),
      directory_(std::move(directory)),
      on_change_(std::move(on_change)),
      inotify_(std::move(inotify)) {
  loop_.watch(inotify_.fd(), [this] {
    drain();
    on_change_();
  });
}

CheckpointWatch::~CheckpointWatch() {
  loop_.unwatch(inotify_.fd());
  loop_.cancel(root_timer_);
}

void CheckpointWatch::drain() {
  inotify_.drain([this](const os::Inotify::Event& event) { handle(event); });
  finishMove();
  if (!overflowed_) return;
  overflowed_ = false;
  rescan();
}

void CheckpointWatch::verifyDirty() {
  for (const std::string& path : files_.dirty()) {
    if (!isOpenForWriting(absolute(path)).value_or(true)) files_.closed(path, clock_.now());
  }
}

void CheckpointWatch::rescan() {
  std::vector<std::string> open;
  scan("", open);
  files_.reset(open, clock_.now());
}

void CheckpointWatch::findRootAgain() {
  root_timer_ = 0;
  rescan();
  if (std::none_of(watches_.begin(), watches_.end(),
                   [](const auto& watch) { return watch.second.empty(); })) {
    root_timer_ = loop_.after(kFindRootEvery, [this] { findRootAgain(); });
    return;
  }
  on_change_();
}

void CheckpointWatch::handle(const os::Inotify::Event& event) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    overflowed_ = true;
    return;
  }
  if ((event.mask & IN_IGNORED) != 0) {
    const auto ended = watches_.find(event.watch);
    if (ended == watches_.end()) return;
    if (ended->second.empty() && root_timer_ == 0)
      root_timer_ = loop_.after(Duration{0}, [this] { findRootAgain(); });
    watches_.erase(ended);
    return;
  }
  const auto watch = watches_.find(event.watch);
  if (watch != watches_.end() && !event.name.empty()) handleEntry(event, below(watch->second, event.name));
}

void CheckpointWatch::handleEntry(const os::Inotify::Event& event, const std::string& path) {
  const bool is_directory = (event.mask & IN_ISDIR) != 0;
  const bool second_half = (event.mask & IN_MOVED_TO) != 0 && move_ && move_->cookie == event.cookie;
  if (!second_half) finishMove();
  if ((event.mask & IN_MODIFY) != 0) files_.modified(path, clock_.now());
  if ((event.mask & IN_CLOSE_WRITE) != 0) files_.closed(path, clock_.now());
  if ((event.mask & IN_CREATE) != 0) created(path, is_directory);
  if ((event.mask & IN_DELETE) != 0) files_.removed(path, clock_.now());
  if ((event.mask & IN_MOVED_FROM) != 0) move_ = Move{event.cookie, path, is_directory};
  if ((event.mask & IN_MOVED_TO) == 0) return;
  if (second_half) {
    files_.moved(move_->from, path, clock_.now());
    if (is_directory) renameWatches(move_->from, path);
    move_.reset();
    return;
  }
  files_.removed(path, clock_.now());  // came from outside, and replaced what was there
  if (is_directory) created(path, true);
}

// A watch belongs to the directory, not to its name: events that are already queued come under the new one.
void CheckpointWatch::renameWatches(const std::string& from, const std::string& to) {
  for (auto& [watch, path] : watches_) {
    if (path == from || path.starts_with(from + "/")) path = to + path.substr(from.size());
  }
}

void CheckpointWatch::created(const std::string& path, bool is_directory) {
  if (is_directory) {
    std::vector<std::string> open;
    scan(path, open);
    for (const std::string& file : open) files_.modified(file, clock_.now());
    files_.changed(clock_.now());
    return;
  }
  struct stat info {};
  const bool there = ::lstat(absolute(path).c_str(), &info) == 0;
  // A new empty file is about to be written. One that has content already is a hard link (complete), or its
  // change is told next.
  if (there && S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_size == 0) {
    files_.modified(path, clock_.now());
  } else {
    files_.changed(clock_.now());
  }
}

// A rename whose other half did not come: the entry has left the tree.
void CheckpointWatch::finishMove() {
  if (!move_) return;
  files_.removed(move_->from, clock_.now());
  if (move_->is_directory) forget(move_->from);
  move_.reset();
}

void CheckpointWatch::scan(const std::string& relative, std::vector<std::string>& open) {
  const auto watch = inotify_.add(absolute(relative), kMask);
  if (!watch) {
    // Gone again is no trouble; out of watches is.
    if (relative.empty() || watch.error().code != ErrorCode::not_found) trouble_ = watch.error().message;
    return;
  }
  watches_[*watch] = relative;
  DIR* stream = ::opendir(absolute(relative).c_str());
  if (stream == nullptr) return;
  std::vector<std::string> directories;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info {};
    if (::fstatat(::dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(info.st_mode)) directories.push_back(below(relative, name));
    if (!S_ISREG(info.st_mode)) continue;
    const std::string file = below(relative, name);
    // Without an answer it counts as complete: if it is not, its next change is seen.
    if (isOpenForWriting(absolute(file)).value_or(false)) open.push_back(file);
  }
  ::closedir(stream);
  const auto depth = std::count(relative.begin(), relative.end(), '/');
  if (depth >= kMaxDepth) return;
  for (const std::string& directory : directories) scan(directory, open);
}

// The directory has left, with all below: its watches would tell of files under names that are no longer
// theirs.
void CheckpointWatch::forget(const std::string& relative) {
  for (auto watch = watches_.begin(); watch != watches_.end();) {
    const std::string& path = watch->second;
    if (path != relative && !path.starts_with(relative + "/")) {
      ++watch;
      continue;
    }
    inotify_.remove(watch->first);
    watch = watches_.erase(watch);
  }
}

std::string CheckpointWatch::absolute(const std::string& relative) const {
  return relative.empty() ? directory_ : directory_ + "/" + relative;
}

}  // namespace buoy::agent
