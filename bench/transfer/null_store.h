#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <string>
#include <string_view>

// What the null server remembers: names and sizes, never bytes.
namespace buoy::bench {

struct NullObject {
  std::uint64_t size = 0;
  std::time_t modified = 0;
  std::string etag;      // with quotes
  std::string metadata;  // "x-amz-meta-…" header lines as they were put
};

using Query = std::map<std::string, std::string>;

std::string percentDecode(std::string_view text);
Query parseQuery(std::string_view text);

// One thread.
class NullStore {
 public:
  // `name` is "bucket/key".
  const NullObject& put(const std::string& name, std::uint64_t size, std::string metadata);
  const NullObject* find(const std::string& name) const;
  void erase(const std::string& name) { objects_.erase(name); }

  std::string createUpload(const std::string& metadata);
  // The ETag of the part, with quotes.
  std::string addPart(const std::string& upload, std::uint64_t number, std::uint64_t size);
  // Null if there is no such upload.
  const NullObject* completeUpload(const std::string& upload, const std::string& name);
  void abortUpload(const std::string& upload) { uploads_.erase(upload); }

  // ListObjectsV2 and ListObjects of one bucket as XML.
  std::string list(const std::string& bucket, const Query& query) const;

 private:
  struct Upload {
    std::string metadata;
    std::map<std::uint64_t, std::uint64_t> parts;  // sizes by number
  };
  std::map<std::string, NullObject> objects_;
  std::map<std::string, Upload> uploads_;
  std::uint64_t last_upload_ = 0;
};

}  // namespace buoy::bench
