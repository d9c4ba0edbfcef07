#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "objstore/s3/client.h"
#include "objstore/transfer/tree_entry.h"

namespace buoy::objstore {

// The objects whose keys begin with a prefix, in byte order. A thread of its own asks for the next pages
// while the caller works on those that came: the whole takes as long as the listing alone, in constant
// memory.
class S3Listing final : public TreeStream {
 public:
  // Nothing is asked before the first next(). `stop` ends waiting with cancelled.
  S3Listing(std::shared_ptr<s3::Client> client, std::string bucket, std::string prefix, std::stop_token stop);
  ~S3Listing() override;  // breaks the listing off
  // Paths are keys without the prefix; folder markers ("dir/") are among them.
  Result<bool> next(TreeEntry& entry) override;

 private:
  static constexpr std::size_t kPagesAhead = 4;
  void fetch(const std::stop_token& own_stop);
  Result<bool> nextPage();

  const std::shared_ptr<s3::Client> client_;
  const std::string bucket_, prefix_;
  std::stop_source stop_;  // of the requests
  std::stop_callback<std::function<void()>> outer_;

  s3::ListPage page_;  // the caller's
  std::size_t at_ = 0;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Result<s3::ListPage>> pages_;
  bool ended_ = false;  // no further page will come

  std::jthread thread_;  // last: it uses all others
};

}  // namespace buoy::objstore
