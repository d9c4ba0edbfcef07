#include "agent/input_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/pause.h"
#include "base/strings.h"
#include "objstore/object_store.h"
#include "os/boot_id.h"
#include "os/copy.h"
#include "os/file_state.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPart = ".part";
// How often a file that another agent downloads is looked at again.
constexpr Duration kLookAgain = std::chrono::milliseconds{50};
// The directory is looked through again when so much was added.
constexpr std::uint64_t kLookThroughEvery = 256u << 20;

bool isWhole(const struct stat& info, const InputCache::Wanted& wanted) {
  const struct timespec modified = os::toTimespec(wanted.modified);
  return S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == wanted.size &&
         info.st_mtim.tv_sec == modified.tv_sec && info.st_mtim.tv_nsec == modified.tv_nsec;
}

Status copyFile(const std::string& from, const std::string& path, Time modified) {
  BUOY_TRY(const os::Fd source, os::openFile(from, O_RDONLY));
  BUOY_TRY(const os::Fd copy, os::openFile(path, O_RDWR | O_CREAT | O_EXCL, 0444));
  if (!os::reflink(source.get(), copy.get())) {
    BUOY_TRY([[maybe_unused]] const auto size, os::copyContent(source.get(), copy.get(), UINT64_MAX));
  }
  const struct timespec times[2] = {os::toTimespec(modified), os::toTimespec(modified)};
  if (::futimens(copy.get(), times) != 0) return failErrno(errno, "set the time of " + path);
  return {};
}

// A name of its own for the file; a copy where the file system gives no second name.
Status giveName(const std::string& from, const std::string& path, Time modified) {
  if (::link(from.c_str(), path.c_str()) == 0) return {};
  if (errno != EXDEV && errno != EMLINK && errno != EPERM) return failErrno(errno, "link " + path);
  return copyFile(from, path, modified);
}

// The file under this name, locked: nobody else fills or removes it meanwhile.
Result<os::Fd> lockPart(const std::string& name, const std::stop_token& stop) {
  for (;;) {
    BUOY_TRY(os::Fd fd, os::openFile(name, O_RDWR | O_CREAT, 0600));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return failErrno(errno, "lock " + name);
      if (!pauseFor(kLookAgain, stop)) return fail(ErrorCode::cancelled, "the download was stopped");
    }
    struct stat mine {
    }, named{};
    if (::fstat(fd.get(), &mine) == 0 && ::stat(name.c_str(), &named) == 0 && mine.st_ino == named.st_ino)
      return fd;
    // Whoever had it locked has finished or removed it.
  }
}

struct Entry {
  std::string path;
  std::uint64_t bytes = 0;
  struct timespec used {};
};

bool olderThan(const Entry& a, const Entry& b) {
  return a.used.tv_sec != b.used.tv_sec ? a.used.tv_sec < b.used.tv_sec : a.used.tv_nsec < b.used.tv_nsec;
}

// What no job uses, longest unused first.
std::vector<Entry> unusedFiles(const std::string& directory) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::recursive_directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    struct stat info {};
    const std::string path = at->path().string();
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink > 1) continue;
    entries.push_back({path, static_cast<std::uint64_t>(info.st_blocks) * 512, info.st_atim});
  }
  std::sort(entries.begin(), entries.end(), olderThan);
  return entries;
}

// What somebody has locked stays: a part that is downloaded, and a whole file that whoever downloaded it is
// about to give its second name.
bool evict(const std::string& path) {
  const auto fd = os::openFile(path, O_RDONLY | O_NONBLOCK);
  return fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0 && ::unlink(path.c_str()) == 0;
}

}  // namespace

// The files of an earlier boot may be torn: they are removed, not used. Nothing else is: a directory that
// somebody chose may hold other things.
Result<std::string> InputCache::directory() {
  const std::string boot = os::bootId();
  const std::string directory = root_ + "/" + boot;
  struct stat info {};
  if (::stat(directory.c_str(), &info) == 0) return directory;
  BUOY_TRY_VOID(os::makeDirectories(directory, 0700));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_, error)) {
    const std::string name = entry.path().filename().string();
    if (os::isBootId(name) && name != boot) BUOY_TRY_VOID(os::removeTree(entry.path().string()));
  }
  return directory;
}

std::string InputCache::nameOf(const std::string& directory, const Wanted& wanted) const {
  const std::string hash = objstore::sha256Hex(wanted.id);
  return strCat({directory, "/", hash.substr(0, 2), "/", hash});
}

Result<bool> InputCache::take(const Wanted& wanted, const std::string& path) {
  return provide(wanted, path, giveName);
}

Result<bool> InputCache::copy(const Wanted& wanted, const std::string& path) {
  return provide(wanted, path, copyFile);
}

Status InputCache::keep(const Wanted& wanted, const std::string& path) {
  BUOY_TRY(const std::string place, directory());
  const std::string name = nameOf(place, wanted);
  BUOY_TRY_VOID(os::makeDirectories(name.substr(0, name.rfind('/')), 0700));
  if (::link(path.c_str(), name.c_str()) != 0 && errno != EEXIST) return failErrno(errno, "keep " + path);
  return {};
}

