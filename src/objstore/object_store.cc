#include "objstore/object_store.h"

#include <algorithm>

#include "base/strings.h"
#include "objstore/file_store.h"
#include "objstore/sha256.h"

namespace buoy::objstore {
namespace {

constexpr std::size_t kMaxKey = 1024;

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

Result<std::unique_ptr<ObjectStore>> openStore(const std::string& uri) {
  constexpr std::string_view kScheme = "file://";
  if (!uri.starts_with(kScheme)) {
    return fail(ErrorCode::invalid_argument,
                "store \"" + uri + "\" is not supported: write file:///absolute/directory");
  }
  std::string root = uri.substr(kScheme.size());
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (root.empty() || root[0] != '/' || root.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument,
                "store \"" + uri + "\" needs an absolute directory: write file:///absolute/directory");
  }
  if (root == "/")
    return fail(ErrorCode::invalid_argument, "store \"" + uri + "\" would be the whole file system");
  return std::make_unique<FileStore>(std::move(root));
}

std::string blobKey(std::string_view sha256) {
  return strCat({"blobs/", sha256.substr(0, 2), "/", sha256});
}

}  // namespace buoy::objstore
