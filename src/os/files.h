#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "os/fd.h"

namespace buoy::os {

Result<Fd> openFile(const std::string& path, int flags, unsigned mode = 0644);  // O_CLOEXEC always
Result<std::string> readFile(const std::string& path, std::uint64_t limit = 1ull << 30);
// temp in the same directory, fsync, rename, fsync the directory: after a crash the old or the new content,
// whole.
Status writeFileAtomic(const std::string& path, std::string_view content, unsigned mode = 0644);
// The same, but fails with already_exists if `path` exists, however many try at once (link(2) of a synced
// temp file).
Status createFileExclusive(const std::string& path, std::string_view content, unsigned mode = 0644);
Status writeAll(int fd, std::string_view content);
Status fsyncDirectory(const std::string& path);
Status makeDirectories(const std::string& path, unsigned mode = 0755);
Status removeTree(const std::string& path);  // never follows symbolic links; missing is success

// A directory removed with all that is in it when it goes out of scope.
class TempDir {
 public:
  static Result<TempDir> create(const std::string& prefix);  // under $TMPDIR or /tmp
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&&) = delete;
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace buoy::os
