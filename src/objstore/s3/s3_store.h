#pragma once

#include <memory>
#include <string>

#include "objstore/object_store.h"
#include "objstore/s3/client.h"
#include "objstore/transfer/transfer.h"

namespace buoy::objstore::s3 {

// Objects below a prefix of a bucket. Threads: any; but putFile and getFile of large objects wait for tasks
// of the pool, and so must not be called by one.
class S3Store final : public ObjectStore {
 public:
  // `root.key` without a slash at its end, or empty.
  S3Store(std::shared_ptr<Client> client, Location root, TransferOptions options);
  ~S3Store() override;

  std::string uri() const override;
  Status put(const std::string& key, std::string_view content) override;
  Status putIfAbsent(const std::string& key, std::string_view content) override;
  Status putFile(const std::string& key, int fd, std::uint64_t size, std::string* sha256) override;
  Status putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                   std::stop_token stop) override;
  Result<std::unique_ptr<MultipartPut>> beginMultipart(const std::string& key) override;
  Status putIfMatch(const std::string& key, std::string_view content, const std::string& etag) override;
  Status copy(const std::string& from, const std::string& to) override;
  Result<std::string> get(const std::string& key, std::uint64_t limit) override;
  Status getRange(const std::string& key, std::uint64_t offset, std::uint64_t size, const OnPiece& on_piece,
                  std::stop_token stop) override;
  Status getRangeOf(const ObjectInfo& object, std::uint64_t offset, std::uint64_t size,
                    const OnPiece& on_piece, std::stop_token stop) override;
  Status getFile(const std::string& key, int fd, std::string_view sha256) override;
  Result<ObjectInfo> head(const std::string& key) override;
  Result<std::vector<ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                       int limit) override;
  Status remove(const std::string& key) override;
  Status removeMany(const std::vector<std::string>& keys, std::stop_token stop) override;
  Duration clockAhead() const override { return client_->clockAhead(); }
  TransferPool* pool() override { return &transfers_->pool(); }
  std::unique_ptr<ObjectStore> until(std::stop_token stop) override;

 private:
  S3Store(const S3Store& same, std::stop_token stop);
  Status getPart(const Location& from, const GetOptions& options, const OnPiece& on_piece,
                 const std::stop_token& stop);
  Result<Location> at(const std::string& key) const;
  Control control(std::stop_token stop = {});
  void moved(std::uint64_t bytes, const std::stop_token& stop);

  const std::shared_ptr<Client> client_;
  const Location root_;
  const std::shared_ptr<Throttle> throttle_;
  const std::shared_ptr<Transfers> transfers_;
  const std::stop_token stop_;  // of everything
};

}  // namespace buoy::objstore::s3
