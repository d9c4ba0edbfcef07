#include "os/files.h"
#include "os/paths.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace buoy::os {
namespace {

// A name that no other process or thread uses, in the directory of `path` so that rename and link stay on one
// file system.
std::string temporaryBeside(const std::string& path) {
  static std::atomic<unsigned> counter{0};
  return path + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
}

// Writes a synced temporary file beside `path` and returns its name; nothing is left behind on error.
Result<std::string> writeTemporary(const std::string& path, std::string_view content, unsigned mode) {
  const std::string temporary = temporaryBeside(path);
  BUOY_TRY(Fd fd, openFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
  Status status = writeAll(fd.get(), content);
  if (status && ::fsync(fd.get()) != 0) status = failErrno(errno, "sync " + temporary);
  if (!status) {
    ::unlink(temporary.c_str());
    return fail(std::move(status).error());
  }
  return temporary;
}

Status removeAt(int parent, const char* name, const std::string& shown) {
  if (::unlinkat(parent, name, 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM && errno != ENOTEMPTY) return failErrno(errno, "remove " + shown);
  Fd dir(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir) return failErrno(errno, "remove " + shown);
  const int scan_fd = ::dup(dir.get());
  DIR* stream = scan_fd < 0 ? nullptr : ::fdopendir(scan_fd);
  if (stream == nullptr) return failErrno(errno, "read " + shown);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  }
  ::closedir(stream);
  for (const std::string& child : names)
    BUOY_TRY_VOID(removeAt(dir.get(), child.c_str(), shown + "/" + child));
  if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
    return failErrno(errno, "remove " + shown);
  return {};
}

}  // namespace

Result<Fd> openFile(const std::string& path, int flags, unsigned mode) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return failErrno(errno, "open " + path);
  return fd;
}

Result<std::string> readFile(const std::string& path, std::uint64_t limit) {
  BUOY_TRY(Fd fd, openFile(path, O_RDONLY));
  std::string content;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failErrno(errno, "read " + path);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
    if (content.size() > limit) {
      return fail(ErrorCode::resource_exhausted,
                  "read " + path + ": larger than " + std::to_string(limit) + " bytes");
    }
  }
}

Status writeAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failErrno(errno, "write");
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status fsyncDirectory(const std::string& path) {
  BUOY_TRY(Fd fd, openFile(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return failErrno(errno, "sync " + path);
  return {};
}

Status writeFileAtomic(const std::string& path, std::string_view content, unsigned mode) {
  BUOY_TRY(const std::string temporary, writeTemporary(path, content, mode));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return failErrno(error, "rename to " + path);
  }
  return fsyncDirectory(parentOf(path));
}

Status createFileExclusive(const std::string& path, std::string_view content, unsigned mode) {
  BUOY_TRY(const std::string temporary, writeTemporary(path, content, mode));
  const int linked = ::link(temporary.c_str(), path.c_str());
  const int error = errno;
  ::unlink(temporary.c_str());
  if (linked != 0) return failErrno(error, "create " + path);
  return fsyncDirectory(parentOf(path));
}

Status makeDirectories(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return failErrno(ENOTDIR, "create directory " + path);
  }
  if (errno != ENOENT) return failErrno(errno, "create directory " + path);
  BUOY_TRY_VOID(makeDirectories(parentOf(path), mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return failErrno(errno, "create directory " + path);
  return {};
}

Status removeTree(const std::string& path) {
  return removeAt(AT_FDCWD, path.c_str(), path);
}

Result<TempDir> TempDir::create(const std::string& prefix) {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/" + prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return failErrno(errno, "create directory " + path);
  return TempDir(std::move(path));
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}

TempDir::~TempDir() {
  if (!path_.empty()) (void)removeTree(path_);
}

}  // namespace buoy::os
