#include "objstore/transfer/upload.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "objstore/transfer/parts.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

// Up to this size one request is faster than the three at least that a multipart upload needs.
constexpr std::uint64_t kOnePut = 16 * kMiB;
constexpr std::uint64_t kStreamPart = 8 * kMiB;
constexpr std::uint64_t kMaxStreamPart = 64 * kMiB;
constexpr int kStreamPartsOfOneSize = 1000;  // then they grow, so that 10,000 hold 600 GB

}  // namespace

Upload::Upload(Transfers& transfers, std::shared_ptr<s3::Client> client, std::string file, s3::Location to,
               Transfers::Done done, std::stop_token stop)
    : transfers_(transfers),
      stop_{transfers.stop(), stop},
      client_(std::move(client)),
      file_(std::move(file)),
      to_(std::move(to)),
      done_(std::move(done)),
      state_(file_ == "-" ? "" : transfers_.options_.state_directory, client_->endpointName(), to_, file_) {}

void Upload::start() {
  file_ == "-" ? startStream() : startFile();
}

void Upload::startFile() {
  auto fd = os::openFile(file_, O_RDONLY | O_NONBLOCK);
  if (!fd) return end(fail(fd.error()));
  fd_ = std::move(*fd);
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return end(failErrno(errno, file_));
  if (!S_ISREG(info.st_mode)) return end(fail(ErrorCode::invalid_argument, file_ + " is not a regular file"));
  source_ = os::FileIdentity::of(info);
  const std::uint64_t configured = transfers_.options_.part_size;
  if (source_.size <= (configured != 0 ? configured : kOnePut)) return end(putWhole(source_.size));
  auto parts = continueUpload();
  if (!parts) return end(fail(parts.error()));
  parts_ = std::move(*parts);
  Parts::run(
      transfers_.pool_, parts_.size(), static_cast<std::size_t>(transfers_.options_.pool.max_threads),
      [self = shared_from_this()](std::size_t index) { return self->putPart(index); },
      [self = shared_from_this()](Status status) { self->partsEnded(std::move(status)); });
}

Status Upload::putWhole(std::uint64_t size) {
  std::vector<net::BodyPiece> body;
  if (size > 0) body.push_back({{}, fd_.get(), 0, size});
  BUOY_TRY_VOID(client_->put(to_, body, {}, control()).map([](const auto&) {}));
  if (unchanged()) return {};
  // What was there before is gone in any case, so what was sent stays until it is sent again.
  return fail(ErrorCode::unavailable,
              file_ + " changed while it was sent, so what is stored may be a mixture: send it again", true);
}

Status Upload::unchanged() const {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return failErrno(errno, file_);
  if (os::FileIdentity::of(info) == source_) return {};
  return fail(ErrorCode::unavailable, file_ + " changed while it was read, so it was not stored", true);
}

// What is there already of an upload that was interrupted, or nothing of a new one.
Result<std::vector<s3::Part>> Upload::continueUpload() {
  const auto parts_of = [&] {
    return static_cast<std::size_t>((source_.size + part_size_ - 1) / part_size_);
  };
  if (const auto entry = state_.load()) {
    const auto there = entry->source == source_
                           ? client_->listParts(to_, entry->upload, control())
                           : Result<std::vector<s3::Part>>(fail(ErrorCode::not_found, ""));
    if (!there && there.error().code != ErrorCode::not_found) return fail(there.error());
    if (there) {
      upload_ = entry->upload;
      part_size_ = entry->part_size;
      std::vector<s3::Part> parts(parts_of());
      for (const s3::Part& part : *there) {
        const auto index = static_cast<std::size_t>(part.number) - 1;
        if (part.number < 1 || index >= parts.size()) continue;
        if (part.size == std::min(part_size_, source_.size - index * part_size_)) parts[index] = part;
      }
      return parts;
    }
    (void)client_->abortUpload(to_, entry->upload, control());
  }
  part_size_ = transfers_.partSizeFor(source_.size);
  BUOY_TRY(upload_, client_->createUpload(to_, {}, control()));
  state_.save({upload_, part_size_, source_});
  return std::vector<s3::Part>(parts_of());
}

Status Upload::putPart(std::size_t index) {
  {
    const std::lock_guard lock(mutex_);
    if (parts_[index].number != 0) return {};
  }
  if (stop_.token().stop_requested()) return fail(ErrorCode::cancelled, "stopped");
  const std::uint64_t offset = index * part_size_;
  const net::BodyPiece piece{{}, fd_.get(), offset, std::min(part_size_, source_.size - offset)};
  BUOY_TRY(s3::Part part, client_->putPart(to_, upload_, static_cast<int>(index) + 1, {piece}, control()));
  const std::lock_guard lock(mutex_);
  parts_[index] = std::move(part);
  return {};
}

void Upload::partsEnded(Status status) {
  if (status) status = unchanged();
  const bool changed = !status && status.error().code == ErrorCode::unavailable && !unchanged();
  if (status) status = complete();
  // What may pass, or was stopped, is for the next run to go on with.
  const bool worth_keeping =
      !status && !changed && state_.kept() &&
      (status.error().code == ErrorCode::unavailable || status.error().code == ErrorCode::deadline_exceeded ||
       status.error().code == ErrorCode::cancelled);
  if (!status && !worth_keeping) abandon();
  if (status) state_.remove();
  end(std::move(status));
}

Status Upload::complete() {
  return client_->completeUpload(to_, upload_, parts_, {}, control());
}

void Upload::abandon() {
  // Also when everything is to stop: parts that nobody completes cost money.
  (void)client_->abortUpload(to_, upload_, {});
  state_.remove();
}

// ---- standard input

void Upload::startStream() {
  end(sendStream());
}

// Up to `size` bytes; fewer at the end.
static Result<std::string> readStream(std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t count = ::read(STDIN_FILENO, bytes.data() + filled, size - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failErrno(errno, "read standard input");
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

Status Upload::sendStream() {
  BUOY_TRY(std::string first, readStream(kStreamPart));
  if (first.size() < kStreamPart)
    return client_->put(to_, {net::BodyPiece{first}}, {}, control()).map([](const auto&) {});
  BUOY_TRY(upload_, client_->createUpload(to_, {}, control()));
  Status status = sendStreamParts(std::move(first));
  if (status) status = complete();
  if (!status) abandon();
  return status;
}

Status Upload::sendStreamParts(std::string bytes) {
  std::size_t size = kStreamPart;
  while (!bytes.empty()) {
    const int number = static_cast<int>(parts_.size()) + 1;
    if (number > kMostParts)
      return fail(ErrorCode::invalid_argument, "standard input is too long for one object");
    BUOY_TRY(s3::Part part, client_->putPart(to_, upload_, number, {net::BodyPiece{bytes}}, control()));
    parts_.push_back(std::move(part));
    if (number % kStreamPartsOfOneSize == 0) size = std::min<std::size_t>(size * 2, kMaxStreamPart);
    BUOY_TRY(bytes, readStream(size));
  }
  return {};
}

void Upload::end(Status status) {
  if (status) ++transfers_.progress_.files;
  done_(status);
}

}  // namespace buoy::objstore
