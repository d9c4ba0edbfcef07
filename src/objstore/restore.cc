#include "objstore/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <vector>

#include "objstore/checkpoint_keys.h"
#include "objstore/checkpoint_path.h"
#include "objstore/pack_restore.h"
#include "objstore/sha256.h"
#include "objstore/snapshot.h"
#include "objstore/transfer/pool.h"
#include "os/beneath.h"
#include "os/crash_point.h"
#include "os/file_state.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using Kind = CheckpointFile::Kind;

class Restorer {
 public:
  Restorer(ObjectStore& store, const std::string& objects, const Manifest& manifest, int root)
      : store_(store), objects_(objects), manifest_(manifest), root_(root) {
    for (const CheckpointFile& file : manifest.files) wanted_.emplace(file.path, &file);
  }

  // All objects there, with the right sizes? Asked before anything is changed.
  Status checkObjects() {
    std::unordered_map<std::string, Needed> needed;
    for (const CheckpointFile& file : manifest_.files) {
      if (file.kind != Kind::file) continue;
      if (!file.packed) needed[objects_ + objectKey(file.stored_by, file.sha256)] = {&file, file.size, true};
      for (const Slice& slice : file.slices) {
        Needed& pack = needed[objects_ + packKey(slice.stored_by, slice.pack)];
        pack = {&file, std::max(pack.size, slice.offset + slice.size), false};
      }
    }
    if (store_.pool() == nullptr) {
      for (const auto& [key, what] : needed) BUOY_TRY_VOID(checkObject(key, what));
      return {};
    }
    TaskGroup group(*store_.pool());
    for (const auto& [key, what] : needed)
      group.run([this, &key = key, &what = what] { return checkObject(key, what); });
    return group.wait();
  }

