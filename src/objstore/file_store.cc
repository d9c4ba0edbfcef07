#include "objstore/file_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_set>
#include <utility>

#include "base/strings.h"
#include "objstore/file_layout.h"
#include "objstore/file_temp.h"
#include "objstore/sha256.h"
#include "os/beneath.h"
#include "os/copy.h"
#include "os/crash_point.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

constexpr int kPublishTries = 5;
constexpr std::size_t kCopyStep = 256u << 10;
// From this many new objects on, one sync of the whole file system is cheaper than one for each, and
// descriptors are saved.
constexpr std::size_t kSyncTogether = 256;

struct Place {
  std::string directory;  // "": the root
  std::string name;
};

Place placeOf(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// A new object may lie below what is already an object, or be a directory of others.
Error explainConflict(Error error, const std::string& key, bool directory) {
  if (!directory) return error.wrap("store object " + key);
  return Error{
      ErrorCode::invalid_argument,
      "store object " + key + ": an object of a file store cannot be a directory of other objects as well",
      false};
}

Status publish(int root, TempFile& file, const std::string& key, bool exclusive) {
  BUOY_TRY(const std::string path, pathOfKey(key));
  const Place place = placeOf(path);
  for (int tries = 1;; ++tries) {
    auto directory = os::makeDirectoriesBeneath(root, place.directory, 0755, true);
    if (!directory) {
      const ErrorCode code = directory.error().code;
      // ENOTDIR: a component is a file.
      return fail(explainConflict(directory.error(), key, code == ErrorCode::not_found));
    }
    const Status named = file.publish(directory->get(), place.name, exclusive);
    if (!named && named.error().code == ErrorCode::not_found && tries < kPublishTries)
      continue;  // just pruned
    if (!named && named.error().code != ErrorCode::already_exists) {
      struct stat info {};
      const bool is_directory =
          ::fstatat(directory->get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISDIR(info.st_mode);
      return fail(explainConflict(named.error(), key, is_directory));
    }
    // Also when somebody else was first: what the caller now relies on is durable.
    if (::fsync(directory->get()) != 0) return failErrno(errno, "sync the directory of object " + key);
    return named;
  }
}

struct FileState {
  struct stat info {};
  static Result<FileState> of(int fd) {
    FileState state;
    if (::fstat(fd, &state.info) != 0) return failErrno(errno, "examine a file");
    return state;
  }
  bool same(const FileState& other) const {
    return info.st_size == other.info.st_size && info.st_ino == other.info.st_ino &&
           info.st_mtim.tv_sec == other.info.st_mtim.tv_sec &&
           info.st_mtim.tv_nsec == other.info.st_mtim.tv_nsec &&
           info.st_ctim.tv_sec == other.info.st_ctim.tv_sec &&
           info.st_ctim.tv_nsec == other.info.st_ctim.tv_nsec;
  }
};

void startWriteback(int fd, std::uint64_t from, std::uint64_t to) {
  (void)::sync_file_range(fd, static_cast<off_t>(from), static_cast<off_t>(to - from), SYNC_FILE_RANGE_WRITE);
}

// Puts the content of `from` into the empty `to`; its hash if wanted is that of the bytes in `to`, whatever
// happens to `from` meanwhile. failed_precondition: `from` is not of this size, or changed.
Status takeBytes(int from, int to, std::uint64_t size, std::string* sha256, std::stop_token stop) {
  const auto changed = [] {
    return fail(ErrorCode::failed_precondition, "the file changed while it was read", true);
  };
  BUOY_TRY(const FileState before, FileState::of(from));
  if (static_cast<std::uint64_t>(before.info.st_size) != size) return changed();
  std::uint64_t copied = 0;
  if (os::reflink(from, to)) {
    if (sha256 != nullptr) {
      BUOY_TRY(HashedContent hashed, hashFile(to, size + 1, stop));
      copied = hashed.size;
      *sha256 = std::move(hashed.sha256);
    } else {
      BUOY_TRY(const FileState clone, FileState::of(to));
      copied = static_cast<std::uint64_t>(clone.info.st_size);
    }
  } else if (sha256 != nullptr) {
    Sha256 hash;
    BUOY_TRY(copied, os::copyContent(from, to, size, [&](std::string_view piece) {
               hash.update(piece);
               return !stop.stop_requested();
             }));
    *sha256 = hash.hexDigest();
  } else {
    BUOY_TRY(copied, os::copyContent(from, to, size));
  }
  BUOY_TRY(const FileState after, FileState::of(from));
  if (copied != size || !before.same(after)) return changed();
  return {};
}

// The open file of an object. not_found: there is none, or it is no regular file.
Result<os::Fd> openObject(TempSpace& space, const std::string& key, int flags) {
  BUOY_TRY(const std::string path, pathOfKey(key));
  BUOY_TRY(const int root, space.root(false));
  auto fd = os::openBeneath(root, path, (flags & O_PATH) != 0 ? flags : flags | O_NONBLOCK);
  if (!fd) {
    Error error = fd.error();
    if (error.code == ErrorCode::not_found) error.message = "no object " + key;
    return fail(std::move(error));
  }
  return fd;
}

Result<ObjectInfo> infoOf(int fd, const std::string& key) {
  BUOY_TRY(const FileState state, FileState::of(fd));
  if (!S_ISREG(state.info.st_mode)) return fail(ErrorCode::not_found, "no object " + key);
  const auto modified =
      std::chrono::seconds{state.info.st_mtim.tv_sec} + std::chrono::nanoseconds{state.info.st_mtim.tv_nsec};
  // Writers replace the file, so its inode and times are those of its content.
  std::string etag = strCat({"\"", std::to_string(state.info.st_ino), "-", std::to_string(state.info.st_size),
                             "-", std::to_string(modified.count()), "\""});
  return ObjectInfo{key, static_cast<std::uint64_t>(state.info.st_size),
                    Time{std::chrono::duration_cast<Duration>(modified)}, std::move(etag)};
}

Status appendPieces(int to, const std::vector<net::BodyPiece>& content, const std::stop_token& stop) {
  std::vector<char> space;
  for (const net::BodyPiece& piece : content) {
    if (piece.fd < 0) {
      BUOY_TRY_VOID(os::writeAll(to, piece.memory));
      continue;
    }
    auto offset = static_cast<off_t>(piece.offset);
    const auto end = static_cast<off_t>(piece.offset + piece.size);
    while (offset < end) {
      if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
      space.resize(kCopyStep);
      const auto wanted = static_cast<std::size_t>(std::min<off_t>(kCopyStep, end - offset));
      const ssize_t count = ::pread(piece.fd, space.data(), wanted, offset);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failErrno(errno, "read the file that is stored");
      if (count == 0)
        return fail(ErrorCode::failed_precondition, "the file became shorter while it was stored");
      BUOY_TRY_VOID(os::writeAll(to, {space.data(), static_cast<std::size_t>(count)}));
      offset += count;
    }
  }
  return {};
}

// Parts in temporary files of their own, put together at the end.
class FileMultipart final : public MultipartPut {
 public:
  FileMultipart(TempSpace& space, std::string key) : space_(space), key_(std::move(key)) {}

  Status put(int number, const std::vector<net::BodyPiece>& content, std::stop_token stop) override {
    if (number < 1) return fail(ErrorCode::invalid_argument, "parts are numbered from 1");
    BUOY_TRY(TempFile file, space_.create());
    BUOY_TRY_VOID(appendPieces(file.fd(), content, stop));
    const std::lock_guard lock(mutex_);
    parts_.erase(number);
    parts_.emplace(number, std::move(file));
    return {};
  }

  Status finish() override {
    const std::lock_guard lock(mutex_);
    BUOY_TRY(const int root, space_.root(true));
    BUOY_TRY(TempFile whole, space_.create());
    for (const auto& [number, part] : parts_) {
      BUOY_TRY(const FileState state, FileState::of(part.fd()));
      BUOY_TRY_VOID(appendPieces(
          whole.fd(), {net::BodyPiece{{}, part.fd(), 0, static_cast<std::uint64_t>(state.info.st_size)}},
          {}));
    }
    BUOY_TRY_VOID(whole.sync());
    return publish(root, whole, key_, false);
  }

 private:
  TempSpace& space_;
  const std::string key_;
  std::mutex mutex_;
  std::map<int, TempFile> parts_;
};

class FileBatch final : public ObjectBatch {
 public:
  FileBatch(FileStore& store, TempSpace& space) : store_(store), space_(space) {}

  Result<Added> add(const std::string& prefix, int fd, std::uint64_t size, std::stop_token stop) override {
    BUOY_TRY(TempFile file, space_.create());
    Added added;
    BUOY_TRY_VOID(takeBytes(fd, file.fd(), size, &added.sha256, stop));
    const std::string key = prefix + added.sha256;
    BUOY_TRY(const std::string path, pathOfKey(key));
    directories_.insert(placeOf(path).directory);
    if (pending_.contains(key)) return added;
    // One of another size is damaged: it is replaced.
    if (const auto there = store_.head(key); there && there->size == size) return added;
    added.fresh = true;
    // Descriptors are few; names are many.
    if (pending_.size() >= kSyncTogether) {
      file.close();
      sync_together_ = true;
    }
    pending_.emplace(key, std::move(file));
    os::crashPoint("objstore.object_written");
    return added;
  }

  void drop(const std::string& prefix, const Added& added) override {
    if (added.fresh) pending_.erase(prefix + added.sha256);
  }

  Status finish() override {
    if (directories_.empty()) return {};
    BUOY_TRY(const int root, space_.root(true));
    BUOY_TRY_VOID(syncContent(root));
    for (int tries = 1;; ++tries) {
      const Status named = nameAll(root);
      if (named) return {};
      if (named.error().code != ErrorCode::not_found || tries >= kPublishTries) return named;
    }
  }

 private:
  Status syncContent(int root) {
    if (sync_together_) {
      if (::syncfs(root) != 0) return failErrno(errno, "sync new objects");
      return {};
    }
    // All are on their way before the first is waited for: the file system then commits them together.
    for (const auto& [key, file] : pending_) startWriteback(file.fd(), 0, 1ull << 62);
    for (const auto& [key, file] : pending_) BUOY_TRY_VOID(file.sync());
    return {};
  }

  Status nameAll(int root) {
    for (const std::string& name : directories_) {
      BUOY_TRY(const os::Fd directory, os::makeDirectoriesBeneath(root, name, 0755, true));
      for (auto it = pending_.begin(); it != pending_.end();) {
        BUOY_TRY(const std::string path, pathOfKey(it->first));
        const Place place = placeOf(path);
        if (place.directory != name) {
          ++it;
          continue;
        }
        BUOY_TRY_VOID(it->second.publish(directory.get(), place.name, false));
        it = pending_.erase(it);
        os::crashPoint("objstore.object_named");
      }
      if (::fsync(directory.get()) != 0) return failErrno(errno, "sync the directory of new objects");
    }
    return {};
  }

  FileStore& store_;
  TempSpace& space_;
  std::map<std::string, TempFile> pending_;  // by key; content written, not synced
  std::unordered_set<std::string> directories_;
  bool sync_together_ = false;
};

}  // namespace

FileStore::FileStore(std::string root) : root_(std::move(root)), space_(std::make_unique<TempSpace>(root_)) {}

FileStore::~FileStore() = default;

std::string FileStore::uri() const {
  return "file://" + root_;
}

Status FileStore::writeContent(const std::string& key, std::string_view content, bool exclusive) {
  BUOY_TRY_VOID(pathOfKey(key));
  BUOY_TRY(const int root, space_->root(true));
  BUOY_TRY(TempFile file, space_->create());
  BUOY_TRY_VOID(os::writeAll(file.fd(), content));
  BUOY_TRY_VOID(file.sync());
  os::crashPoint("objstore.temp_written");
  return publish(root, file, key, exclusive);
}

Status FileStore::put(const std::string& key, std::string_view content) {
  return writeContent(key, content, false);
}

Status FileStore::putIfAbsent(const std::string& key, std::string_view content) {
  return writeContent(key, content, true);
}

Status FileStore::putFile(const std::string& key, int fd, std::uint64_t size, std::string* sha256) {
  BUOY_TRY_VOID(pathOfKey(key));
  BUOY_TRY(const int root, space_->root(true));
  BUOY_TRY(TempFile file, space_->create());
  BUOY_TRY_VOID(takeBytes(fd, file.fd(), size, sha256, {}));
  BUOY_TRY_VOID(file.sync());
  return publish(root, file, key, false);
}

Status FileStore::putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                            std::stop_token stop) {
  BUOY_TRY_VOID(pathOfKey(key));
  BUOY_TRY(const int root, space_->root(true));
  BUOY_TRY(TempFile file, space_->create());
  BUOY_TRY_VOID(appendPieces(file.fd(), content, stop));
  BUOY_TRY_VOID(file.sync());
  return publish(root, file, key, false);
}

