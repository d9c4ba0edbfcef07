#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "agent/dirty_files.h"
#include "base/clock.h"
#include "os/event_loop.h"
#include "os/inotify.h"

namespace buoy::agent {

// Watches a directory and all below it and keeps DirtyFiles true. A directory that appears is watched and
// then scanned, so that what was written to it in between is not missed; when the kernel's queue overflows,
// all is scanned again. Loop thread only.
class CheckpointWatch {
 public:
  // `directory` exists. `on_change` is called after DirtyFiles changed.
  static Result<std::unique_ptr<CheckpointWatch>> create(os::EventLoop& loop, const Clock& clock,
                                                         std::string directory,
                                                         std::function<void()> on_change);
  ~CheckpointWatch();
  CheckpointWatch(const CheckpointWatch&) = delete;
  CheckpointWatch& operator=(const CheckpointWatch&) = delete;

  // Takes in everything that has happened until now.
  void drain();
  // Asks the kernel which dirty files are really open for writing; the others are complete (truncate(2)
  // changes a file without ever closing it). Only while the job lives: afterwards nothing is open, torn or
  // not.
  void verifyDirty();
  DirtyFiles& files() { return files_; }
  // A directory could not be watched (the user's limit of watches): changes there are seen late. Empty: all
  // is well.
  const std::string& trouble() const { return trouble_; }

 private:
  CheckpointWatch(os::EventLoop& loop, const Clock& clock, std::string directory,
                  std::function<void()> on_change, os::Inotify inotify);
  void handle(const os::Inotify::Event& event);
  void handleEntry(const os::Inotify::Event& event, const std::string& path);
  void created(const std::string& path, bool is_directory);
  void finishMove();
  // Watches the directory at `relative` ("" is the root) and everything below; `open` receives what is being
  // written.
  void scan(const std::string& relative, std::vector<std::string>& open);
  void forget(const std::string& relative);
  void renameWatches(const std::string& from, const std::string& to);
  void rescan();
  void findRootAgain();
  std::string absolute(const std::string& relative) const;

  os::EventLoop& loop_;
  const Clock& clock_;
  std::string directory_;
  std::function<void()> on_change_;
  os::Inotify inotify_;
  std::map<int, std::string> watches_;  // watch → relative directory
  DirtyFiles files_;
  struct Move {
    std::uint32_t cookie = 0;
    std::string from;
    bool is_directory = false;
  };
  std::optional<Move> move_;  // half of a rename: the other half follows at once if it stays in the tree
  bool overflowed_ = false;
  os::EventLoop::TimerId root_timer_ = 0;  // set while the directory itself is missing
  std::string trouble_;
};

}  // namespace buoy::agent
