#include "objstore/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "objstore/checkpoint_path.h"
#include "os/beneath.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

constexpr int kMaxDepth = 200;  // each level holds a descriptor
constexpr std::size_t kMaxEntries = 2'000'000;

Result<std::string> readLink(int directory, const std::string& name) {
  std::string target(4096, '\0');
  const ssize_t length = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (length < 0) return failErrno(errno, "read a symbolic link");
  target.resize(static_cast<std::size_t>(length));
  return target;
}

std::string_view describe(unsigned mode) {
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISFIFO(mode)) return "a named pipe";
  return "a device";
}

class Scanner {
 public:
  Scanner(Snapshot& snapshot, const std::set<std::string>& skip) : snapshot_(snapshot), skip_(skip) {}

  Status scan(int directory, const std::string& below, int depth) {
    if (depth > kMaxDepth) {
      return fail(ErrorCode::invalid_argument, "checkpoint: \"" + escaped(below.substr(0, 300)) +
                                                   "\" is nested too deep (more than 200 directories)");
    }
    BUOY_TRY(const auto names, os::directoryNames(directory));
    for (const std::string& name : names) {
      if (depth == 0 && (name == kRestoreTemporary || name == kRestoreDirectory)) continue;
      const std::string path = below.empty() ? name : below + "/" + name;
      const Status status = take(directory, name, path, depth);
      // Vanished since the directory was read.
      if (!status && status.error().code != ErrorCode::not_found) return status;
    }
    return {};
  }

 private:
  Status take(int directory, const std::string& name, const std::string& path, int depth) {
    struct stat info {};
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return failErrno(errno, "checkpoint: examine \"" + escaped(path) + "\"");
    }
    if (const Status valid = validatePath(path); !valid) return fail(valid.error().wrap("checkpoint"));
    if (snapshot_.files.size() >= kMaxEntries) {
      return fail(ErrorCode::invalid_argument, "checkpoint: more than 2000000 files");
    }
    ScannedFile entry;
    entry.file.path = path;
    entry.file.mode = info.st_mode & 0777u;
    entry.file.modified = Time{Duration{info.st_mtim.tv_sec * 1'000'000LL + info.st_mtim.tv_nsec / 1000}};
    if (S_ISREG(info.st_mode)) {
      takeFile(info, std::move(entry));
      return {};
    }
    if (S_ISLNK(info.st_mode)) {
      BUOY_TRY(entry.file.target, readLink(directory, name));
      if (const Status valid = validateLink(path, entry.file.target); !valid) {
        return fail(valid.error().wrap("checkpoint"));
      }
      entry.file.kind = CheckpointFile::Kind::symlink;
      entry.file.mode = 0777;
      snapshot_.files.push_back(std::move(entry));
      return {};
    }
    if (!S_ISDIR(info.st_mode)) {
      return fail(ErrorCode::invalid_argument,
                  strCat({"checkpoint: \"", escaped(path), "\" is ", describe(info.st_mode),
                          ": only files, directories and links can be saved"}));
    }
    const os::Fd inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner) return failErrno(errno, "checkpoint: open \"" + escaped(path) + "\"");
    entry.file.kind = CheckpointFile::Kind::directory;
    snapshot_.files.push_back(std::move(entry));
    return scan(inner.get(), path, depth + 1);
  }

  void takeFile(const struct stat& info, ScannedFile entry) {
    entry.identity = FileIdentity::of(info);
    entry.file.size = entry.identity.size;
    entry.skipped = skip_.contains(entry.file.path);
    if (!entry.skipped) {
      snapshot_.latest_change_ns = std::max(snapshot_.latest_change_ns, entry.identity.changed_ns);
    }
    snapshot_.files.push_back(std::move(entry));
  }

  Snapshot& snapshot_;
  const std::set<std::string>& skip_;
};

bool sameEntry(const ScannedFile& a, const ScannedFile& b) {
  if (a.file.path != b.file.path || a.file.kind != b.file.kind || a.skipped != b.skipped) return false;
  if (a.skipped) return true;
  return a.file.mode == b.file.mode && a.file.target == b.file.target && a.identity == b.identity;
}

}  // namespace

bool Snapshot::sameState(const Snapshot& other) const {
  return std::equal(files.begin(), files.end(), other.files.begin(), other.files.end(), sameEntry);
}

Result<Snapshot> scanDirectory(const std::string& directory, const std::set<std::string>& skip) {
  Snapshot snapshot;
  BUOY_TRY(snapshot.root, os::openFile(directory, O_RDONLY | O_DIRECTORY));
  BUOY_TRY_VOID(Scanner(snapshot, skip).scan(snapshot.root.get(), "", 0));
  std::sort(snapshot.files.begin(), snapshot.files.end(),
            [](const ScannedFile& a, const ScannedFile& b) { return a.file.path < b.file.path; });
  return snapshot;
}

}  // namespace buoy::objstore
