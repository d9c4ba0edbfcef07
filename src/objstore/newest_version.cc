#include "objstore/newest_version.h"

#include <vector>

#include "objstore/restore.h"

namespace buoy::objstore {
namespace {

constexpr int kLooks = 3;  // at a job that runs and removes old versions meanwhile

}  // namespace

Status useNewestVersion(ObjectStore& store, const std::string& prefix,
                        const std::function<Status(Manifest& version)>& use) {
  std::uint64_t newest = 0;
  Status used = fail(ErrorCode::not_found, "there is no checkpoint");
  for (int look = 0; look < kLooks; ++look) {
    BUOY_TRY(std::vector<Manifest> versions, CheckpointRepository(store, prefix, 1, 1).list());
    if (versions.empty() || versions.back().version == newest) return used;
    newest = versions.back().version;
    for (auto version = versions.rbegin(); version != versions.rend(); ++version) {
      used = use(*version);
      if (used || used.error().code != ErrorCode::data_loss) return used;
    }
  }
  return used;
}

Result<NewestRestored> restoreNewestVersion(ObjectStore& store, const std::string& prefix,
                                            const std::string& directory) {
  NewestRestored restored;
  BUOY_TRY_VOID(useNewestVersion(store, prefix, [&](Manifest& version) -> Status {
    BUOY_TRY(restored.bytes, restoreVersion(store, prefix + "/", version, directory));
    restored.version = version.version;
    return {};
  }));
  return restored;
}

}  // namespace buoy::objstore
