#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/any_stop.h"
#include "objstore/transfer/transfer.h"
#include "objstore/transfer/upload_state.h"
#include "os/fd.h"

namespace buoy::objstore {

inline constexpr int kMostParts = 10'000;  // of an upload, as S3 says

// One file on its way to S3.
class Upload : public std::enable_shared_from_this<Upload> {
 public:
  Upload(Transfers& transfers, std::shared_ptr<s3::Client> client, std::string file, s3::Location to,
         Transfers::Done done, std::stop_token stop);
  void start();

 private:
  void startFile();
  void startStream();
  Status putWhole(std::uint64_t size);
  Result<std::vector<s3::Part>> continueUpload();
  Status putPart(std::size_t index);
  void partsEnded(Status status);
  Status complete();
  Status unchanged() const;
  Status sendStream();
  Status sendStreamParts(std::string first);
  void abandon();
  void end(Status status);

  s3::Control control() { return transfers_.control(stop_.token()); }

  Transfers& transfers_;
  const AnyStop stop_;
  const std::shared_ptr<s3::Client> client_;
  const std::string file_;
  const s3::Location to_;
  const Transfers::Done done_;
  UploadState state_;
  os::Fd fd_;
  os::FileIdentity source_;
  std::string upload_;  // S3's id of the multipart upload
  std::uint64_t part_size_ = 0;
  std::mutex mutex_;
  std::vector<s3::Part> parts_;  // by number; `number` 0: not sent yet
};

}  // namespace buoy::objstore
