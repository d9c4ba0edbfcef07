#pragma once

#include <memory>
#include <string>
#include <vector>

#include "objstore/object_store.h"
#include "objstore/transfer/pool.h"

namespace buoy::objstore {

// For tests: another store, to be changed where a test wants to act in the middle of things.
class ForwardingStore : public ObjectStore {
 public:
  explicit ForwardingStore(ObjectStore& real) : real_(real) {}
  std::string uri() const override { return real_.uri(); }
  Status put(const std::string& key, std::string_view content) override { return real_.put(key, content); }
  Status putIfAbsent(const std::string& key, std::string_view content) override {
    return real_.putIfAbsent(key, content);
  }
  Status putFile(const std::string& key, int fd, std::uint64_t size, std::string* hash) override {
    return real_.putFile(key, fd, size, hash);
  }
  Status putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                   std::stop_token stop) override {
    return real_.putPieces(key, content, stop);
  }
  Result<std::unique_ptr<MultipartPut>> beginMultipart(const std::string& key) override {
    return real_.beginMultipart(key);
  }
  Status putIfMatch(const std::string& key, std::string_view content, const std::string& etag) override {
    return real_.putIfMatch(key, content, etag);
  }
  Status copy(const std::string& from, const std::string& to) override { return real_.copy(from, to); }
  Status getRange(const std::string& key, std::uint64_t offset, std::uint64_t size, const OnPiece& on_piece,
                  std::stop_token stop) override {
    return real_.getRange(key, offset, size, on_piece, stop);
  }
  Result<std::string> get(const std::string& key, std::uint64_t limit) override {
    return real_.get(key, limit);
  }
  Status getFile(const std::string& key, int fd, std::string_view hash) override {
    return real_.getFile(key, fd, hash);
  }
  Result<ObjectInfo> head(const std::string& key) override { return real_.head(key); }
  Result<std::vector<ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                       int limit) override {
    return real_.list(prefix, after, limit);
  }
  Status remove(const std::string& key) override { return real_.remove(key); }

 private:
  ObjectStore& real_;
};

// A near store that behaves as one that is far away: many operations at once, content in packs.
class FarStore : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  TransferPool* pool() override { return &pool_; }

 private:
  TransferPool pool_{{.threads = 4}};
};

}  // namespace buoy::objstore
