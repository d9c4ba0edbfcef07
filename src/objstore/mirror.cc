#include "objstore/mirror.h"

#include <fcntl.h>

#include <atomic>
#include <mutex>
#include <optional>

#include "objstore/checkpoint_path.h"
#include "objstore/list_pages.h"
#include "objstore/snapshot.h"
#include "objstore/transfer/pool.h"
#include "os/beneath.h"
#include "os/copy.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

constexpr std::uint64_t kSmall = 8u << 20;
// A download gets its name when it is whole.
constexpr std::string_view kPartial = ".buoy-mirror.tmp";

struct RemoteFile {
  std::string key;
  std::uint64_t size = 0;
};
bool isSmall(const RemoteFile& file) {
  return file.size <= kSmall;
}
bool isSmall(const ScannedFile& file) {
  return file.identity.size <= kSmall;
}

// `work(item)` for all. Of a store that is far away, small ones side by side on its pool; the transfer of a
// large one uses the pool itself, and so must not wait there.
template <class Item, class Work>
Status forEach(ObjectStore& store, const std::vector<Item>& items, const std::stop_token& stop, Work work) {
  std::optional<TaskGroup> group;
  if (store.pool() != nullptr) group.emplace(*store.pool(), stop);
  for (const Item& item : items) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    if (group && isSmall(item)) {
      group->run([&work, &item] { return work(item); });
    } else {
      BUOY_TRY_VOID(work(item));
    }
  }
  return group ? group->wait() : Status{};
}

}  // namespace

Status Mirror::begin(const std::string& directory) {
  BUOY_TRY(const Snapshot snapshot, scanDirectory(directory, {}));
  std::unordered_map<std::string, std::uint64_t> there;
  BUOY_TRY_VOID(listPages(*store_, "", [&](const auto& page) -> Status {
    for (const ObjectInfo& object : page) there.emplace(object.key, object.size);
    return {};
  }));
  for (const ScannedFile& file : snapshot.files) {
    const auto it = there.find(file.file.path);
    if (file.file.kind == CheckpointFile::Kind::file && it != there.end() && it->second == file.file.size)
      placed_.insert_or_assign(file.file.path, Placed{file.identity, "", false});
  }
  return {};
}

Result<Mirror::Stats> Mirror::put(const std::string& directory, const std::vector<ScannedFile>& files,
                                  std::stop_token stop) {
  BUOY_TRY(const os::Fd root, os::openFile(directory, O_RDONLY | O_DIRECTORY));
  std::unordered_set<std::string> present;
  std::vector<ScannedFile> changed;
  for (const ScannedFile& file : files) {
    if (file.file.kind != CheckpointFile::Kind::file) continue;
    present.insert(file.file.path);
    const auto placed = placed_.find(file.file.path);
    const bool same = placed != placed_.end() && placed->second.identity == file.identity;
    if (!same && !file.skipped && validateKey(file.file.path)) changed.push_back(file);
  }
  Stats stats;
  const auto stoppable = store_->until(stop);
  ObjectStore& store = stoppable ? *stoppable : *store_;
  BUOY_TRY_VOID(forEach(store, changed, stop, [&](const ScannedFile& file) {
    return putFile(store, file, root.get(), stop, stats);
  }));
  BUOY_TRY_VOID(removeGone(present, stats));
  return stats;
}

