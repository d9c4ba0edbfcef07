#include "cli/spotty/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/strings.h"
#include "objstore/transfer/filters.h"
#include "objstore/transfer/local_walk.h"
#include "objstore/transfer/pool.h"
#include "objstore/transfer/sync_plan.h"
#include "os/attached.h"
#include "os/copy.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;
using objstore::TreeEntry;
using objstore::TreeStream;

// Filters have roots; where the trees really are is no matter for patterns, which are relative here.
constexpr const char* kFilterRoot = "/project";
constexpr int kCopyThreads = 4;
constexpr std::size_t kFilesATask = 64;

class Admitted final : public TreeStream {
 public:
  // Without those files, and what is below those that end in '/'.
  Admitted(std::unique_ptr<TreeStream> stream, const objstore::Filters& filters,
           std::vector<std::string> without)
      : stream_(std::move(stream)), filters_(filters), without_(std::move(without)) {}
  Result<bool> next(TreeEntry& entry) override {
    for (;;) {
      BUOY_TRY(const bool more, stream_->next(entry));
      const bool left_out =
          more && std::any_of(without_.begin(), without_.end(), [&](const std::string& own) {
            return own.ends_with('/') ? entry.path.starts_with(own) : entry.path == own;
          });
      if (!more || (!left_out && filters_.admits(strCat({kFilterRoot, "/", entry.path})))) return more;
    }
  }

 private:
  const std::unique_ptr<TreeStream> stream_;
  const objstore::Filters& filters_;
  const std::vector<std::string> without_;
};

// What lies inside the project's directory and is no part of it: directories of the workspace, and the key by
// which its machine is reached.
std::vector<std::string> notOfProject(const SpottyChoice& choice, const Reach& reach) {
  std::vector<std::string> inside;
  const auto add = [&](const fs::path& path, const char* end) {
    const fs::path relative =
        (fs::path(choice.root) / path).lexically_normal().lexically_relative(choice.root);
    if (!relative.empty() && *relative.begin() != ".." && relative != ".")
      inside.push_back(relative.string() + end);
  };
  if (!choice.parameters.key_path.empty()) add(choice.parameters.key_path, "");
  if (reach.projectHere().empty()) return inside;
  add(reach.projectHere(), "/");
  for (const auto& volume : choice.parameters.volumes) add(volume.path, "/");
  return inside;
}

