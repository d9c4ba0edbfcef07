#include "agent/keeper/project_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "aws/credentials.h"
#include "aws/settings.h"
#include "base/strings.h"
#include "base/synchronized.h"
#include "objstore/s3/client.h"
#include "objstore/transfer/local_walk.h"
#include "objstore/transfer/s3_listing.h"
#include "objstore/transfer/sync_plan.h"
#include "objstore/transfer/transfer.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

using objstore::SyncStep;

// Copies without their folder markers, which some tools make.
class ProjectCopy final : public objstore::TreeStream {
 public:
  ProjectCopy(std::shared_ptr<objstore::s3::Client> client, const objstore::s3::Location& from)
      : listing_(std::move(client), from.bucket, from.key, {}) {}
  Result<bool> next(objstore::TreeEntry& entry) override {
    for (;;) {
      BUOY_TRY(const bool more, listing_.next(entry));
      if (!more || !(entry.path.empty() || entry.path.ends_with('/'))) return more;
    }
  }

 private:
  objstore::S3Listing listing_;
};

// The file here as the plan sees it: with `keep_newer` one that is newer is the same.
class ProjectHere final : public objstore::TreeStream {
 public:
  explicit ProjectHere(objstore::LocalWalk walk) : walk_(std::move(walk)) {}
  Result<bool> next(objstore::TreeEntry& entry) override {
    BUOY_TRY(const bool more, walk_.next(entry));
    if (more) last_ = entry;
    return more;
  }
  bool hasNewer(const objstore::TreeEntry& copy) const {
    return last_.path == copy.path && last_.modified > copy.modified;
  }

 private:
  objstore::LocalWalk walk_;
  objstore::TreeEntry last_;
};

}  // namespace

Status fetchProject(const std::string& source, const std::string& directory, bool keep_newer,
                    const Environment& environment) {
  BUOY_TRY(objstore::s3::Location from, objstore::s3::parseLocation(source));
  if (!from.key.empty() && !from.key.ends_with('/')) from.key += '/';
  const os::SystemClock clock;
  objstore::s3::ClientOptions options;
  BUOY_TRY(options.settings, aws::loadSettings(environment));
  BUOY_TRY(options.credentials, aws::defaultCredentials(environment, options.settings, clock));
  options.clock = &clock;
  BUOY_TRY(const auto client, objstore::s3::Client::create(std::move(options)));
  BUOY_TRY_VOID(os::makeDirectories(directory));
  BUOY_TRY(auto walk, objstore::LocalWalk::open(directory, {}));
  ProjectCopy copy(client, from);
  ProjectHere here(std::move(walk));
  objstore::SyncPlan plan({.direction = objstore::Direction::copy}, copy, &here);
  Synchronized<Status> first;
  objstore::Transfers transfers({});
  for (;;) {
    BUOY_TRY(const SyncStep step, plan.next());
    if (step.kind == SyncStep::Kind::end) break;
    if (step.kind != SyncStep::Kind::transfer) continue;
    BUOY_TRY_VOID(objstore::checkFilePath(step.entry.path));
    if (keep_newer && here.hasNewer(step.entry)) continue;
    objstore::s3::Object known{.key = from.key + step.entry.path,
                               .size = step.entry.size,
                               .modified = step.entry.modified,
                               .etag = step.entry.etag};
    transfers.download(client, from.bucket, std::move(known), strCat({directory, "/", step.entry.path}),
                       [&first](const Status& status) {
                         auto kept = first.lock();
                         if (!status && *kept) *kept = status;
                       });
  }
  transfers.wait();
  return *first.lock();
}

Status giveProject(const std::string& directory, const LoginUser& user) {
  const auto give = [&](const std::string& path) -> Status {
    struct stat state {};
    if (::lstat(path.c_str(), &state) != 0) return errno == ENOENT ? Status{} : failErrno(errno, path);
    if (state.st_uid != 0) return {};
    if (::lchown(path.c_str(), user.uid, user.gid) != 0 && errno != ENOENT) return failErrno(errno, path);
    return {};
  };
  BUOY_TRY_VOID(give(directory));
  std::error_code error;
  for (auto each = std::filesystem::recursive_directory_iterator(directory, error);
       !error && each != std::filesystem::recursive_directory_iterator(); each.increment(error))
    BUOY_TRY_VOID(give(each->path().string()));
  // What goes away meanwhile needs no owner.
  if (error && error != std::errc::no_such_file_or_directory) return failErrno(error.value(), directory);
  return {};
}

}  // namespace buoy::agent
