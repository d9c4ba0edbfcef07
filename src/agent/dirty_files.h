#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace buoy::agent {

// Which files of the checkpoint directory are being written, and since when something complete waits to be
// committed. Pure: told of changes by CheckpointWatch, in the order in which they happened.
//
// A file is dirty from its first change until it is closed, renamed or removed. The difficulty is the end:
// when a process is killed, the kernel closes its files, and that close looks like the job's own. So
// - freeze() is called just before Buoy kills: closes that are seen later are not believed;
// - diedAbnormally() takes back closes seen in the last moment before a crash was noticed;
// - a rename is always believed, because only a living process renames: the closes before it were the job's
// own. What is still dirty at the end is torn: its last committed content is kept.
class DirtyFiles {
 public:
  void modified(const std::string& path, Time now);  // created empty, or written to
  void closed(const std::string& path, Time now);    // closed after writing
  void changed(Time now);  // something complete appeared or went: directory, link, removal
  void moved(const std::string& from, const std::string& to, Time now);  // a file or a whole directory
  void removed(const std::string& path, Time now);                       // a file or a whole directory
  // Replaces all knowledge after events were lost: `open` are the files that are open for writing now.
  void reset(const std::vector<std::string>& open, Time now);

  void freeze() { frozen_ = true; }
  // The job crashed within `window` before `now`: what was closed since then may have been closed by the
  // kernel.
  void diedAbnormally(Time now, Duration window);

  bool any() const { return !dirty_.empty(); }
  std::vector<std::string> dirty() const;
  std::optional<Time> newestDirty() const;  // when the file that became dirty last did so

  // The first and last complete change that no commit covers; nullopt: none.
  std::optional<Time> firstChange() const { return first_change_; }
  Time lastChange() const { return last_change_; }
  // For how long the files that were completed since the last commit were being written: pauses and files
  // that stay open do not count, and what was written at once counts once.
  Duration written() const { return written_; }
  // A commit of everything up to now begins.
  void commitBegins() {
    first_change_.reset();
    written_ = Duration{0};
  }
  void commitFailed(Time now);

 private:
  struct Entry {
    Time since{};
    bool closed_late = false;  // closed after freeze: by the kernel, unless a rename follows
    Time busy_since{};         // written without a pause from then
    Time last_write{};         // until then
  };
  struct Close {
    std::string path;
    Time at{};
    Time since{};
  };

  void completed(const Entry& entry, Time now);

  std::map<std::string, Entry> dirty_;
  std::deque<Close> recent_closes_;
  std::optional<Time> first_change_;
  Time last_change_{};
  Duration written_{};
  Time written_until_{};
  bool frozen_ = false;
};

}  // namespace buoy::agent