Result<bool> InputCache::provide(const Wanted& wanted, const std::string& path, Give give) {
  BUOY_TRY(const std::string place, directory());
  const std::string name = nameOf(place, wanted);
  struct stat info {};
  if (::stat(name.c_str(), &info) != 0) return false;
  if (!isWhole(info, wanted)) {
    (void)::unlink(name.c_str());  // a job has written into it
    return false;
  }
  const Status named = give(name, path, wanted.modified);
  if (!named && named.error().code == ErrorCode::not_found) return false;  // evicted at this moment
  BUOY_TRY_VOID(named);
  const std::array<struct timespec, 2> times{{{0, UTIME_NOW}, {0, UTIME_OMIT}}};
  (void)::utimensat(AT_FDCWD, name.c_str(), times.data(), 0);  // last used now
  return true;
}

Result<bool> InputCache::obtain(const Wanted& wanted, const std::string& path, const Fetch& fetch,
                                const std::stop_token& stop) {
  BUOY_TRY(const bool here, take(wanted, path));
  if (here) return true;
  BUOY_TRY(const std::string place, directory());
  const std::string name = nameOf(place, wanted);
  BUOY_TRY_VOID(os::makeDirectories(name.substr(0, name.rfind('/')), 0700));
  if (const std::uint64_t added = unchecked_.load();
      added > kLookThroughEvery || wanted.size > kLookThroughEvery) {
    unchecked_ = 0;
    BUOY_TRY_VOID(makeRoom(wanted.size));
  }
  unchecked_ += wanted.size;
  auto filled = fill(name, wanted, path, fetch, stop);
  if (filled || filled.error().code != ErrorCode::resource_exhausted) return filled;
  BUOY_TRY_VOID(makeRoom(UINT64_MAX / 2));  // the disk is full: nothing is kept that no job uses
  return fill(name, wanted, path, fetch, stop);
}

Result<bool> InputCache::fill(const std::string& name, const Wanted& wanted, const std::string& path,
                              const Fetch& fetch, const std::stop_token& stop) {
  const std::string part = strCat({name, kPart});
  BUOY_TRY(const os::Fd fd, lockPart(part, stop));
  BUOY_TRY(const bool here, take(wanted, path));  // by another agent, while this one waited
  if (here) {
    (void)::unlink(part.c_str());
    return true;
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failErrno(errno, "read " + part);
  auto from = static_cast<std::uint64_t>(info.st_size);
  if (from > wanted.size) from = 0;
  if (::ftruncate(fd.get(), static_cast<off_t>(from)) != 0) return failErrno(errno, "shorten " + part);
  if (::lseek(fd.get(), static_cast<off_t>(from), SEEK_SET) < 0) return failErrno(errno, "seek in " + part);
  if (Status fetched = fetch(fd.get(), from); !fetched) {
    // Wrong content is of no use to the next try.
    if (fetched.error().code == ErrorCode::data_loss) (void)!::ftruncate(fd.get(), 0);
    return fail(std::move(fetched).error());
  }
  const struct timespec times[2] = {{0, UTIME_NOW}, os::toTimespec(wanted.modified)};
  if (::fchmod(fd.get(), 0444) != 0) return failErrno(errno, "set the mode of " + part);
  if (::futimens(fd.get(), times) != 0) return failErrno(errno, "set the time of " + part);
  if (::fstat(fd.get(), &info) != 0 || !isWhole(info, wanted)) {
    (void)::unlink(part.c_str());
    return fail(ErrorCode::unavailable,
                strCat({"has ", std::to_string(info.st_size), " bytes and not the ",
                        std::to_string(wanted.size), " it was listed with: it changed meanwhile"}),
                true);
  }
  if (::rename(part.c_str(), name.c_str()) != 0) return failErrno(errno, "rename to " + name);
  BUOY_TRY_VOID(giveName(name, path, wanted.modified));
  return false;
}

Result<std::uint64_t> InputCache::limit(const std::string& directory) const {
  if (limit_ != 0) return limit_;
  struct statvfs info {};
  if (::statvfs(directory.c_str(), &info) != 0) return failErrno(errno, "examine " + directory);
  return static_cast<std::uint64_t>(info.f_blocks) * info.f_frsize / 4;
}

Status InputCache::makeRoom(std::uint64_t bytes) {
  BUOY_TRY(const std::string place, directory());
  BUOY_TRY(const std::uint64_t most, limit(place));
  std::vector<Entry> unused = unusedFiles(place);
  std::uint64_t sum = bytes;
  for (const Entry& entry : unused) sum += entry.bytes;
  for (const Entry& entry : unused) {
    if (sum <= most) break;
    if (evict(entry.path)) sum -= entry.bytes;
  }
  return {};
}

}  // namespace buoy::agent
