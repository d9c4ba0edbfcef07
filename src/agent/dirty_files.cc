#include "agent/dirty_files.h"

#include <algorithm>

namespace buoy::agent {
namespace {

// How many closes are remembered for diedAbnormally: more than a job makes in that moment.
constexpr std::size_t kRecentCloses = 256;
// Between two writes of one save; a file that is written to more seldom is a log.
constexpr Duration kPause = std::chrono::seconds{2};

bool isBelow(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

bool isOrBelow(std::string_view path, std::string_view directory) {
  return path == directory || isBelow(path, directory);
}

}  // namespace

void DirtyFiles::modified(const std::string& path, Time now) {
  Entry& entry = dirty_.try_emplace(path, Entry{now, false, now, now}).first->second;
  entry.closed_late = false;
  if (now - entry.last_write > kPause) entry.busy_since = now;
  entry.last_write = now;
}

void DirtyFiles::completed(const Entry& entry, Time now) {
  const Time begin = std::max(now - entry.last_write > kPause ? now : entry.busy_since, written_until_);
  if (now > begin) written_ += now - begin;
  written_until_ = std::max(written_until_, now);
}

void DirtyFiles::closed(const std::string& path, Time now) {
  const auto found = dirty_.find(path);
  if (frozen_) {
    if (found != dirty_.end()) found->second.closed_late = true;
    return;
  }
  if (found != dirty_.end()) {
    recent_closes_.push_back(Close{path, now, found->second.since});
    if (recent_closes_.size() > kRecentCloses) recent_closes_.pop_front();
    completed(found->second, now);
    dirty_.erase(found);
  }
  changed(now);
}

void DirtyFiles::changed(Time now) {
  if (!first_change_) first_change_ = now;
  last_change_ = now;
}

void DirtyFiles::moved(const std::string& from, const std::string& to, Time now) {
  std::erase_if(dirty_, [&](const auto& item) { return isOrBelow(item.first, to); });  // what it replaced
  std::map<std::string, Entry> renamed;
  for (auto item = dirty_.begin(); item != dirty_.end();) {
    if (!isOrBelow(item->first, from)) {
      ++item;
      continue;
    }
    if (!item->second.closed_late) renamed.emplace(to + item->first.substr(from.size()), item->second);
    item = dirty_.erase(item);
  }
  dirty_.merge(renamed);
  std::erase_if(recent_closes_,
                [&](const Close& close) { return isOrBelow(close.path, from) || isOrBelow(close.path, to); });
  changed(now);
}

void DirtyFiles::removed(const std::string& path, Time now) {
  std::erase_if(dirty_, [&](const auto& item) { return isOrBelow(item.first, path); });
  std::erase_if(recent_closes_, [&](const Close& close) { return isOrBelow(close.path, path); });
  changed(now);
}

void DirtyFiles::reset(const std::vector<std::string>& open, Time now) {
  std::map<std::string, Entry> fresh;
  for (const std::string& path : open) {
    const auto known = dirty_.find(path);
    fresh.emplace(path, known == dirty_.end() ? Entry{now, false, now, now} : known->second);
  }
  // After the end nothing is open; what was dirty then stays so.
  if (frozen_) fresh.merge(dirty_);
  dirty_ = std::move(fresh);
  changed(now);
}

void DirtyFiles::diedAbnormally(Time now, Duration window) {
  for (const Close& close : recent_closes_) {
    if (close.at + window >= now)
      dirty_.try_emplace(close.path, Entry{close.since, true, close.since, close.at});
  }
}

std::vector<std::string> DirtyFiles::dirty() const {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : dirty_) paths.push_back(path);
  return paths;
}

std::optional<Time> DirtyFiles::newestDirty() const {
  std::optional<Time> newest;
  for (const auto& [path, entry] : dirty_) newest = std::max(newest.value_or(entry.since), entry.since);
  return newest;
}

void DirtyFiles::commitFailed(Time now) {
  if (!first_change_) first_change_ = now;
}

}  // namespace buoy::agent
