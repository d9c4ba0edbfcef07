#include "objstore/s3/caller.h"

#include <strings.h>
#include <algorithm>
#include <array>

#include "base/backoff.h"
#include "base/strings.h"
#include "objstore/s3/xml.h"
#include "os/system_clock.h"

namespace buoy::objstore::s3 {
namespace {

constexpr Duration kFirstWait = std::chrono::milliseconds{50};
constexpr Duration kLongestWait = std::chrono::seconds{5};
constexpr Duration kSkewAllowed = std::chrono::minutes{5};  // S3 allows 15
constexpr int kOtherWays = 3;  // redirects, corrections of the clock and new credentials, each

const Clock& systemClock() {
  static const os::SystemClock clock;
  return clock;
}

Error cancelled() {
  return {ErrorCode::cancelled, "stopped", false};
}

bool mayPass(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::deadline_exceeded;
}

// Status and headers, where one of them is another for every answer: then two that are the same are one
// answer that came twice, the second time in place of the one to another request. Empty elsewhere.
std::string nameOf(const net::Response& response) {
  std::string name = std::to_string(response.status);
  bool unique = false;
  for (const auto& [key, value] : response.headers) {
    unique = unique || ::strcasecmp(key.c_str(), "x-amz-request-id") == 0;
    name += strCat({"\n", key, ":", value});
  }
  return unique ? name : "";
}

bool isConditional(const Call& call) {
  return std::any_of(call.headers.begin(), call.headers.end(),
                     [](const auto& header) { return header.first == "If-None-Match"; });
}

}  // namespace

// How often and how long one call is tried.
class Caller::Tries {
 public:
  explicit Tries(Caller& caller) : caller_(caller) {}

  // Whether it is worth another try after this: waits before it says yes.
  bool again(const Verdict& verdict, const std::stop_token& stop) {
    switch (verdict.next) {
      case Verdict::Next::give_up:
        return false;
      case Verdict::Next::other_region:
      case Verdict::Next::other_clock:
      case Verdict::Next::other_credentials:
        return ++other_ways_ <= kOtherWays;
      case Verdict::Next::later:
        // Bytes that arrive wrong now and then are sent again; if they always do, it is not the wire.
        if (verdict.error.code == ErrorCode::data_loss && ++damaged_ > kOtherWays) return false;
        return waitOnce(stop);
    }
    return false;
  }
  // The same after an answer to something else.
  bool againAfterMixUp(const std::stop_token& stop) { return ++damaged_ <= kOtherWays && waitOnce(stop); }
  // Something went well in between: patience begins anew.
  void progress() { backoff_.reset(); }

 private:
  bool waitOnce(const std::stop_token& stop) {
    return backoff_.wait(caller_.ever_answered_ ? caller_.options_.patience : caller_.options_.first_patience,
                         stop);
  }

