#include "objstore/transfer/server_copy.h"

#include <algorithm>

#include "objstore/transfer/parts.h"

namespace buoy::objstore {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;
constexpr std::uint64_t kOneCopy = 5 * kGiB;  // S3's limit
constexpr std::uint64_t kCopyPart = kGiB;

}  // namespace

ServerCopy::ServerCopy(Transfers& transfers, std::shared_ptr<s3::Client> client, s3::Location from,
                       std::uint64_t size, s3::Location to, Transfers::Done done)
    : transfers_(transfers),
      client_(std::move(client)),
      from_(std::move(from)),
      size_(size),
      to_(std::move(to)),
      done_(std::move(done)) {}

void ServerCopy::start() {
  if (size_ <= kOneCopy) return end(client_->copy(from_, to_, transfers_.control()));
  auto upload = client_->createUpload(to_, {}, transfers_.control());
  if (!upload) return end(fail(upload.error()));
  upload_ = std::move(*upload);
  parts_.resize(static_cast<std::size_t>((size_ + kCopyPart - 1) / kCopyPart));
  Parts::run(
      transfers_.pool_, parts_.size(), static_cast<std::size_t>(transfers_.options_.pool.max_threads),
      [self = shared_from_this()](std::size_t index) { return self->copyPart(index); },
      [self = shared_from_this()](Status status) {
        if (status)
          status = self->client_->completeUpload(self->to_, self->upload_, self->parts_, {},
                                                 self->transfers_.control());
        if (!status) (void)self->client_->abortUpload(self->to_, self->upload_, {});
        self->end(std::move(status));
      });
}

Status ServerCopy::copyPart(std::size_t index) {
  const std::uint64_t offset = index * kCopyPart;
  BUOY_TRY(s3::Part part, client_->copyPart(from_, offset, std::min(kCopyPart, size_ - offset), to_, upload_,
                                            static_cast<int>(index) + 1, transfers_.control()));
  const std::lock_guard lock(mutex_);
  parts_[index] = std::move(part);
  return {};
}

void ServerCopy::end(Status status) {
  if (status) ++transfers_.progress_.files;
  done_(status);
}

}  // namespace buoy::objstore
