#include "agent/workspace.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/strings.h"
#include "os/files.h"
#include "os/paths.h"

namespace buoy::agent {
namespace {

// Larger files are written anew instead of being read whole for a comparison.
constexpr std::uint64_t kMaxCompared = 64ull << 20;

std::string ownerText(JobId job, Epoch epoch) {
  return job.toString() + " " + std::to_string(epoch);
}

bool isThere(const std::string& path, const api::SourceFile& file) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  if ((info.st_mode & 07777u) != (file.mode & 07777u)) return false;
  if (static_cast<std::uint64_t>(info.st_size) != file.size || file.size > kMaxCompared) return false;
  const auto content = os::readFile(path, kMaxCompared);
  return content && objstore::sha256Hex(*content) == file.sha256;
}

Status fetchFile(const std::string& path, objstore::ObjectStore& store, const api::SourceFile& file) {
  if (isThere(path, file)) return {};
  BUOY_TRY_VOID(os::makeDirectories(os::parentOf(path)));
  // What has this name may be a link that leads elsewhere, or a directory of the last attempt.
  BUOY_TRY_VOID(os::removeTree(path));
  BUOY_TRY(const os::Fd fd, os::openFile(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  BUOY_TRY_VOID(store.getFile(objstore::blobKey(file.sha256), fd.get(), file.sha256));
  if (::fchmod(fd.get(), file.mode & 07777u) != 0) return failErrno(errno, "set the mode of " + path);
  return {};
}

}  // namespace

Status replaceFile(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    BUOY_TRY(const os::Fd fd, os::openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    BUOY_TRY_VOID(os::writeAll(fd.get(), content));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failErrno(errno, "rename to " + path);
  return {};
}

Status emptyDirectory(const std::string& path) {
  BUOY_TRY_VOID(os::removeTree(path));
  return os::makeDirectories(path);
}

bool wasBegun(const MachinePaths& paths, JobId job, Epoch epoch) {
  const auto owner = os::readFile(paths.owner());
  return owner && *owner == ownerText(job, epoch);
}

Status openWorkspace(const MachinePaths& paths, JobId job, Epoch epoch) {
  const auto owner = os::readFile(paths.owner());
  if (owner && !owner->starts_with(job.toString() + " ")) {
    BUOY_TRY_VOID(os::removeTree(paths.work()));
  }
  BUOY_TRY_VOID(os::removeTree(paths.inputs()));
  BUOY_TRY_VOID(os::removeTree(paths.job()));
  BUOY_TRY_VOID(os::removeTree(paths.volumes()));
  BUOY_TRY_VOID(os::makeDirectories(paths.job()));
  BUOY_TRY_VOID(os::makeDirectories(paths.work()));
  BUOY_TRY_VOID(os::makeDirectories(paths.inputs()));
  return replaceFile(paths.owner(), ownerText(job, epoch));
}

Status fetchSources(const MachinePaths& paths, objstore::ObjectStore& store, const std::string& source) {
  if (source.empty()) return {};
  auto text = store.get(objstore::blobKey(source));
  if (!text) return fail(text.error().wrap("the job's source manifest"));
  if (objstore::sha256Hex(*text) != source) {
    return fail(ErrorCode::data_loss, "the job's source manifest is damaged in the store");
  }
  BUOY_TRY(const api::SourceManifest manifest, api::parseSourceManifest(*text));
  for (const api::SourceFile& file : manifest.files) {
    if (!api::isRelativePath(file.path)) {
      return fail(ErrorCode::invalid_argument,
                  strCat({"source file ", file.path, ": leads out of the directory"}));
    }
    if (Status fetched = fetchFile(paths.work() + "/" + file.path, store, file); !fetched) {
      return fail(fetched.error().wrap(strCat({"source file ", file.path})));
    }
  }
  return {};
}

}  // namespace buoy::agent
