#include "objstore/transfer/server_copy.h"

#include <algorithm>

#include "objstore/s3/verdict.h"
#include "objstore/transfer/parts.h"

namespace buoy::objstore {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;
constexpr std::uint64_t kOneCopy = 5 * kGiB;  // S3's limit
constexpr std::uint64_t kCopyPart = kGiB;

}  // namespace

ServerCopy::ServerCopy(Transfers& transfers, std::shared_ptr<s3::Client> client, std::string bucket,
                       const s3::Object& known, s3::Location to, Transfers::Done done, std::stop_token stop)
    : transfers_(transfers),
      stop_{transfers.stop(), stop},
      client_(std::move(client)),
      from_{{std::move(bucket), known.key}, known.etag},
      size_(known.size),
      to_(std::move(to)),
      done_(std::move(done)) {}

void ServerCopy::start() {
  if (size_ <= kOneCopy) return end(client_->copy(from_, to_, control()));
  auto properties = client_->properties(from_.at, control());
  if (!properties) return end(fail(properties.error()));
  auto upload = client_->createUpload(to_, {.properties = std::move(*properties)}, control());
  if (!upload) return end(fail(upload.error()));
  upload_ = std::move(*upload);
  parts_.resize(static_cast<std::size_t>((size_ + kCopyPart - 1) / kCopyPart));
  Parts::run(
      transfers_.pool_, parts_.size(), static_cast<std::size_t>(transfers_.options_.pool.max_threads),
      [self = shared_from_this()](std::size_t index) { return self->copyPart(index); },
      [self = shared_from_this()](Status status) {
        if (status) status = self->complete();
        if (!status) (void)self->client_->abortUpload(self->to_, self->upload_, {});
        self->end(std::move(status));
      });
}

Status ServerCopy::copyPart(std::size_t index) {
  const std::uint64_t offset = index * kCopyPart;
  BUOY_TRY(s3::Part part, client_->copyPart(from_, offset, std::min(kCopyPart, size_ - offset), to_, upload_,
                                            static_cast<int>(index) + 1, control()));
  const std::lock_guard lock(mutex_);
  parts_[index] = std::move(part);
  return {};
}

Status ServerCopy::complete() {
  if (!from_.etag.empty()) {
    // There are servers that look at the condition of a whole copy only, and would mix two objects.
    BUOY_TRY(const s3::Object now, client_->head(from_.at, control()));
    if (s3::bareEtag(now.etag) != s3::bareEtag(from_.etag)) return fail(ErrorCode::failed_precondition, "");
  }
  return client_->completeUpload(to_, upload_, parts_, {}, control());
}

void ServerCopy::end(Status status) {
  if (!status && status.error().code == ErrorCode::failed_precondition) {
    status = fail(ErrorCode::unavailable, from_.at.toString() + " was replaced while it was copied", true);
  }
  if (status) ++transfers_.progress_.files;
  done_(status);
}

}  // namespace buoy::objstore
