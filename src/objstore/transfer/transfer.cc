#include "objstore/transfer/transfer.h"

#include <algorithm>

#include "objstore/transfer/download.h"
#include "objstore/transfer/server_copy.h"
#include "objstore/transfer/upload.h"

namespace buoy::objstore {
namespace {

constexpr std::uint64_t kSmallestPart = 8 * kMiB;  // S3 takes 5 MiB and more
constexpr std::uint64_t kLargestUseful = 64 * kMiB;
constexpr std::uint64_t kPartsASecond =
    2;  // of one connection: long enough to be worth a request, short to repeat

}  // namespace

Transfers::Transfers(TransferOptions options, std::stop_token stop)
    : options_(std::move(options)), stop_(std::move(stop)), pool_(options_.pool) {}

Transfers::~Transfers() {
  wait();
}

void Transfers::wait() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return unfinished_ == 0; });
}

s3::Control Transfers::control(const std::stop_token& stop) {
  return {stop, [this, stop](std::uint64_t bytes) {
            progress_.bytes += bytes;
            pool_.moved(bytes);
            if (options_.throttle) options_.throttle->moved(bytes, stop);
          }};
}

std::uint64_t Transfers::partSizeFor(std::uint64_t size) const {
  const std::uint64_t needed = (size + kMostParts - 1) / kMostParts;
  if (options_.part_size != 0) return std::max(options_.part_size, needed);
  const std::uint64_t wanted =
      std::clamp(pool_.ratePerConnection() / kPartsASecond, kSmallestPart, kLargestUseful);
  // Whole MiB: pages, and blocks of disks, are not cut.
  return (std::max(wanted, needed) + kMiB - 1) / kMiB * kMiB;
}

void Transfers::begin(Done done, std::function<void(Done)> task) {
  {
    const std::lock_guard lock(mutex_);
    ++unfinished_;
  }
  Done counted = [this, done = std::move(done)](const Status& status) {
    done(status);
    const std::lock_guard lock(mutex_);
    if (--unfinished_ == 0) idle_.notify_all();
  };
  pool_.submit([this, task = std::move(task), counted = std::move(counted)] {
    if (stop_.stop_requested()) return counted(fail(ErrorCode::cancelled, "stopped"));
    task(counted);
  });
}

void Transfers::upload(std::shared_ptr<s3::Client> client, std::string file, s3::Location to, Done done,
                       std::stop_token stop) {
  begin(std::move(done), [this, client = std::move(client), file = std::move(file), to = std::move(to),
                          stop = std::move(stop)](Done counted) {
    std::make_shared<Upload>(*this, client, file, to, std::move(counted), stop)->start();
  });
}

void Transfers::download(std::shared_ptr<s3::Client> client, std::string bucket, s3::Object known,
                         std::string file, Done done) {
  begin(std::move(done), [this, client = std::move(client), bucket = std::move(bucket),
                          known = std::move(known), file = std::move(file)](Done counted) {
    std::make_shared<Download>(*this, client, bucket, known, file, std::move(counted))->start();
  });
}

void Transfers::copy(std::shared_ptr<s3::Client> client, std::string bucket, s3::Object known,
                     s3::Location to, Done done, std::stop_token stop) {
  begin(std::move(done),
        [this, client = std::move(client), bucket = std::move(bucket), known = std::move(known),
         to = std::move(to), stop = std::move(stop)](Done counted) {
          std::make_shared<ServerCopy>(*this, client, bucket, known, to, std::move(counted), stop)->start();
        });
}

void Transfers::remove(std::shared_ptr<s3::Client> client, std::string bucket, std::vector<std::string> keys,
                       Done done) {
  begin(std::move(done),
        [this, client = std::move(client), bucket = std::move(bucket), keys = std::move(keys)](Done counted) {
          counted(client->removeMany(bucket, keys, control()));
        });
}

}  // namespace buoy::objstore
