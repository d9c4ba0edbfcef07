#include "objstore/file_layout.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "os/beneath.h"

namespace buoy::objstore {
namespace {

// File names may have 255 bytes; this leaves room for the mark and is round.
constexpr std::size_t kPiece = 200;
constexpr char kContinued = '\xff';

// Pieces after the first begin with the mark, so that none of them is "." or "..".
void appendComponent(std::string& path, std::string_view component) {
  while (component.size() > kPiece) {
    path.append(component.substr(0, kPiece));
    path += kContinued;
    path += '/';
    path += kContinued;
    component.remove_prefix(kPiece);
  }
  path.append(component);
}

// What of a component a name stands for, without marks.
std::string_view partOf(std::string_view name) {
  if (name.starts_with(kContinued)) name.remove_prefix(1);
  if (name.ends_with(kContinued)) name.remove_suffix(1);
  return name;
}

// An entry of a directory as the key of an object, or as what all keys below it begin with ("…/").
struct Found {
  std::string key;
  std::string path;  // from the root
  bool directory = false;
};

class Lister {
 public:
  Lister(int root, const std::string& prefix, const std::string& after, std::size_t limit)
      : root_(root), prefix_(prefix), after_(after), limit_(limit) {}

  // `key`: what keys below the directory begin with; `path`: the directory, "" is the root.
  Status walk(const std::string& path, const std::string& key) {
    std::vector<Found> found;
    BUOY_TRY_VOID(read(path, key, found));
    std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.key < b.key; });
    for (const Found& entry : found) {
      if (objects.size() >= limit_) return {};
      if (entry.directory) {
        BUOY_TRY_VOID(walk(entry.path, entry.key));
      } else {
        emit(entry);
      }
    }
    return {};
  }

  std::vector<ObjectInfo> objects;

 private:
  // Can a key that begins with `begin` (or is it) belong to the answer?
  bool wanted(const std::string& begin, bool directory) const {
    const std::size_t common = std::min(begin.size(), prefix_.size());
    if (begin.compare(0, common, prefix_, 0, common) != 0) return false;
    if (!directory) return begin.size() >= prefix_.size() && begin > after_;
    return begin > after_ || after_.starts_with(begin);
  }

  Status read(const std::string& path, const std::string& key, std::vector<Found>& found) {
    const auto directory = os::openBeneath(root_, path, O_RDONLY | O_DIRECTORY);
    if (!directory) {
      // Removed meanwhile, or replaced by something that is no directory of ours.
      const ErrorCode code = directory.error().code;
      if (code == ErrorCode::not_found) return {};
      return fail(directory.error());
    }
    BUOY_TRY(const auto names, os::directoryNames(directory->get()));
    for (const std::string& name : names) {
      struct stat info {};
      if (path.empty() && name == kTempDirectory) continue;
      if (!mayHold(key, name)) continue;
      if (::fstatat(directory->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      BUOY_TRY_VOID(take(path.empty() ? name : path + "/" + name, key, name, info.st_mode, found));
    }
    return {};
  }

  // Cheap test before the stat, for directories of very many objects.
  bool mayHold(const std::string& key, const std::string& name) const {
    const std::string begin = strCat({key, partOf(name)});
    return wanted(begin, false) || wanted(begin + "/", true) || wanted(begin, true);
  }

  Status take(const std::string& path, const std::string& key, const std::string& name, unsigned mode,
              std::vector<Found>& found) {
    const bool directory = S_ISDIR(mode);
    std::string begin = strCat({key, partOf(name)});
    // Keys below sort among those of this directory: read them as if they were here.
    if (directory && name.back() == kContinued) return read(path, begin, found);
    if (directory) begin += '/';
    if ((directory || S_ISREG(mode)) && wanted(begin, directory))
      found.push_back({std::move(begin), path, directory});
    return {};
  }

  void emit(const Found& entry) {
    struct stat info {};
    const auto file = os::openBeneath(root_, entry.path, O_PATH);
    if (!file || ::fstat(file->get(), &info) != 0 || !S_ISREG(info.st_mode) || !validateKey(entry.key))
      return;
    const auto modified =
        std::chrono::seconds{info.st_mtim.tv_sec} + std::chrono::nanoseconds{info.st_mtim.tv_nsec};
    objects.push_back({entry.key, static_cast<std::uint64_t>(info.st_size),
                       Time{std::chrono::duration_cast<Duration>(modified)}});
  }

  int root_;
  const std::string& prefix_;
  const std::string& after_;
  std::size_t limit_;
};

// The deepest directory that all keys with this prefix are below: reading starts there.
std::string directoryOf(const std::string& prefix) {
  const auto slash = prefix.rfind('/');
  return slash == std::string::npos ? "" : prefix.substr(0, slash);
}

}  // namespace

Result<std::string> pathOfKey(std::string_view key) {
  BUOY_TRY_VOID(validateKey(key));
  const auto parts = split(key, '/');
  if (parts[0] == kTempDirectory) {
    return fail(ErrorCode::invalid_argument,
                strCat({"object key \"", key, "\" begins with a reserved name"}));
  }
  std::string path;
  path.reserve(key.size() + 16);
  for (const std::string_view part : parts) {
    if (!path.empty()) path += '/';
    appendComponent(path, part);
  }
  return path;
}

Result<std::vector<ObjectInfo>> listFiles(int root, const std::string& prefix, const std::string& after,
                                          int limit) {
  if (limit <= 0) return std::vector<ObjectInfo>{};
  Lister lister(root, prefix, after, static_cast<std::size_t>(limit));
  const std::string start = directoryOf(prefix);
  std::string path;
  if (!start.empty()) {
    // A prefix that is no beginning of a key has no keys.
    auto start_path = pathOfKey(start);
    if (!start_path) return std::vector<ObjectInfo>{};
    path = std::move(*start_path);
  }
  BUOY_TRY_VOID(lister.walk(path, start.empty() ? "" : start + "/"));
  return std::move(lister.objects);
}

}  // namespace buoy::objstore
