#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/any_stop.h"
#include "objstore/transfer/transfer.h"

namespace buoy::objstore {

// One object copied by the server.
class ServerCopy : public std::enable_shared_from_this<ServerCopy> {
 public:
  ServerCopy(Transfers& transfers, std::shared_ptr<s3::Client> client, std::string bucket,
             const s3::Object& known, s3::Location to, Transfers::Done done, std::stop_token stop);
  void start();

 private:
  Status copyPart(std::size_t index);
  Status complete();
  void end(Status status);

  s3::Control control() { return transfers_.control(stop_.token()); }

  Transfers& transfers_;
  const AnyStop stop_;
  const std::shared_ptr<s3::Client> client_;
  const s3::CopySource from_;
  const std::uint64_t size_;
  const s3::Location to_;
  const Transfers::Done done_;
  std::string upload_;
  std::mutex mutex_;
  std::vector<s3::Part> parts_;
};

}  // namespace buoy::objstore