  // Removes what is not in the version or is of another kind.
  Status clear(int directory, const std::string& below) {
    BUOY_TRY(const auto names, os::directoryNames(directory));
    for (const std::string& name : names) {
      const std::string path = below.empty() ? name : below + "/" + name;
      struct stat info {};
      if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return failErrno(errno, "examine \"" + escaped(path) + "\"");
      }
      const auto it = wanted_.find(path);
      const Kind kind = S_ISDIR(info.st_mode)   ? Kind::directory
                        : S_ISLNK(info.st_mode) ? Kind::symlink
                                                : Kind::file;
      const bool known_kind = S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode) || S_ISREG(info.st_mode);
      if (it == wanted_.end() || !known_kind || it->second->kind != kind) {
        BUOY_TRY_VOID(os::removeEntry(directory, name));
      } else if (kind == Kind::directory) {
        // Ours to write in until the end; its own mode comes last.
        if ((info.st_mode & 0700u) != 0700u) (void)::fchmodat(directory, name.c_str(), 0700, 0);
        BUOY_TRY(const os::Fd inner, os::openBeneath(directory, name, O_RDONLY | O_DIRECTORY));
        BUOY_TRY_VOID(clear(inner.get(), path));
      }
    }
    return {};
  }

  Status build() {
    for (const CheckpointFile& file : manifest_.files) {
      if (file.kind != Kind::directory) continue;
      if (const Status made = makeDirectory(file); !made)
        return fail(made.error().wrap("\"" + escaped(file.path) + "\""));
    }
    BUOY_TRY_VOID(fetchPackedFiles());
    for (const CheckpointFile& file : manifest_.files) {
      Status status;
      switch (file.kind) {
        case Kind::directory:
          break;
        case Kind::file:
          status = file.packed ? restorePacked(file) : restoreFile(file);
          break;
        case Kind::symlink:
          status = restoreLink(file);
          break;
      }
      if (!status) return fail(status.error().wrap("\"" + escaped(file.path) + "\""));
    }
    // Deepest first: writing into a directory changes its time.
    for (auto it = manifest_.files.rbegin(); it != manifest_.files.rend(); ++it) {
      if (it->kind != Kind::directory) continue;
      BUOY_TRY(const os::Fd directory, os::openBeneath(root_, it->path, O_RDONLY | O_DIRECTORY));
      BUOY_TRY_VOID(setAttributes(directory.get(), *it));
    }
    return {};
  }

  std::uint64_t bytes = 0;

 private:
  struct Needed {
    const CheckpointFile* file = nullptr;
    std::uint64_t size = 0;
    bool exactly = false;
  };

  Status checkObject(const std::string& key, const Needed& needed) {
    const auto head = store_.head(key);
    if (!head && head.error().code != ErrorCode::not_found) return fail(head.error());
    const auto damaged = [&](std::string_view how) {
      return fail(ErrorCode::data_loss,
                  "object " + key + " of \"" + escaped(needed.file->path) + "\" " + std::string(how));
    };
    if (!head) return damaged("is missing");
    if (needed.exactly ? head->size != needed.size : head->size < needed.size)
      return damaged("has a wrong size");
    return {};
  }

  // Packed files that are not there with the right content, into the temporary directory.
  Status fetchPackedFiles() {
    std::vector<WantedFile> wanted;
    for (const CheckpointFile& file : manifest_.files) {
      if (file.kind != Kind::file || !file.packed) continue;
      BUOY_TRY(const int parent, parentOf(file.path));
      BUOY_TRY(const bool kept, keepFile(parent, file));
      if (!kept) wanted.push_back({&file, std::to_string(wanted.size())});
    }
    if (wanted.empty()) return {};
    BUOY_TRY(temporaries_, os::makeDirectoriesBeneath(root_, std::string(kRestoreDirectory), 0700, false));
    BUOY_TRY(const std::uint64_t fetched, fetchPacked(store_, objects_, wanted, temporaries_.get()));
    bytes += fetched;
    for (const WantedFile& file : wanted) fetched_.emplace(file.file->path, file.name);
    return {};
  }

  Status restorePacked(const CheckpointFile& file) {
    const auto name = fetched_.find(file.path);
    if (name == fetched_.end()) return {};  // kept
    BUOY_TRY(const int parent, parentOf(file.path));
    BUOY_TRY(const os::Fd fd, os::openBeneath(temporaries_.get(), name->second, O_RDWR));
    BUOY_TRY_VOID(setAttributes(fd.get(), file));
    os::crashPoint("objstore.before_restored");
    if (::renameat(temporaries_.get(), name->second.c_str(), parent, nameOf(file.path).c_str()) != 0)
      return failErrno(errno, "name the restored file");
    return {};
  }

  static Status setAttributes(int fd, const CheckpointFile& file) {
    const struct timespec times[2] = {os::toTimespec(file.modified), os::toTimespec(file.modified)};
    if (::fchmod(fd, file.mode & 0777u) != 0) return failErrno(errno, "set the mode");
    if (::futimens(fd, times) != 0) return failErrno(errno, "set the time");
    return {};
  }

  // Files come directory by directory: the last parent is kept open.
  Result<int> parentOf(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return root_;
    if (parent_ && path.compare(0, slash, parent_path_) == 0) return parent_.get();
    BUOY_TRY(parent_, os::openBeneath(root_, path.substr(0, slash), O_RDONLY | O_DIRECTORY));
    parent_path_ = path.substr(0, slash);
    return parent_.get();
  }

  static std::string nameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  Status makeDirectory(const CheckpointFile& file) {
    BUOY_TRY(const int parent, parentOf(file.path));
    if (::mkdirat(parent, nameOf(file.path).c_str(), 0700) != 0 && errno != EEXIST) {
      return failErrno(errno, "create the directory");
    }
    return {};
  }

  Status restoreFile(const CheckpointFile& file) {
    BUOY_TRY(const int parent, parentOf(file.path));
    BUOY_TRY(const bool kept, keepFile(parent, file));
    if (kept) return {};
    BUOY_TRY(const os::Fd fd, openTemporary());
    BUOY_TRY_VOID(fetch(file, fd.get()));
    BUOY_TRY_VOID(setAttributes(fd.get(), file));
    return nameTemporary(parent, file);
  }

  // Another file of the version may have the same content, so a missing object is told from a damaged one
  // here.
  Status fetch(const CheckpointFile& file, int fd) {
    const std::string key = objects_ + objectKey(file.stored_by, file.sha256);
    const Status got = store_.getFile(key, fd, file.sha256);
    if (got) {
      bytes += file.size;
      return {};
    }
    const bool lost = got.error().code == ErrorCode::not_found;
    return lost ? fail(ErrorCode::data_loss, "object " + key + " is missing") : got;
  }

  static Result<bool> contentMatches(int fd, const CheckpointFile& file) {
    BUOY_TRY(const HashedContent hashed, hashFile(fd, file.size));
    return hashed.sha256 == file.sha256;
  }

  static Result<bool> slicesMatch(int fd, const CheckpointFile& file) {
    std::uint64_t offset = 0;
    for (const Slice& slice : file.slices) {
      BUOY_TRY(const std::string found, hashRange(fd, offset, slice.size));
      if (found != slice.sha256) return false;
      offset += slice.size;
    }
    return true;
  }

  // True: the right content was there already; its attributes are right now, too.
  static Result<bool> keepFile(int parent, const CheckpointFile& file) {
    const auto fd = os::openBeneath(parent, nameOf(file.path), O_RDONLY | O_NONBLOCK);
    struct stat info {};
    if (!fd || ::fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    // A file with other names could be changed through one of them.
    if (static_cast<std::uint64_t>(info.st_size) != file.size || info.st_nlink != 1) return false;
    BUOY_TRY(const bool same, file.packed ? slicesMatch(fd->get(), file) : contentMatches(fd->get(), file));
    if (!same) return false;
    BUOY_TRY_VOID(setAttributes(fd->get(), file));
    return true;
  }

  Status restoreLink(const CheckpointFile& file) {
    BUOY_TRY(const int parent, parentOf(file.path));
    BUOY_TRY_VOID(os::removeEntry(root_, std::string(kRestoreTemporary)));
    if (::symlinkat(file.target.c_str(), root_, kRestoreTemporary.data()) != 0) {
      return failErrno(errno, "create the symbolic link");
    }
    const struct timespec times[2] = {os::toTimespec(file.modified), os::toTimespec(file.modified)};
    (void)::utimensat(root_, kRestoreTemporary.data(), times, AT_SYMLINK_NOFOLLOW);
    return nameTemporary(parent, file);
  }

  Result<os::Fd> openTemporary() {
    constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL;
    auto fd = os::openBeneath(root_, std::string(kRestoreTemporary), kFlags, 0600);
    if (fd || fd.error().code != ErrorCode::already_exists) return fd;
    // Of a restore that was killed.
    BUOY_TRY_VOID(os::removeEntry(root_, std::string(kRestoreTemporary)));
    return os::openBeneath(root_, std::string(kRestoreTemporary), kFlags, 0600);
  }

  Status nameTemporary(int parent, const CheckpointFile& file) {
    os::crashPoint("objstore.before_restored");
    if (::renameat(root_, kRestoreTemporary.data(), parent, nameOf(file.path).c_str()) != 0) {
      return failErrno(errno, "name the restored file");
    }
    return {};
  }

  ObjectStore& store_;
  const std::string& objects_;
  const Manifest& manifest_;
  int root_;
  std::unordered_map<std::string_view, const CheckpointFile*> wanted_;
  os::Fd parent_;
  std::string parent_path_;
  os::Fd temporaries_;                                    // of packed files, until they get their names
  std::unordered_map<std::string, std::string> fetched_;  // path to the name there
};

}  // namespace

Result<std::uint64_t> restoreVersion(ObjectStore& store, const std::string& objects, const Manifest& manifest,
                                     const std::string& directory) {
  BUOY_TRY_VOID(os::makeDirectories(directory));
  BUOY_TRY(const os::Fd root, os::openFile(directory, O_RDONLY | O_DIRECTORY));
  Restorer restorer(store, objects, manifest, root.get());
  BUOY_TRY_VOID(restorer.checkObjects());
  // The temporary file of a restore that failed or was killed is cleared as everything that is not in the
  // version.
  BUOY_TRY_VOID(restorer.clear(root.get(), ""));
  Status built = restorer.build();
  if (!built) {
    ::unlinkat(root.get(), kRestoreTemporary.data(), 0);
    (void)os::removeEntry(root.get(), std::string(kRestoreDirectory));
    return fail(std::move(built).error());
  }
  BUOY_TRY_VOID(os::removeEntry(root.get(), std::string(kRestoreDirectory)));
  return restorer.bytes;
}

}  // namespace buoy::objstore