// What `buoy-agent workspace files` wrote.
class ListedFiles final : public TreeStream {
 public:
  explicit ListedFiles(std::string text) : text_(std::move(text)) {}
  Result<bool> next(TreeEntry& entry) override {
    if (at_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\0', at_), text_.size());
    const std::string_view line(text_.data() + at_, end - at_);
    at_ = end + 1;
    std::int64_t modified = 0;
    const char* const last = line.data() + line.size();
    const auto size = std::from_chars(line.data(), last, entry.size);
    if (size.ec != std::errc{} || size.ptr == last) return refuse();
    const auto time = std::from_chars(size.ptr + 1, last, modified);
    if (time.ec != std::errc{} || time.ptr == last) return refuse();
    entry.modified = Time{Duration{modified}};
    entry.path.assign(time.ptr + 1, last);
    return true;
  }

 private:
  static tl::unexpected<Error> refuse() {
    return fail(ErrorCode::data_loss, "the machine's list of files cannot be understood");
  }
  const std::string text_;
  std::size_t at_ = 0;
};

class NothingThere final : public TreeStream {
 public:
  Result<bool> next(TreeEntry&) override { return false; }
};

Result<std::unique_ptr<TreeStream>> openDirectory(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return std::make_unique<NothingThere>();
  BUOY_TRY(auto walk, objstore::LocalWalk::open(path, {}));
  return std::make_unique<objstore::LocalWalk>(std::move(walk));
}

Result<std::unique_ptr<TreeStream>> openMachine(const Reach& reach) {
  if (!reach.projectHere().empty()) return openDirectory(reach.projectHere());
  BUOY_TRY(std::string listed, askProgram(reach.beside("files", {})));
  return std::make_unique<ListedFiles>(std::move(listed));
}

// With its mode and time.
Status copyInto(const std::string& part, const std::string& from) {
  BUOY_TRY(const os::Fd source, os::openFile(from, O_RDONLY));
  struct stat state {};
  if (::fstat(source.get(), &state) != 0) return failErrno(errno, from);
  BUOY_TRY(const os::Fd copy, os::openFile(part, O_WRONLY | O_CREAT | O_TRUNC, state.st_mode & 07777));
  BUOY_TRY(const std::uint64_t copied,
           os::copyContent(source.get(), copy.get(), static_cast<std::uint64_t>(state.st_size)));
  if (copied != static_cast<std::uint64_t>(state.st_size))
    return fail(ErrorCode::unavailable, "it changed while it was copied", true);
  const timespec times[] = {state.st_mtim, state.st_mtim};
  if (::fchmod(copy.get(), state.st_mode & 07777) != 0 || ::futimens(copy.get(), times) != 0)
    return failErrno(errno, part);
  return {};
}

// Whole or not at all: of a disk that is full nothing more is taken.
Status copyFile(const std::string& from, const std::string& to) {
  const fs::path target(to);
  const std::string directory = target.parent_path().string();
  if (const Status made = os::makeDirectories(directory); !made) return made;
  const std::string part = strCat({directory, "/", objstore::kUnfinishedPrefix, target.filename().string()});
  Status copied = copyInto(part, from);
  if (copied && std::rename(part.c_str(), to.c_str()) != 0) copied = failErrno(errno, "rename");
  if (copied) return {};
  ::unlink(part.c_str());
  return fail(copied.error().wrap(to));
}

struct Difference {
  std::string names;  // each with \0, for tar
  std::vector<std::string> paths;
  FileReport report;
};

Result<Difference> differenceOf(std::unique_ptr<TreeStream> source, std::unique_ptr<TreeStream> destination,
                                const objstore::Filters& filters, const OnFile& on_file,
                                std::vector<std::string> without) {
  Admitted from(std::move(source), filters, std::move(without)), to(std::move(destination), filters, {});
  objstore::SyncPlan plan({.direction = objstore::Direction::copy}, from, &to);
  Difference difference;
  for (;;) {
    BUOY_TRY(const objstore::SyncStep step, plan.next());
    if (step.kind == objstore::SyncStep::Kind::end) return difference;
    if (step.kind != objstore::SyncStep::Kind::transfer) continue;
    BUOY_TRY_VOID(objstore::checkFilePath(step.entry.path));
    on_file(step.entry.path);
    difference.names += step.entry.path;
    difference.names += '\0';
    difference.paths.push_back(step.entry.path);
    ++difference.report.files;
    difference.report.bytes += step.entry.size;
  }
}

// Many files are small: what takes time is to make them, and that goes on beside one another.
Status copyAll(const Difference& difference, const std::string& from, const std::string& to) {
  const std::vector<std::string>& paths = difference.paths;
  objstore::TransferPool pool({.threads = kCopyThreads});
  objstore::TaskGroup copies(pool);
  for (std::size_t begin = 0; begin < paths.size(); begin += kFilesATask) {
    copies.run([&, begin]() -> Status {
      const std::size_t end = std::min(begin + kFilesATask, paths.size());
      for (std::size_t i = begin; i < end && !copies.stop().stop_requested(); ++i)
        BUOY_TRY_VOID(copyFile(strCat({from, "/", paths[i]}), strCat({to, "/", paths[i]})));
      return {};
    });
  }
  return copies.wait();
}

Status pipe(std::vector<Words> commands, const Difference& difference, const Reach& reach) {
  BUOY_TRY(const os::Fd names, os::memoryFile(difference.names));
  BUOY_TRY(const std::vector<int> codes, os::runPipeline(std::move(commands), ownEnvironment(), names.get()));
  for (const int code : codes) {
    if (auto broken = reach.brokenBy(code)) return fail(std::move(*broken));
  }
  if (std::all_of(codes.begin(), codes.end(), [](int code) { return code == 0; })) return {};
  return fail(ErrorCode::unavailable, "the files did not go over (see above)", true);
}

Words tarWords(const std::string& directory, const Words& more) {
  Words words = {"tar", "-C", directory};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

Result<FileReport> sendProject(const SpottyChoice& choice, const Reach& reach, bool dry_run,
                               const OnFile& on_file) {
  objstore::Filters filters;
  for (const auto& filter : choice.project.filters) {
    for (const std::string& pattern : filter.patterns) filters.add(filter.include, pattern);
  }
  filters.setRoots(kFilterRoot, kFilterRoot);
  BUOY_TRY(auto source, openDirectory(choice.root));
  BUOY_TRY(auto destination, openMachine(reach));
  BUOY_TRY(const Difference difference, differenceOf(std::move(source), std::move(destination), filters,
                                                     on_file, notOfProject(choice, reach)));
  if (dry_run || difference.paths.empty()) return difference.report;
  if (!reach.projectHere().empty()) {
    BUOY_TRY_VOID(copyAll(difference, choice.root, reach.projectHere()));
  } else {
    BUOY_TRY_VOID(pipe(
        {tarWords(choice.root, {"--null", "--verbatim-files-from", "-T", "-", "--format=posix", "-chf", "-"}),
         reach.beside("receive", {})},
        difference, reach));
  }
  return difference.report;
}

Result<FileReport> fetchFiles(const SpottyChoice& choice, const Reach& reach,
                              const std::vector<std::string>& patterns, bool dry_run, const OnFile& on_file) {
  objstore::Filters filters;
  filters.add(false, "*");
  for (const std::string& pattern : patterns) filters.add(true, pattern);
  filters.setRoots(kFilterRoot, kFilterRoot);
  BUOY_TRY(auto source, openMachine(reach));
  BUOY_TRY(auto destination, openDirectory(choice.root));
  BUOY_TRY(const Difference difference,
           differenceOf(std::move(source), std::move(destination), filters, on_file, {}));
  if (dry_run || difference.paths.empty()) return difference.report;
  if (!reach.projectHere().empty()) {
    BUOY_TRY_VOID(copyAll(difference, reach.projectHere(), choice.root));
  } else {
    BUOY_TRY_VOID(pipe({reach.beside("send", {}), tarWords(choice.root, {"-xf", "-"})}, difference, reach));
  }
  return difference.report;
}

}  // namespace buoy::cli
