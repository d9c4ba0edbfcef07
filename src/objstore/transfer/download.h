#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "objstore/transfer/transfer.h"
#include "os/fd.h"

namespace buoy::objstore {

// One object on its way to a file.
class Download : public std::enable_shared_from_this<Download> {
 public:
  Download(Transfers& transfers, std::shared_ptr<s3::Client> client, std::string bucket, s3::Object known,
           std::string file, Transfers::Done done);
  void start();

 private:
  Status toStandardOutput();
  Status getWhole();
  Status openTemporary(const std::string& name, int flags);
  Status beginParts();
  Status getPart(std::size_t index);
  void partsEnded(Status status);
  Status nameIt();
  void end(Status status);
  std::string beside(const std::string& name) const;

  Transfers& transfers_;
  const std::shared_ptr<s3::Client> client_;
  const s3::Location from_;
  const s3::Object known_;
  const std::string file_;
  const Transfers::Done done_;
  os::Fd fd_;
  std::string temporary_;
  std::uint64_t part_size_ = 0;
  // What is whole already, one number a line, so that the next run need not fetch it again.
  os::Fd journal_;
  std::string journal_path_;
  std::set<std::size_t> whole_;
  std::mutex mutex_;  // guards journal_ and whole_
};

}  // namespace buoy::objstore