Status Mirror::putFile(ObjectStore& store, const ScannedFile& file, int root, const std::stop_token& stop,
                       Stats& stats) {
  const std::string& path = file.file.path;
  const auto fd = os::openBeneath(root, path, O_RDONLY | O_NONBLOCK);
  if (!fd) return fd.error().code == ErrorCode::not_found ? Status{} : fail(fd.error());
  BUOY_TRY(const os::FileIdentity before, os::identityOf(fd->get()));
  if (before != file.identity) return {};
  const Status status = isSmall(file) ? store.putPieces(path, {{{}, fd->get(), 0, before.size}}, stop)
                                      : store.putFile(path, fd->get(), before.size, nullptr);
  BUOY_TRY(const os::FileIdentity after, os::identityOf(fd->get()));
  const bool changed = after != file.identity;
  if (!status) return changed ? Status{} : fail(status.error().wrap("mirror: \"" + escaped(path) + "\""));
  BUOY_TRY(const ObjectInfo object, store.head(path));
  const std::lock_guard lock(mutex_);
  // One that changed while it was sent is ours as well, and is put again at the next call.
  placed_.insert_or_assign(path, Placed{changed ? os::FileIdentity{} : before, object.etag, true});
  if (changed) return {};
  ++stats.files;
  stats.bytes += before.size;
  return {};
}

Status Mirror::removeGone(const std::unordered_set<std::string>& present, Stats& stats) {
  for (auto it = placed_.begin(); it != placed_.end();) {
    if (present.contains(it->first)) {
      ++it;
      continue;
    }
    if (!it->second.ours) {
      it = placed_.erase(it);
      continue;
    }
    const auto object = store_->head(it->first);
    if (!object && object.error().code != ErrorCode::not_found) return fail(object.error().wrap("mirror"));
    // Another machine's by now: it stays.
    if (object && object->etag == it->second.etag) {
      BUOY_TRY_VOID(store_->remove(it->first));
      ++stats.removed;
    }
    it = placed_.erase(it);
  }
  return {};
}

Result<Mirror::Stats> Mirror::fetch(const std::string& directory, std::stop_token stop) {
  BUOY_TRY_VOID(os::makeDirectories(directory));
  BUOY_TRY(const os::Fd root, os::openFile(directory, O_RDONLY | O_DIRECTORY));
  Stats stats;
  const auto stoppable = store_->until(stop);
  ObjectStore& store = stoppable ? *stoppable : *store_;
  std::atomic<std::uint64_t> number{0};
  std::mutex mutex;  // guards stats
  const auto download = [&](const RemoteFile& object, int fd) {
    if (!isSmall(object)) return store.getFile(object.key, fd, "");
    std::uint64_t at = 0;
    const auto write = [&](std::string_view piece) {
      const std::uint64_t here = at;
      at += piece.size();
      return os::writeAllAt(fd, piece, here, "write the file");
    };
    return store.getRange(object.key, 0, object.size, write, stop);
  };
  const auto fetchOne = [&](const RemoteFile& object) -> Status {
    const std::string partial = std::string(kPartial) + std::to_string(++number);
    (void)os::removeEntry(root.get(), partial);
    BUOY_TRY(const os::Fd fd, os::openBeneath(root.get(), partial, O_RDWR | O_CREAT | O_EXCL, 0644));
    if (Status got = download(object, fd.get()); !got) {
      (void)os::removeEntry(root.get(), partial);
      return fail(got.error().wrap("\"" + escaped(object.key) + "\""));
    }
    const auto slash = object.key.rfind('/');
    os::Fd made;
    if (slash != std::string::npos) {
      const std::lock_guard lock(mutex);
      BUOY_TRY(made, os::makeDirectoriesBeneath(root.get(), object.key.substr(0, slash), 0755, true));
    }
    const int parent = made ? made.get() : root.get();
    const std::string name = slash == std::string::npos ? object.key : object.key.substr(slash + 1);
    if (::renameat(root.get(), partial.c_str(), parent, name.c_str()) != 0)
      return failErrno(errno, "name \"" + escaped(object.key) + "\"");
    const std::lock_guard lock(mutex);
    ++stats.files;
    stats.bytes += object.size;
    return {};
  };
  BUOY_TRY_VOID(listPages(store, "", [&](const auto& page) -> Status {
    std::vector<RemoteFile> files;
    for (const ObjectInfo& object : page) {
      if (validatePath(object.key)) files.push_back({object.key, object.size});
    }
    return forEach(store, files, stop, fetchOne);
  }));
  return stats;
}

}  // namespace buoy::objstore
