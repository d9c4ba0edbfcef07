#include "objstore/object_store.h"

#include <algorithm>

#include "base/strings.h"
#include "objstore/file_store.h"
#include "objstore/s3/s3_store.h"
#include "os/environment.h"
#include "os/system_clock.h"

namespace buoy::objstore {
namespace {

constexpr std::size_t kMaxKey = 1024;
constexpr std::string_view kFileScheme = "file://";

// For a store that can take a file only under a key that it is told beforehand.
class HashFirstBatch final : public ObjectBatch {
 public:
  explicit HashFirstBatch(ObjectStore& store) : store_(store) {}

  Result<Added> add(const std::string& prefix, int fd, std::uint64_t size, std::stop_token stop) override {
    BUOY_TRY(HashedContent hashed, hashFile(fd, size, stop));
    if (hashed.size != size)
      return fail(ErrorCode::failed_precondition, "the file changed while it was read");
    const std::string key = prefix + hashed.sha256;
    if (const auto there = store_.head(key); there && there->size == size) return Added{hashed.sha256, false};
    std::string stored;
    BUOY_TRY_VOID(store_.putFile(key, fd, size, &stored));
    if (stored != hashed.sha256) {
      BUOY_TRY_VOID(store_.remove(key));
      return fail(ErrorCode::failed_precondition, "the file changed while it was read");
    }
    return Added{std::move(stored), true};
  }

  void drop(const std::string& prefix, const Added& added) override {
    if (added.fresh) (void)store_.remove(prefix + added.sha256);
  }

  Status finish() override { return {}; }

 private:
  ObjectStore& store_;
};

}  // namespace

std::unique_ptr<ObjectBatch> ObjectStore::newBatch() {
  return std::make_unique<HashFirstBatch>(*this);
}

Status ObjectStore::getRangeOf(const ObjectInfo& object, std::uint64_t offset, std::uint64_t size,
                               const OnPiece& on_piece, std::stop_token stop) {
  BUOY_TRY_VOID(getRange(object.key, offset, size, on_piece, std::move(stop)));
  if (object.etag.empty()) return {};
  BUOY_TRY(const ObjectInfo now, head(object.key));
  if (now.etag == object.etag) return {};
  return fail(ErrorCode::failed_precondition, strCat({"object ", object.key, " is another one by now"}));
}

Status ObjectStore::removeMany(const std::vector<std::string>& keys, std::stop_token stop) {
  for (const std::string& key : keys) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    BUOY_TRY_VOID(remove(key));
  }
  return {};
}

Status validateKey(std::string_view key) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument, strCat({"object key \"", key.substr(0, 100), "\" ", why}));
  };
  if (key.empty()) return wrong("is empty");
  if (key.size() > kMaxKey) return wrong("is longer than 1024 bytes");
  if (key.find('\0') != std::string_view::npos) return wrong("contains a zero byte");
  if (!isValidUtf8(key)) return fail(ErrorCode::invalid_argument, "object key is not UTF-8");
  for (const std::string_view part : split(key, '/')) {
    if (part.empty()) return wrong("has an empty component");
    if (part == "." || part == "..") return wrong("has a component \".\" or \"..\"");
  }
  return {};
}

namespace {

Result<std::unique_ptr<ObjectStore>> openFileStore(const std::string& uri) {
  std::string root = uri.substr(kFileScheme.size());
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (root.empty() || root[0] != '/' || root.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument,
                "store \"" + uri + "\" needs an absolute directory: write file:///absolute/directory");
  }
  if (root == "/")
    return fail(ErrorCode::invalid_argument, "store \"" + uri + "\" would be the whole file system");
  return std::make_unique<FileStore>(std::move(root));
}

const Clock& systemClock() {
  static const os::SystemClock clock;
  return clock;
}

Result<std::unique_ptr<ObjectStore>> openS3Store(const std::string& uri, const aws::Environment& environment,
                                                 const StoreOptions& options) {
  BUOY_TRY(s3::Location location, s3::parseLocation(uri));
  while (location.key.ends_with('/')) location.key.pop_back();
  if (!location.key.empty()) BUOY_TRY_VOID(validateKey(location.key));
  s3::ClientOptions client;
  BUOY_TRY(client.settings, aws::loadSettings(environment));
  const Clock& clock = options.clock != nullptr ? *options.clock : systemClock();
  BUOY_TRY(client.credentials, aws::defaultCredentials(environment, client.settings, clock));
  client.clock = &clock;
  client.patience = options.patience;
  BUOY_TRY(auto made, s3::Client::create(std::move(client)));
  return std::make_unique<s3::S3Store>(
      std::move(made), std::move(location),
      TransferOptions{.pool = {.max_threads = options.max_threads, .nice = options.nice},
                      .throttle = options.throttle});
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> openStore(const std::string& uri, const aws::Environment& environment,
                                               const StoreOptions& options) {
  if (uri.starts_with(kFileScheme)) return openFileStore(uri);
  if (uri.starts_with("s3://")) return openS3Store(uri, environment, options);
  return fail(ErrorCode::invalid_argument, "store \"" + uri +
                                               "\" is not supported: write file:///absolute/directory or "
                                               "s3://bucket/prefix");
}

Result<std::unique_ptr<ObjectStore>> openStore(const std::string& uri) {
  return openStore(uri, os::processEnvironment());
}

std::string blobKey(std::string_view sha256) {
  return strCat({"blobs/", sha256.substr(0, 2), "/", sha256});
}

}  // namespace buoy::objstore
