#include "os/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/strings.h"

namespace buoy::os {
namespace {

// -1 and errno on failure. ENOSYS: this kernel (before 5.6) or its sandbox has no openat2.
int openat2Beneath(int root, const char* path, int flags, unsigned mode) {
  static std::atomic<bool> missing{false};
  if (missing.load(std::memory_order_relaxed)) {
    errno = ENOSYS;
    return -1;
  }
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int tries = 0;; ++tries) {
    const long fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    // EAGAIN: something was renamed meanwhile and the kernel could not be sure; EPERM: old container
    // sandboxes.
    if ((errno == EAGAIN || errno == EINTR) && tries < 100) continue;
    if (errno == ENOSYS) missing.store(true, std::memory_order_relaxed);
    return -1;
  }
}

int openByComponents(int root, const std::string& path, int flags, unsigned mode) {
  const auto parts = split(path, '/');
  Fd at;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const int parent = at ? at.get() : root;
    const int step_flags = last ? flags : O_RDONLY | O_DIRECTORY;
    Fd next(::openat(parent, std::string(parts[i]).c_str(), step_flags | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!next) {
      // A link where a directory is wanted says ENOTDIR.
      struct stat info {};
      const int error = errno;
      const bool link = ::fstatat(parent, std::string(parts[i]).c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                        S_ISLNK(info.st_mode);
      errno = link ? ELOOP : error;
      return -1;
    }
    at = std::move(next);
  }
  return at.release();
}

int openAny(int root, const std::string& path, int flags, unsigned mode) {
  if (path.empty()) return ::openat(root, ".", flags | O_CLOEXEC, mode);
  const int fd = openat2Beneath(root, path.c_str(), flags, mode);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
  return openByComponents(root, path, flags, mode);
}

Result<Fd> makeOne(int parent, const std::string& name, unsigned mode, bool durable) {
  if (::mkdirat(parent, name.c_str(), mode) == 0) {
    if (durable && ::fsync(parent) != 0) return failErrno(errno, "sync a directory");
  } else if (errno != EEXIST) {
    return failErrno(errno, "create directory " + name);
  }
  return openBeneath(parent, name, O_RDONLY | O_DIRECTORY);
}

}  // namespace

Result<Fd> openBeneath(int root, const std::string& path, int flags, unsigned mode) {
  Fd fd(openAny(root, path, flags, mode));
  if (fd) return fd;
  if (errno == ELOOP || errno == EXDEV) {
    return fail(ErrorCode::permission_denied,
                "open " + path + ": a symbolic link stands in the way and is not followed");
  }
  return failErrno(errno, "open " + path);
}

Result<Fd> makeDirectoriesBeneath(int root, const std::string& path, unsigned mode, bool durable) {
  auto there = openBeneath(root, path, O_RDONLY | O_DIRECTORY);
  if (there || there.error().code != ErrorCode::not_found) return there;
  Fd at;
  for (const std::string_view part : split(path, '/')) {
    const int parent = at ? at.get() : root;
    auto next = openBeneath(parent, std::string(part), O_RDONLY | O_DIRECTORY);
    if (!next && next.error().code == ErrorCode::not_found)
      next = makeOne(parent, std::string(part), mode, durable);
    if (!next) return next;
    at = std::move(*next);
  }
  return at;
}

Result<std::vector<std::string>> directoryNames(int directory) {
  // A fresh open file description: its read position is our own.
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = fd < 0 ? nullptr : ::fdopendir(fd);
  if (stream == nullptr) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return failErrno(error, "read a directory");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return failErrno(error, "read a directory");
  std::sort(names.begin(), names.end());
  return names;
}

Status removeEntry(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return failErrno(errno, "remove " + name);
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  if (errno != ENOTEMPTY && errno != EEXIST) return failErrno(errno, "remove " + name);
  Fd inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner && errno == EACCES && ::fchmodat(directory, name.c_str(), 0700, 0) == 0) {
    inner = Fd(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!inner) return failErrno(errno, "remove " + name);
  (void)::fchmod(inner.get(), 0700);
  BUOY_TRY(const auto names, directoryNames(inner.get()));
  for (const std::string& child : names) BUOY_TRY_VOID(removeEntry(inner.get(), child));
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return failErrno(errno, "remove " + name);
  return {};
}

}  // namespace buoy::os
