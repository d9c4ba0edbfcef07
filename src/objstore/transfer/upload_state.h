#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "objstore/s3/client.h"

struct stat;

namespace buoy::objstore {

// What must be equal for a file to be the same as before.
struct SourceIdentity {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t modified_ns = 0, changed_ns = 0;
  bool operator==(const SourceIdentity&) const = default;
  static SourceIdentity of(const struct stat& info);
};

// An unfinished multipart upload, remembered on this machine so that the next run goes on with it: one small
// file for each upload under way. Not thread-safe.
class UploadState {
 public:
  struct Entry {
    std::string upload;  // S3's id
    std::uint64_t part_size = 0;
    SourceIdentity source;
  };

  // `directory` empty: remembers nothing.
  UploadState(const std::string& directory, const std::string& endpoint, const s3::Location& to,
              const std::string& file);
  std::optional<Entry> load() const;  // what cannot be read is as if it were not there
  void save(const Entry& entry) const;
  void remove() const;
  bool kept() const { return !path_.empty(); }

 private:
  std::string path_;
};

}  // namespace buoy::objstore
