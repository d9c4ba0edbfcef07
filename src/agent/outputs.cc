#include "agent/outputs.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <set>
#include <span>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::agent {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxTries = 3;  // of a file that grows or shrinks while it is stored

bool matchParts(std::span<const std::string_view> pattern, std::span<const std::string_view> path) {
  if (pattern.empty()) return path.empty();
  if (pattern.front() == "**") {
    for (std::size_t skipped = 0; skipped <= path.size(); ++skipped) {
      if (matchParts(pattern.subspan(1), path.subspan(skipped))) return true;
    }
    return false;
  }
  if (path.empty()) return false;
  return ::fnmatch(std::string(pattern.front()).c_str(), std::string(path.front()).c_str(), 0) == 0 &&
         matchParts(pattern.subspan(1), path.subspan(1));
}

bool isGlob(std::string_view pattern) {
  return pattern.find_first_of("*?[") != std::string_view::npos;
}

// Every file and link below `start`, relative to `work`. Links to directories are not entered: they could go
// in circles.
void listBelow(const fs::path& work, const fs::path& start, std::set<std::string>& paths) {
  std::error_code error;
  fs::recursive_directory_iterator at(start, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (!at->is_directory(error) || at->is_symlink(error))
      paths.insert(at->path().lexically_relative(work).string());
  }
}

// What one entry of `outputs` names; a sentence in `problems` if that is nothing.
void expand(const fs::path& work, const std::string& output, std::set<std::string>& paths,
            OutputReport& report) {
  std::error_code error;
  std::set<std::string> found;
  if (isGlob(output)) {
    std::set<std::string> all;
    listBelow(work, work, all);
    for (const std::string& path : all) {
      if (matchesGlob(output, path)) found.insert(path);
    }
  } else if (const fs::path full = (work / output).lexically_normal(); fs::is_directory(full, error)) {
    listBelow(work, full, found);
  } else if (fs::exists(fs::symlink_status(full, error))) {
    found.insert(full.lexically_relative(work).string());
  }
  if (found.empty()) report.problems.push_back(strCat({"output ", output, " was not there"}));
  paths.merge(found);
}

Status storeOne(const fs::path& work, const std::string& path, objstore::ObjectStore& store,
                const std::string& key, OutputReport& report) {
  std::error_code error;
  const fs::path real = fs::canonical(work / path, error);
  const std::string inside = error ? "" : real.lexically_relative(fs::canonical(work, error)).string();
  if (inside.empty() || inside.starts_with("..") || !fs::is_regular_file(real, error)) {
    report.problems.push_back(
        strCat({"output ", path, " was left out: it is not a file inside the working directory"}));
    return {};
  }
  for (int tries = 1;; ++tries) {
    BUOY_TRY(const os::Fd fd, os::openFile(real.string(), O_RDONLY | O_NOFOLLOW));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return failErrno(errno, "read output " + path);
    const auto size = static_cast<std::uint64_t>(info.st_size);
    const Status stored = store.putFile(key, fd.get(), size, nullptr);
    if (!stored && stored.error().code == ErrorCode::failed_precondition && tries < kMaxTries) continue;
    if (!stored) {
      Error told = stored.error().wrap("store output " + path);
      // It never kept still; for an attempt that code means that it was replaced.
      if (told.code == ErrorCode::failed_precondition) told.code = ErrorCode::unavailable;
      return fail(std::move(told));
    }
    report.stored.push_back(path);
    report.bytes += size;
    return {};
  }
}

}  // namespace

bool matchesGlob(std::string_view pattern, std::string_view path) {
  return matchParts(split(pattern, '/'), split(path, '/'));
}

Result<OutputReport> storeOutputs(const std::string& work, const std::vector<std::string>& outputs,
                                  objstore::ObjectStore& store, const std::string& prefix) {
  OutputReport report;
  std::set<std::string> paths;
  for (const std::string& output : outputs) expand(work, output, paths, report);
  for (const std::string& path : paths) {
    BUOY_TRY_VOID(storeOne(work, path, store, strCat({prefix, "/outputs/", path}), report));
  }
  return report;
}

}  // namespace buoy::agent