Result<std::unique_ptr<MultipartPut>> FileStore::beginMultipart(const std::string& key) {
  BUOY_TRY_VOID(pathOfKey(key));
  return std::make_unique<FileMultipart>(*space_, key);
}

Status FileStore::putIfMatch(const std::string& key, std::string_view content, const std::string& etag) {
  const std::lock_guard lock(conditional_);
  BUOY_TRY(const ObjectInfo there, head(key));
  if (there.etag != etag)
    return fail(ErrorCode::failed_precondition, "object " + key + " is another one by now");
  return put(key, content);
}

Status FileStore::copy(const std::string& from, const std::string& to) {
  BUOY_TRY(const os::Fd fd, openObject(*space_, from, O_RDONLY));
  BUOY_TRY(const ObjectInfo info, infoOf(fd.get(), from));
  return putFile(to, fd.get(), info.size, nullptr);
}

Status FileStore::getRange(const std::string& key, std::uint64_t offset, std::uint64_t size,
                           const OnPiece& on_piece, std::stop_token stop) {
  BUOY_TRY(const os::Fd fd, openObject(*space_, key, O_RDONLY));
  BUOY_TRY(const ObjectInfo info, infoOf(fd.get(), key));
  if (info.size < offset || info.size - offset < size)
    return fail(ErrorCode::invalid_argument, "object " + key + " is shorter than the range asked for");
  std::vector<char> space(static_cast<std::size_t>(std::min<std::uint64_t>(kCopyStep, size)));
  while (size > 0) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(space.size(), size));
    const ssize_t count = ::pread(fd.get(), space.data(), wanted, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failErrno(errno, "read object " + key);
    if (count == 0) return fail(ErrorCode::data_loss, "object " + key + " became shorter");
    BUOY_TRY_VOID(on_piece({space.data(), static_cast<std::size_t>(count)}));
    offset += static_cast<std::uint64_t>(count);
    size -= static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<std::string> FileStore::get(const std::string& key, std::uint64_t limit) {
  BUOY_TRY(const os::Fd fd, openObject(*space_, key, O_RDONLY));
  BUOY_TRY(const ObjectInfo info, infoOf(fd.get(), key));
  if (info.size > limit) {
    return fail(ErrorCode::resource_exhausted, "object " + key + " has " + formatByteCount({info.size}) +
                                                   ", more than the limit of " + formatByteCount({limit}));
  }
  std::string content;
  content.reserve(info.size);
  BUOY_TRY_VOID(os::readPieces(fd.get(), info.size, [&](std::string_view piece) {
    content.append(piece);
    return true;
  }));
  return content;
}

Status FileStore::getFile(const std::string& key, int fd, std::string_view sha256) {
  BUOY_TRY(const os::Fd from, openObject(*space_, key, O_RDONLY));
  BUOY_TRY(const ObjectInfo info, infoOf(from.get(), key));
  std::string found;
  const bool shared = os::reflink(from.get(), fd);
  if (shared && !sha256.empty()) {
    BUOY_TRY(HashedContent hashed, hashFile(fd, info.size));
    found = std::move(hashed.sha256);
  } else if (!shared && !sha256.empty()) {
    Sha256 hash;
    BUOY_TRY_VOID(os::copyContent(from.get(), fd, info.size, [&](std::string_view piece) {
      hash.update(piece);
      return true;
    }));
    found = hash.hexDigest();
  } else if (!shared) {
    BUOY_TRY_VOID(os::copyContent(from.get(), fd, info.size));
  }
  if (found != sha256)
    return fail(ErrorCode::data_loss, "object " + key + " is damaged: its hash is " + found);
  return {};
}

Result<ObjectInfo> FileStore::head(const std::string& key) {
  BUOY_TRY(const os::Fd fd, openObject(*space_, key, O_PATH));
  return infoOf(fd.get(), key);
}

Result<std::vector<ObjectInfo>> FileStore::list(const std::string& prefix, const std::string& after,
                                                int limit) {
  const auto root = space_->root(false);
  if (!root && root.error().code == ErrorCode::not_found) return std::vector<ObjectInfo>{};
  if (!root) return fail(root.error());
  return listFiles(*root, prefix, after, limit);
}

Status FileStore::remove(const std::string& key) {
  BUOY_TRY(const std::string path, pathOfKey(key));
  const auto root = space_->root(false);
  if (!root) return root.error().code == ErrorCode::not_found ? Status{} : fail(root.error());
  Place place = placeOf(path);
  for (bool object = true;; object = false) {
    const auto parent = os::openBeneath(*root, place.directory, O_RDONLY | O_DIRECTORY);
    if (!parent) return parent.error().code == ErrorCode::not_found ? Status{} : fail(parent.error());
    if (::unlinkat(parent->get(), place.name.c_str(), object ? 0 : AT_REMOVEDIR) != 0) {
      // A directory that is not empty ends the pruning; the key of a directory is no object.
      if (!object || errno == ENOENT || errno == EISDIR) return {};
      return failErrno(errno, "remove object " + key);
    }
    if (place.directory.empty()) return {};
    place = placeOf(place.directory);
  }
}

std::unique_ptr<ObjectBatch> FileStore::newBatch() {
  return std::make_unique<FileBatch>(*this, *space_);
}

}  // namespace buoy::objstore
