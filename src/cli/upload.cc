#include "cli/upload.h"

#include <fcntl.h>

#include <map>
#include <span>

#include "api/job_spec.h"
#include "api/views.h"
#include "base/strings.h"
#include "objstore/object_store.h"
#include "objstore/sha256.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

struct Blob {
  std::string path;  // of a file with this content
  std::uint64_t size = 0;
};

Result<std::string> hashOf(const std::string& path, std::uint64_t* size) {
  BUOY_TRY(const os::Fd fd, os::openFile(path, O_RDONLY));
  BUOY_TRY(objstore::HashedContent hashed, objstore::hashFile(fd.get(), UINT64_MAX));
  *size = hashed.size;
  return std::move(hashed.sha256);
}

// Which of the hashes the server lacks.
Result<std::vector<std::string>> missing(Connection& connection, const std::vector<std::string>& hashes) {
  if (hashes.empty()) return hashes;
  BUOY_TRY(const std::string answer,
           connection.post("/v1/blobs/missing", api::hashesToJson("hashes", hashes)));
  return api::parseHashes("missing", answer);
}

Status putBlob(Connection& connection, const std::string& sha256, std::string content) {
  BUOY_TRY(const std::string answer, connection.put("/v1/blobs/" + sha256, std::move(content)));
  return {};
}

class Upload {
 public:
  Upload(Connection& connection, const SourceTree& tree,
         const std::function<void(std::uint64_t, std::uint64_t)>& progress, UploadStats& stats)
      : connection_(connection), tree_(tree), progress_(progress), stats_(stats) {}

  Result<std::string> run() {
    BUOY_TRY_VOID(hashFiles());
    BUOY_TRY_VOID(sendFiles());
    const std::string manifest = api::toJson(manifest_);
    const std::string sha256 = objstore::sha256Hex(manifest);
    const std::vector<std::string> one{sha256};
    BUOY_TRY(const auto lacking, missing(connection_, one));
    if (!lacking.empty()) BUOY_TRY_VOID(putBlob(connection_, sha256, manifest));
    return sha256;
  }

 private:
  Status hashFiles() {
    for (const SourceEntry& file : tree_.files) {
      const std::string path = tree_.root + "/" + file.path;
      std::uint64_t size = 0;
      auto sha256 = hashOf(path, &size);
      if (!sha256) return fail(sha256.error().wrap("the project"));
      blobs_[*sha256] = {path, size};
      manifest_.files.push_back({file.path, file.mode, size, std::move(*sha256)});
      stats_.bytes += size;
    }
    stats_.files = tree_.files.size();
    return {};
  }

  Status sendFiles() {
    std::vector<std::string> hashes;
    for (const auto& [sha256, blob] : blobs_) hashes.push_back(sha256);
    BUOY_TRY(const auto lacking, missing(connection_, hashes));
    for (const std::string& sha256 : lacking) stats_.new_bytes += blobs_[sha256].size;
    std::uint64_t sent = 0;
    for (const std::string& sha256 : lacking) {
      progress_(sent, stats_.new_bytes);
      BUOY_TRY_VOID(sendFile(sha256));
      sent += blobs_[sha256].size;
      ++stats_.new_blobs;
    }
    if (!lacking.empty()) progress_(sent, stats_.new_bytes);
    return {};
  }

  Status sendFile(const std::string& sha256) {
    const std::string& path = blobs_[sha256].path;
    BUOY_TRY(std::string content, os::readFile(path));
    if (objstore::sha256Hex(content) != sha256) {
      return fail(ErrorCode::failed_precondition,
                  "'" + path + "' changed while it was uploaded: run the command again", true);
    }
    return putBlob(connection_, sha256, std::move(content));
  }

  Connection& connection_;
  const SourceTree& tree_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  UploadStats& stats_;
  api::SourceManifest manifest_;
  std::map<std::string, Blob> blobs_;  // by hash
};

}  // namespace

Result<std::string> uploadSource(Connection& connection, const SourceTree& tree,
                                 const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                                 UploadStats& stats) {
  return Upload(connection, tree, progress, stats).run();
}

}  // namespace buoy::cli
