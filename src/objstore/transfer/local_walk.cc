#include "objstore/transfer/local_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

Time modificationTime(const struct stat& info) {
  return Time{std::chrono::duration_cast<Duration>(std::chrono::seconds{info.st_mtim.tv_sec} +
                                                   std::chrono::nanoseconds{info.st_mtim.tv_nsec})};
}

std::string specialMessage(mode_t mode) {
  if (S_ISSOCK(mode)) return "is a socket, and was left out";
  if (S_ISFIFO(mode)) return "is a FIFO, and was left out";
  return "is a device, and was left out";
}

unsigned char typeOf(mode_t mode) {
  return S_ISDIR(mode) ? DT_DIR : S_ISREG(mode) ? DT_REG : DT_UNKNOWN;
}

}  // namespace

Result<LocalWalk> LocalWalk::open(const std::string& root, LocalWalkOptions options) {
  BUOY_TRY(os::Fd fd, os::openFile(root, O_RDONLY | O_NONBLOCK));  // a FIFO would wait
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failErrno(errno, root);
  if (!S_ISDIR(info.st_mode)) return fail(ErrorCode::invalid_argument, root + " is not a directory");
  return LocalWalk(std::move(fd), std::move(options));
}

LocalWalk::LocalWalk(os::Fd root, LocalWalkOptions options)
    : root_(std::move(root)), options_(std::move(options)) {
  enter("");
}

void LocalWalk::skip(Skipped::Why why, std::string_view path, std::string message) {
  if (options_.on_skip) options_.on_skip({why, std::string(path), std::move(message)});
}

void LocalWalk::enter(std::string_view name) {
  Level level;
  level.prefix_size = prefix_.size();
  prefix_ += name;
  if (const Status read = readNames(level); !read) {
    const bool loop = read.error().code == ErrorCode::failed_precondition;
    skip(loop ? Skipped::Why::loop : Skipped::Why::unreadable, prefix_, read.error().message);
    prefix_.resize(level.prefix_size);
    return;
  }
  levels_.push_back(std::move(level));
}

// An error is one sentence without the path; failed_precondition: the directory leads to itself.
Status LocalWalk::readNames(Level& level) {
  const std::string path = prefix_.empty() ? "." : prefix_;
  os::Fd fd(::openat(root_.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return failErrno(errno, "the directory cannot be read");
  const bool loop = std::any_of(levels_.begin(), levels_.end(), [&info](const Level& above) {
    return above.device == info.st_dev && above.inode == info.st_ino;
  });
  level.device = info.st_dev;
  level.inode = info.st_ino;
  if (loop)
    return fail(ErrorCode::failed_precondition, "is a link to a directory above itself, and was left out");
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (directory == nullptr) return failErrno(errno, "the directory cannot be read");
  fd.release();  // closed with the directory
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") addName(level, ::dirfd(directory.get()), name, entry->d_type);
  }
  if (errno != 0) return failErrno(errno, "the directory cannot be read");
  const std::string_view text = level.text;
  std::sort(level.names.begin(), level.names.end(), [text](const Name& a, const Name& b) {
    return text.substr(a.begin, a.size) < text.substr(b.begin, b.size);
  });
  return {};
}

void LocalWalk::addName(Level& level, int directory, std::string_view name, unsigned char type) {
  if (name.starts_with(kUnfinishedPrefix)) return;
  if (type == DT_LNK && !options_.follow_links) return;
  if (type != DT_DIR && type != DT_REG) {
    struct stat info {};
    const std::string copy(name);
    if (!options_.follow_links && ::fstatat(directory, copy.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(info.st_mode))
      return;  // a file system that does not tell types
    if (::fstatat(directory, copy.c_str(), &info, 0) != 0) {
      const bool nothing = errno == ENOENT || errno == ELOOP;
      return skip(nothing ? Skipped::Why::special : Skipped::Why::unreadable, prefix_ + copy,
                  nothing ? "is a symbolic link that leads nowhere, and was left out"
                          : "cannot be read: " + std::string(std::strerror(errno)));
    }
    type = typeOf(info.st_mode);
    if (type == DT_UNKNOWN) return skip(Skipped::Why::special, prefix_ + copy, specialMessage(info.st_mode));
  }
  if (!isValidUtf8(name)) {
    return skip(Skipped::Why::not_utf8, prefix_ + std::string(name),
                "has a name that is not UTF-8, which no key can be, and was left out");
  }
  const std::size_t begin = level.text.size();
  level.text += name;
  if (type == DT_DIR) level.text += '/';
  level.names.push_back({begin, level.text.size() - begin});
}

// False: it has vanished, or is no file any more.
bool LocalWalk::describe(TreeEntry& entry) {
  struct stat info {};
  if (::fstatat(root_.get(), entry.path.c_str(), &info, 0) != 0) {
    if (errno != ENOENT)
      skip(Skipped::Why::unreadable, entry.path, "cannot be read: " + std::string(std::strerror(errno)));
    return false;
  }
  entry.size = static_cast<std::uint64_t>(info.st_size);
  entry.modified = modificationTime(info);
  entry.etag.clear();
  return S_ISREG(info.st_mode);
}

Result<bool> LocalWalk::next(TreeEntry& entry) {
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.at == level.names.size()) {
      prefix_.resize(level.prefix_size);
      levels_.pop_back();
      continue;
    }
    const Name at = level.names[level.at++];
    const std::string_view name = std::string_view(level.text).substr(at.begin, at.size);
    if (name.ends_with('/')) {
      enter(name);  // `level` may move
      continue;
    }
    entry.path.assign(prefix_).append(name);
    if (describe(entry)) return true;
  }
  return false;
}

}  // namespace buoy::objstore
