#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "objstore/object_store.h"

namespace buoy::objstore {

class TempSpace;

// Objects as files below a directory, on any POSIX file system with hard links, NFS included. A key is the
// path, except that a component of more than 200 bytes is cut into nested directories (see file_layout.h).
// Writers use <root>/.buoy-tmp, which is no key. Nothing below the root is reached through a symbolic link.
// Because a key is a path, "a" and "a/b" cannot both exist: the second put is invalid_argument. Threads: any.
class FileStore final : public ObjectStore {
 public:
  explicit FileStore(std::string root);  // absolute
  ~FileStore() override;

  std::string uri() const override;
  Status put(const std::string& key, std::string_view content) override;
  Status putIfAbsent(const std::string& key, std::string_view content) override;
  Status putFile(const std::string& key, int fd, std::uint64_t size, std::string* sha256) override;
  Status putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                   std::stop_token stop) override;
  Result<std::unique_ptr<MultipartPut>> beginMultipart(const std::string& key) override;
  // Atomic against other writers of this object in this process only.
  Status putIfMatch(const std::string& key, std::string_view content, const std::string& etag) override;
  Status copy(const std::string& from, const std::string& to) override;
  Status getRange(const std::string& key, std::uint64_t offset, std::uint64_t size, const OnPiece& on_piece,
                  std::stop_token stop) override;
  Result<std::string> get(const std::string& key, std::uint64_t limit) override;
  Status getFile(const std::string& key, int fd, std::string_view sha256) override;
  Result<ObjectInfo> head(const std::string& key) override;
  Result<std::vector<ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                       int limit) override;
  Status remove(const std::string& key) override;
  std::unique_ptr<ObjectBatch> newBatch() override;

 private:
  Status writeContent(const std::string& key, std::string_view content, bool exclusive);

  std::mutex conditional_;  // held from the look to the put
  std::string root_;
  std::unique_ptr<TempSpace> space_;
};

}  // namespace buoy::objstore
