#pragma once

#include <atomic>
#include <mutex>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace buoy::objstore {

// A file being written for a store: unlinked when it goes out of scope, unless it was published.
class TempFile {
 public:
  TempFile(int root, std::string path, os::Fd fd) : root_(root), path_(std::move(path)), fd_(std::move(fd)) {}
  TempFile(TempFile&& other) noexcept;
  TempFile& operator=(TempFile&&) = delete;
  ~TempFile();

  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }  // the name stays
  Status sync() const;
  // Gives it its final name below an open directory. `exclusive`: already_exists if the name is taken;
  // otherwise what has the name is replaced. Not durable before the directory is synced. not_found: the
  // directory was removed.
  Status publish(int directory, const std::string& name, bool exclusive);

 private:
  int root_;
  std::string path_;  // from the root; "" when published
  os::Fd fd_;
};

// The root of a file store and the temporary files of this process in it. They lie in a directory of their
// own, <root>/.buoy-tmp/<random>, whose file "lock" is locked while this process lives: what a dead process
// left behind is thus known, and removed by the next one that writes. Threads: any.
class TempSpace {
 public:
  explicit TempSpace(std::string root);
  ~TempSpace();

  // The open root. not_found if it does not exist and `create` is false. Valid as long as the space.
  Result<int> root(bool create);
  Result<TempFile> create();

 private:
  // The directory of this process's files. `gone`: what was answered before and does not exist any more.
  Result<std::string> session(int root, const std::string& gone);

  const std::string root_path_;
  std::mutex mutex_;  // guards what is below; root_ is not replaced once open
  os::Fd root_;
  os::Fd lock_;
  std::string session_;  // path from the root
  std::atomic<unsigned> next_{0};
};

}  // namespace buoy::objstore
