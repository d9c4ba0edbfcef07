#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "aws/sigv4.h"
#include "objstore/s3/checksum.h"
#include "objstore/s3/client.h"
#include "objstore/s3/connections.h"
#include "objstore/s3/endpoint.h"
#include "objstore/s3/verdict.h"

namespace buoy::objstore::s3 {

// One request, as often as it must be sent.
struct Call {
  std::string what;  // for messages: "put"
  std::string method;
  Location at;  // the bucket may be empty: the service
  aws::NameValues query = {};
  aws::NameValues headers = {};
  std::vector<net::BodyPiece> body = {};
  bool checksum = false;  // a CRC-32C goes with the body where checksums are sent
  std::function<Status(std::string_view)> on_body = nullptr;  // of a success
  // Of a success, before its body. A retryable error: the answer is not one to this request, which is sent
  // again, a few times, on another connection.
  std::function<Status(const net::Response&)> on_header = nullptr;
  // Of a success that is not given to on_body, when it is whole. A retryable error: as if the server had
  // refused it for the time being.
  std::function<Status(const net::Response&)> check = nullptr;
  // Before every try: the headers of this try.
  std::function<void(aws::NameValues&)> adjust = nullptr;
  std::string crc32c = {};   // set by the call: what was sent
  std::string refusal = {};  // set by the call: what the server called its last refusal
};

// Signs, sends, judges, waits and tries again. Threads: any.
class Caller {
 public:
  static Result<std::unique_ptr<Caller>> create(ClientOptions options);

  // A 2xx answer, or why there is none.
  Result<net::Response> perform(Call& call, const Control& control);
  Result<std::string> presign(const std::string& method, const Location& at, Duration valid);
  std::string endpointName() const;
  Duration clockAhead() const { return Duration{clock_ahead_}; }
  bool sendsChecksums() const;
  const ClientOptions& options() const { return options_; }

 private:
  class Tries;

  explicit Caller(ClientOptions options);
  // One try: an answer of any status, or an error of the connection.
  Result<net::Response> send(Call& call, const BodyDigests& digests, const Control& control);
  // What is wrong with a 2xx answer; nullopt: nothing.
  std::optional<Verdict> doubt(const Call& call, const net::Response& response,
                               const std::string& what) const;
  Verdict refusedBy(const Call& call, const net::Response& response, const std::string& what);
  Result<BodyDigests> digests(const Call& call, const Control& control) const;
  bool signsPayload(bool over_tls) const;
  std::string regionOf(const std::string& bucket) const;
  void learnClock(const net::Response& response);
  bool disagreesOnTheTime(const net::Response& response) const;
  Time serverTime() const;

  const ClientOptions options_;
  const Clock& clock_;
  Connections connections_;
  std::atomic<Duration::rep> clock_offset_{0};  // of signatures: only what the server insists on
  std::atomic<Duration::rep> clock_ahead_{0};   // of the server, by its last answer
  std::atomic<bool> ever_answered_{false};
  mutable std::mutex mutex_;
  std::map<std::string, std::string> regions_;  // of buckets that are not where the settings say
};

}  // namespace buoy::objstore::s3
