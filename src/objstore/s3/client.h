#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "aws/credentials.h"
#include "aws/settings.h"
#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/redacted.h"
#include "base/result.h"
#include "base/units.h"
#include "net/http.h"

// Amazon S3's REST API (https://docs.aws.amazon.com/AmazonS3/latest/API/), as AWS, Ceph, MinIO and others
// speak it.
namespace buoy::objstore::s3 {

// "s3://bucket/key": the key may be empty, and is taken as it stands (no %-escapes).
struct Location {
  std::string bucket, key;
  std::string toString() const { return "s3://" + bucket + "/" + key; }
  bool operator==(const Location&) const = default;
};
Result<Location> parseLocation(std::string_view uri);  // invalid_argument

struct Encryption {
  std::string algorithm;  // x-amz-server-side-encryption: "AES256", "aws:kms"; empty: the bucket's default
  std::string kms_key;    // for aws:kms; empty: the account's
  Redacted customer_key;  // 32 bytes, for SSE-C; only over TLS
};

struct ClientOptions {
  aws::Settings settings;
  std::shared_ptr<aws::CredentialsProvider> credentials;
  const Clock* clock = nullptr;  // nullptr: the system's
  Encryption encryption;
  // How long trouble that may pass (429, 5xx, broken connections) is waited out. A server that has never
  // answered is given up much sooner, as it probably is the wrong one.
  Duration patience = std::chrono::minutes{2};
  Duration first_patience = std::chrono::seconds{3};
  Duration idle_timeout = std::chrono::seconds{30};
  int max_connections_kept = 64;
};

// For one operation; whatever it points to must live until that returns.
struct Control {
  std::stop_token stop;
  std::function<void(std::uint64_t)> on_moved;  // bytes, as they move; may block to slow down
};

struct Object {
  std::string key;
  std::uint64_t size = 0;
  Time modified{};
  std::string etag;  // with its quotes
};

struct PutOptions {
  std::string if_match;        // an ETag
  bool if_none_match = false;  // only if there is no such object
  aws::NameValues properties;  // headers; without a Content-Type it is binary/octet-stream
};

struct GetOptions {
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> size;  // nullopt: to the end
  std::string if_match;               // an ETag: failed_precondition if the object is another one by now
};

// What is copied.
struct CopySource {
  Location at;
  std::string etag;  // failed_precondition if the object is another one by now; empty: whatever is there
};

struct Part {
  int number = 0;  // 1 to 10,000
  std::uint64_t size = 0;
  std::string etag;
  std::string crc32c;  // base64, where checksums are sent
};

struct ListPage {
  std::vector<Object> objects;        // in byte order of their keys
  std::vector<std::string> prefixes;  // if asked for by a delimiter
  std::string next;                   // the token of the next page; empty: this was the last
};
struct ListOptions {
  std::string prefix, delimiter, start_after, token;
  int limit = 1000;
};

// One server, many buckets. Threads: any; each operation blocks, and uses a kept-alive connection of its own.
// Trouble that may pass is waited out with jittered backoff; a wrong region, a skewed clock and expired
// credentials are put right. Errors: not_found (key or bucket), already_exists (if_none_match lost),
// failed_precondition (if_match lost), permission_denied, unauthenticated, invalid_argument, unavailable
// (retryable), data_loss (the server says that it received other bytes), cancelled. The message names the
// operation, the place, and what the server said.
class Client {
 public:
  static Result<std::shared_ptr<Client>> create(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // A conditional put whose answer was lost may say that it lost against itself: look at what is there.
  Result<std::string> put(const Location& at, const std::vector<net::BodyPiece>& body,
                          const PutOptions& options,
                          const Control& control);  // the ETag
  // After a broken connection the rest of the same object is fetched; if it is another one by then:
  // unavailable.
  Result<Object> get(const Location& at, const GetOptions& options,
                     const std::function<Status(std::string_view)>& on_body, const Control& control);
  // Like get of the whole object, into memory: resource_exhausted if it has more than `limit` bytes.
  Result<std::string> read(const Location& at, std::uint64_t limit, const Control& control);
  Result<Object> head(const Location& at, const Control& control);
  // The headers with which the same object would be put: its type, encoding, caching, and x-amz-meta-*.
  Result<aws::NameValues> properties(const Location& at, const Control& control);
  Status remove(const Location& at, const Control& control);  // missing is success
  // At most 1,000 in one request; the keys that could not be removed are in the error.
  Status removeMany(const std::string& bucket, const std::vector<std::string>& keys, const Control& control);
  Status copy(const CopySource& from, const Location& to, const Control& control);  // at most 5 GiB
  Result<ListPage> list(const std::string& bucket, const ListOptions& options, const Control& control);

  // In the region of the settings. already_exists.
  Status createBucket(const std::string& bucket, const Control& control);
  Result<std::vector<std::string>> listBuckets(const Control& control);

  Result<std::string> createUpload(const Location& at, const PutOptions& options, const Control& control);
  Result<Part> putPart(const Location& at, const std::string& upload, int number,
                       const std::vector<net::BodyPiece>& body, const Control& control);
  Result<Part> copyPart(const CopySource& from, std::uint64_t offset, std::uint64_t size, const Location& to,
                        const std::string& upload, int number, const Control& control);
  Result<std::vector<Part>> listParts(const Location& at, const std::string& upload, const Control& control);
  Status completeUpload(const Location& at, const std::string& upload, const std::vector<Part>& parts,
                        const PutOptions& options, const Control& control);
  Status abortUpload(const Location& at, const std::string& upload, const Control& control);

  // A URL with which whoever has it may GET (or `method`) the object until `valid` (at most 7 days) is over.
  Result<std::string> presign(const std::string& method, const Location& at, Duration valid);

  // How far the server's clock is ahead of this machine's: by the last answer, within about a second. Zero
  // before any.
  Duration clockAhead() const;

  std::string endpointName() const;  // for messages: "https://s3.eu-west-1.amazonaws.com"

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace buoy::objstore::s3
