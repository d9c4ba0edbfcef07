#include "objstore/file_temp.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <utility>

#include "base/strings.h"
#include "objstore/file_layout.h"
#include "os/beneath.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

constexpr std::time_t kYoung = 60;  // seconds in which a session may not have its lock yet
constexpr std::time_t kForgotten =
    24 * 3600;  // a session nobody can be asked about (no locks there) is dead by then

bool isDead(int temporaries, const std::string& session) {
  struct stat info {};
  if (::fstatat(temporaries, session.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  const std::time_t age = std::time(nullptr) - info.st_mtime;
  if (age >= 0 && age < kYoung) return false;
  const auto lock = os::openBeneath(temporaries, session + "/lock", O_RDWR);
  if (!lock) return lock.error().code == ErrorCode::not_found;
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) == 0) return true;
  return errno != EWOULDBLOCK && age > kForgotten;
}

void removeDeadSessions(int temporaries, const std::string& own) {
  const auto names = os::directoryNames(temporaries);
  if (!names) return;
  for (const std::string& name : *names) {
    if (name != own && isDead(temporaries, name)) (void)os::removeEntry(temporaries, name);
  }
}

Result<std::string> randomName() {
  std::array<unsigned char, 12> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return failErrno(errno, "read random bytes");
  }
  return toHex(bytes);
}

}  // namespace

TempFile::TempFile(TempFile&& other) noexcept
    : root_(other.root_), path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}

TempFile::~TempFile() {
  if (!path_.empty()) ::unlinkat(root_, path_.c_str(), 0);
}

Status TempFile::sync() const {
  if (::fdatasync(fd_.get()) != 0) return failErrno(errno, "sync a new object");
  return {};
}

Status TempFile::publish(int directory, const std::string& name, bool exclusive) {
  if (!exclusive) {
    if (::renameat(root_, path_.c_str(), directory, name.c_str()) != 0)
      return failErrno(errno, "name object " + name);
    path_.clear();
    return {};
  }
  // link(2) is atomic and exclusive everywhere; where there are no hard links, rename without replacing is.
  if (::linkat(root_, path_.c_str(), directory, name.c_str(), 0) == 0) {
    ::unlinkat(root_, path_.c_str(), 0);
    path_.clear();
    return {};
  }
  if (errno != EPERM && errno != EOPNOTSUPP) return failErrno(errno, "name object " + name);
  if (::renameat2(root_, path_.c_str(), directory, name.c_str(), RENAME_NOREPLACE) != 0) {
    return failErrno(errno, "name object " + name);
  }
  path_.clear();
  return {};
}

TempSpace::TempSpace(std::string root) : root_path_(std::move(root)) {}

TempSpace::~TempSpace() {
  // Fails, as it should, if a forked child that shares the session still has files there.
  if (session_.empty()) return;
  ::unlinkat(root_.get(), (session_ + "/lock").c_str(), 0);
  ::unlinkat(root_.get(), session_.c_str(), AT_REMOVEDIR);
}

Result<int> TempSpace::root(bool create) {
  std::lock_guard guard(mutex_);
  if (root_) return root_.get();
  auto opened = os::openFile(root_path_, O_RDONLY | O_DIRECTORY);
  if (!opened && opened.error().code == ErrorCode::not_found && create) {
    BUOY_TRY_VOID(os::makeDirectories(root_path_));
    opened = os::openFile(root_path_, O_RDONLY | O_DIRECTORY);
  }
  if (!opened) return fail(opened.error().wrap("store file://" + root_path_));
  root_ = std::move(*opened);
  return root_.get();
}

Result<std::string> TempSpace::session(int root, const std::string& gone) {
  std::lock_guard guard(mutex_);
  if (!session_.empty() && session_ != gone) return session_;
  BUOY_TRY(const os::Fd temporaries,
           os::makeDirectoriesBeneath(root, std::string(kTempDirectory), 0755, true));
  BUOY_TRY(const std::string name, randomName());
  BUOY_TRY(const os::Fd directory, os::makeDirectoriesBeneath(temporaries.get(), name, 0755, false));
  BUOY_TRY(lock_, os::openBeneath(directory.get(), "lock", O_RDWR | O_CREAT | O_EXCL, 0644));
  (void)::flock(lock_.get(), LOCK_EX | LOCK_NB);
  removeDeadSessions(temporaries.get(), name);
  session_ = std::string(kTempDirectory) + "/" + name;
  return session_;
}

Result<TempFile> TempSpace::create() {
  BUOY_TRY(const int root_fd, root(true));
  std::string gone;
  for (int tries = 0;; ++tries) {
    BUOY_TRY(const std::string directory, session(root_fd, gone));
    const std::string path = directory + "/" + std::to_string(next_.fetch_add(1));
    auto fd = os::openBeneath(root_fd, path, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd) return TempFile(root_fd, path, std::move(*fd));
    // A forked child counts in the same session, and may have removed it when it ended.
    if (fd.error().code == ErrorCode::already_exists) continue;
    if (fd.error().code != ErrorCode::not_found || tries >= 3) {
      return fail(fd.error().wrap("store file://" + root_path_));
    }
    gone = directory;
  }
}

}  // namespace buoy::objstore
