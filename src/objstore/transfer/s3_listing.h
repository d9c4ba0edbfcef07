#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "objstore/s3/client.h"
#include "objstore/transfer/tree_entry.h"

namespace buoy::objstore {

// The pages of a listing. A thread of its own asks for the next ones while the caller works on those that
// came: the whole takes as long as the listing alone, in constant memory. One thread calls.
class S3Pages {
 public:
  // Nothing is asked before the first next(). `stop` ends waiting with cancelled.
  S3Pages(std::shared_ptr<s3::Client> client, std::string bucket, s3::ListOptions options,
          std::stop_token stop);
  ~S3Pages();  // breaks the listing off
  S3Pages(const S3Pages&) = delete;
  S3Pages& operator=(const S3Pages&) = delete;
  // False: there was no further one.
  Result<bool> next(s3::ListPage& page);

 private:
  void fetch(const std::stop_token& own_stop);

  const std::shared_ptr<s3::Client> client_;
  const std::string bucket_;
  s3::ListOptions options_;
  std::stop_source stop_;  // of the requests
  std::stop_callback<std::function<void()>> outer_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Result<s3::ListPage>> pages_;
  bool ended_ = false;  // no further page will come

  std::jthread thread_;  // last: it uses all others
};

// The objects whose keys begin with a prefix, in byte order.
class S3Listing final : public TreeStream {
 public:
  S3Listing(std::shared_ptr<s3::Client> client, std::string bucket, std::string prefix, std::stop_token stop);
  // Paths are keys without the prefix; folder markers ("dir/") are among them.
  Result<bool> next(TreeEntry& entry) override;

 private:
  const std::string prefix_;
  S3Pages pages_;
  s3::ListPage page_;
  std::size_t at_ = 0;
};

}  // namespace buoy::objstore
