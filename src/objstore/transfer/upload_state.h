#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "objstore/s3/client.h"
#include "os/fd.h"
#include "os/file_state.h"

namespace buoy::objstore {

// An unfinished multipart upload, remembered on this machine so that the next run goes on with it: one small
// file for each upload under way. Not thread-safe.
class UploadState {
 public:
  struct Entry {
    std::string upload;  // S3's id
    std::uint64_t part_size = 0;
    os::FileIdentity source;
  };

  // `directory` empty: remembers nothing.
  UploadState(const std::string& directory, const std::string& endpoint, const s3::Location& to,
              const std::string& file);
  // Locks it until this object ends; while another run sends the same file to the same place, this one
  // remembers nothing. What cannot be read is as if it were not there.
  std::optional<Entry> load();
  void save(const Entry& entry) const;  // after load()
  void remove();
  bool kept() const { return !path_.empty(); }

 private:
  std::string path_;
  os::Fd fd_;
};

}  // namespace buoy::objstore