  Caller& caller_;
  int other_ways_ = 0;
  int damaged_ = 0;
  Backoff backoff_{kFirstWait, kLongestWait};
};

Result<std::unique_ptr<Caller>> Caller::create(ClientOptions options) {
  BUOY_TRY(const BucketEndpoint endpoint, endpointOf(options.settings, options.settings.region, ""));
  if (!options.encryption.customer_key.empty() && endpoint.server.kind != net::Endpoint::Kind::tls) {
    return fail(ErrorCode::invalid_argument,
                "a customer's encryption key is sent over TLS only: use an https endpoint");
  }
  return std::unique_ptr<Caller>(new Caller(std::move(options)));
}

Caller::Caller(ClientOptions options)
    : options_(std::move(options)),
      clock_(options_.clock != nullptr ? *options_.clock : systemClock()),
      connections_({.ca_file = options_.settings.ca_bundle, .max_response = 64u << 20},
                   static_cast<std::size_t>(options_.max_connections_kept)) {}

std::string Caller::endpointName() const {
  const auto endpoint = endpointOf(options_.settings, options_.settings.region, "");
  return endpoint ? endpoint->server.toString() : options_.settings.s3_endpoint;
}

bool Caller::signsPayload(bool over_tls) const {
  switch (options_.settings.payload_signing) {
    case aws::PayloadSigning::always:
      return true;
    case aws::PayloadSigning::never:
      return false;
    case aws::PayloadSigning::automatic:
      break;
  }
  return !over_tls;
}

bool Caller::sendsChecksums() const {
  switch (options_.settings.checksums) {
    case aws::ChecksumCalculation::when_supported:
      return true;
    case aws::ChecksumCalculation::when_required:
      return false;
    case aws::ChecksumCalculation::automatic:
      break;
  }
  const auto endpoint = endpointOf(options_.settings, options_.settings.region, "");
  return endpoint && endpoint->is_aws;
}

std::string Caller::regionOf(const std::string& bucket) const {
  const std::lock_guard lock(mutex_);
  const auto known = regions_.find(bucket);
  return known == regions_.end() ? options_.settings.region : known->second;
}

Time Caller::serverTime() const {
  return clock_.now() + Duration{clock_offset_};
}

void Caller::learnClock(const net::Response& response) {
  if (const auto date = parseHttpDate(headerOf(response, "date")))
    clock_offset_ = (*date - clock_.now()).count();
}

bool Caller::disagreesOnTheTime(const net::Response& response) const {
  const auto date = parseHttpDate(headerOf(response, "date"));
  return date && std::chrono::abs(*date - serverTime()) > kSkewAllowed;
}

Result<BodyDigests> Caller::digests(const Call& call, const Control& control) const {
  BUOY_TRY(const BucketEndpoint endpoint,
           endpointOf(options_.settings, regionOf(call.at.bucket), call.at.bucket));
  const bool sign = signsPayload(endpoint.server.kind == net::Endpoint::Kind::tls);
  const bool crc = call.checksum && sendsChecksums();
  if (call.body.empty()) return BodyDigests{std::string(aws::kEmptyPayload), crc ? crc32cBase64(0) : ""};
  if (!sign && !crc) return BodyDigests{std::string(aws::kUnsignedPayload), ""};
  BUOY_TRY(BodyDigests digests, digestBody(call.body, sign, crc, control.stop));
  if (!sign) digests.sha256 = aws::kUnsignedPayload;
  return digests;
}

Result<net::Response> Caller::send(Call& call, const BodyDigests& digests, const Control& control) {
  const std::string region = regionOf(call.at.bucket);
  BUOY_TRY(const BucketEndpoint endpoint, endpointOf(options_.settings, region, call.at.bucket));
  BUOY_TRY(const aws::Credentials credentials, options_.credentials->get());
  aws::SignableRequest signable;
  signable.method = call.method;
  signable.path = endpoint.path_prefix + "/" + call.at.key;
  signable.query = call.query;
  signable.headers = call.headers;
  if (call.adjust) call.adjust(signable.headers);
  signable.headers.insert(signable.headers.begin(), {"Host", endpoint.host});
  if (!digests.crc32c.empty()) signable.headers.emplace_back("x-amz-checksum-crc32c", digests.crc32c);
  signable.payload_sha256 = digests.sha256;

  Connection connection = connections_.take(endpoint.server);
  if (connection.signer == nullptr || connection.signer->scope().region != region)
    connection.signer = std::make_unique<aws::Signer>(aws::s3Scope(region));
  net::Request request;
  request.method = call.method;
  request.target = aws::uriEncode(signable.path, true);
  if (!call.query.empty()) request.target += "?" + aws::canonicalQuery(call.query);
  request.headers = connection.signer->sign(signable, credentials, serverTime());
  const auto new_answer = [&](const net::Response& response) -> Status {
    std::string name = nameOf(response);
    if (!name.empty() && name == connection.last_answer)
      return fail(ErrorCode::unavailable, "an earlier answer came once more", true);
    connection.last_answer = std::move(name);
    return {};
  };
  bool seen = false;
  const auto on_header = [&](const net::Response& response) -> Status {
    seen = true;
    BUOY_TRY_VOID(new_answer(response));
    return call.on_header ? call.on_header(response) : Status{};
  };
  const net::Exchange exchange{call.body, call.on_body, on_header, control.on_moved, options_.idle_timeout};
  Result<net::Response> response;
  {
    const std::stop_callback on_stop(control.stop, [&] { connection.http->cancel(); });
    response = connection.http->exchange(request, exchange);
  }
  if (control.stop.stop_requested()) return fail(cancelled());  // the connection is cancelled for good
  if (response && !seen) BUOY_TRY_VOID(new_answer(*response));
  if (response) connections_.giveBack(endpoint.server, std::move(connection));
  // AWS says 400, others 403.
  if (response && response->status / 100 == 4 &&
      judge(*response, "", "", false).next == Verdict::Next::other_credentials)
    options_.credentials->reject(credentials);
  return response;
}

std::optional<Verdict> Caller::doubt(const Call& call, const net::Response& response,
                                     const std::string& what) const {
  if (call.on_body) return std::nullopt;
  if (bringsError(response.body)) return judge(response, what, endpointName(), isConditional(call));
  if (!call.check) return std::nullopt;
  const Status status = call.check(response);
  if (status) return std::nullopt;
  return Verdict{status.error().retryable ? Verdict::Next::later : Verdict::Next::give_up, status.error(), "",
                 ""};
}

Verdict Caller::refusedBy(const Call& call, const net::Response& response, const std::string& what) {
  Verdict verdict = judge(response, what, endpointName(), isConditional(call));
  // To a HEAD, a server cannot say why.
  if (response.status == 403 && response.body.empty() && disagreesOnTheTime(response))
    verdict.next = Verdict::Next::other_clock;
  if (verdict.next == Verdict::Next::other_clock) learnClock(response);
  if (verdict.next == Verdict::Next::other_region) {
    const std::lock_guard lock(mutex_);
    regions_[call.at.bucket] = verdict.region;
  }
  return verdict;
}

Result<net::Response> Caller::perform(Call& call, const Control& control) {
  const std::string what = strCat({"cannot ", call.what, call.at.bucket.empty() ? "" : " ",
                                   call.at.bucket.empty() ? "" : call.at.toString()});
  BUOY_TRY(const BodyDigests digests, this->digests(call, control));
  call.crc32c = digests.crc32c;
  Tries tries(*this);
  Status body_error, header_error;
  std::uint64_t received = 0;
  Call sent = call;
  if (call.on_header) {
    sent.on_header = [&](const net::Response& response) {
      header_error = call.on_header(response);
      return header_error;
    };
  }
  if (call.on_body) {
    sent.on_body = [&](std::string_view piece) {
      received += piece.size();
      body_error = call.on_body(piece);
      return body_error;
    };
  }
  for (;;) {
    if (control.stop.stop_requested()) return fail(cancelled());
    const std::uint64_t before = received;
    header_error = {};
    auto response = send(sent, digests, control);
    if (!body_error) return fail(body_error.error());
    if (!header_error) {
      if (header_error.error().retryable && tries.againAfterMixUp(control.stop)) continue;
      if (control.stop.stop_requested()) return fail(cancelled());
      return fail(header_error.error());
    }
    if (received > before) tries.progress();
    Verdict verdict;
    if (response) {
      ever_answered_ = true;
      if (const auto date = parseHttpDate(headerOf(*response, "date")))
        clock_ahead_ = (*date - clock_.now()).count();
      if (response->status / 100 == 2) {
        auto doubted = doubt(call, *response, what);
        if (!doubted) return response;
        verdict = std::move(*doubted);
      } else {
        verdict = refusedBy(call, *response, what);
      }
      call.refusal = verdict.code;
    } else {
      verdict.error = response.error().wrap(what);
      verdict.next = mayPass(response.error()) ? Verdict::Next::later : Verdict::Next::give_up;
      if (response.error().code == ErrorCode::cancelled) return fail(cancelled());
    }
    if (!tries.again(verdict, control.stop)) {
      if (control.stop.stop_requested()) return fail(cancelled());
      return fail(std::move(verdict.error));
    }
  }
}

Result<std::string> Caller::presign(const std::string& method, const Location& at, Duration valid) {
  const std::string region = regionOf(at.bucket);
  BUOY_TRY(const BucketEndpoint endpoint, endpointOf(options_.settings, region, at.bucket));
  BUOY_TRY(const aws::Credentials credentials, options_.credentials->get());
  aws::SignableRequest request;
  request.method = method;
  request.path = endpoint.path_prefix + "/" + at.key;
  request.headers = {{"Host", endpoint.host}};
  request.payload_sha256 = aws::kUnsignedPayload;
  aws::Signer signer(aws::s3Scope(region));
  const aws::NameValues query = signer.presign(request, credentials, serverTime(), valid);
  return strCat({endpoint.server.kind == net::Endpoint::Kind::tls ? "https://" : "http://", endpoint.host,
                 aws::uriEncode(request.path, true), "?", aws::canonicalQuery(query)});
}

}  // namespace buoy::objstore::s3
