#include "objstore/transfer/s3_listing.h"

#include <utility>

namespace buoy::objstore {
namespace {

constexpr std::size_t kPagesAhead = 4;

}  // namespace

S3Pages::S3Pages(std::shared_ptr<s3::Client> client, std::string bucket, s3::ListOptions options,
                 std::stop_token stop)
    : client_(std::move(client)),
      bucket_(std::move(bucket)),
      options_(std::move(options)),
      outer_(std::move(stop), [this] { stop_.request_stop(); }) {}

S3Pages::~S3Pages() {
  stop_.request_stop();
}

void S3Pages::fetch(const std::stop_token& own_stop) {
  while (true) {
    auto page = client_->list(bucket_, options_, {stop_.get_token(), {}});
    const bool last = !page || page->next.empty();
    if (page) options_.token = page->next;
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, own_stop, [this] { return pages_.size() < kPagesAhead; })) return;
    pages_.push_back(std::move(page));
    ended_ = last;
    changed_.notify_all();
    if (last) return;
  }
}

Result<bool> S3Pages::next(s3::ListPage& page) {
  if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& own) { fetch(own); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pages_.empty() || ended_; });
  if (pages_.empty()) return false;
  Result<s3::ListPage> first = std::move(pages_.front());
  pages_.pop_front();
  changed_.notify_all();
  BUOY_TRY(page, std::move(first));
  return true;
}

S3Listing::S3Listing(std::shared_ptr<s3::Client> client, std::string bucket, std::string prefix,
                     std::stop_token stop)
    : prefix_(prefix),
      pages_(std::move(client), std::move(bucket), {.prefix = std::move(prefix)}, std::move(stop)) {}

Result<bool> S3Listing::next(TreeEntry& entry) {
  while (at_ == page_.objects.size()) {
    BUOY_TRY(const bool more, pages_.next(page_));
    if (!more) return false;
    at_ = 0;
  }
  s3::Object& object = page_.objects[at_++];
  if (!object.key.starts_with(prefix_)) {
    return fail(ErrorCode::internal,
                "the server listed the key " + object.key + " for the prefix " + prefix_);
  }
  entry.path = object.key.substr(prefix_.size());
  entry.size = object.size;
  entry.modified = object.modified;
  entry.etag = std::move(object.etag);
  return true;
}

}  // namespace buoy::objstore
