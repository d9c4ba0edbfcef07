#include "objstore/s3/verdict.h"

#include <strings.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "base/strings.h"

namespace buoy::objstore::s3 {
namespace {

using Next = Verdict::Next;

struct Known {
  std::string_view code;
  ErrorCode means;
  Next next;
  std::string_view advice;  // what to do about it
};

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what Ceph and moto send.
constexpr std::array kKnown = {
    Known{"NoSuchKey", ErrorCode::not_found, Next::give_up, ""},
    Known{"NoSuchBucket", ErrorCode::not_found, Next::give_up,
          "create the bucket, or check its name and the endpoint"},
    Known{"NoSuchUpload", ErrorCode::not_found, Next::give_up, ""},
    Known{"BucketAlreadyOwnedByYou", ErrorCode::already_exists, Next::give_up, ""},
    Known{"BucketAlreadyExists", ErrorCode::already_exists, Next::give_up,
          "the name is taken: choose another"},
    Known{"AccessDenied", ErrorCode::permission_denied, Next::give_up, "these credentials do not allow it"},
    Known{"AllAccessDisabled", ErrorCode::permission_denied, Next::give_up, ""},
    Known{"AccountProblem", ErrorCode::permission_denied, Next::give_up, ""},
    Known{"QuotaExceeded", ErrorCode::resource_exhausted, Next::give_up, ""},
    Known{"InvalidAccessKeyId", ErrorCode::unauthenticated, Next::give_up,
          "the server does not know this access key"},
    Known{"SignatureDoesNotMatch", ErrorCode::unauthenticated, Next::give_up,
          "the secret key is probably wrong"},
    Known{"InvalidToken", ErrorCode::unauthenticated, Next::give_up, ""},
    Known{"ExpiredToken", ErrorCode::unauthenticated, Next::other_credentials, "get new credentials"},
    Known{"TokenRefreshRequired", ErrorCode::unauthenticated, Next::other_credentials, "get new credentials"},
    Known{"RequestExpired", ErrorCode::unauthenticated, Next::other_clock, "set this machine's clock"},
    Known{"RequestTimeTooSkewed", ErrorCode::unauthenticated, Next::other_clock, "set this machine's clock"},
    Known{"AuthorizationHeaderMalformed", ErrorCode::invalid_argument, Next::other_region, ""},
    Known{"IllegalLocationConstraintException", ErrorCode::invalid_argument, Next::other_region, ""},
    Known{"PermanentRedirect", ErrorCode::invalid_argument, Next::other_region,
          "the bucket is in another region"},
    Known{"TemporaryRedirect", ErrorCode::unavailable, Next::other_region, ""},
    Known{"BadDigest", ErrorCode::data_loss, Next::later, ""},
    Known{"InvalidDigest", ErrorCode::data_loss, Next::later, ""},
    Known{"XAmzContentSHA256Mismatch", ErrorCode::data_loss, Next::later, ""},
    Known{"IncompleteBody", ErrorCode::unavailable, Next::later, ""},
    Known{"RequestTimeout", ErrorCode::unavailable, Next::later, ""},
    Known{"SlowDown", ErrorCode::unavailable, Next::later, ""},
    Known{"ServiceUnavailable", ErrorCode::unavailable, Next::later, ""},
    Known{"InternalError", ErrorCode::unavailable, Next::later, ""},
    Known{"OperationAborted", ErrorCode::unavailable, Next::later, ""},
    Known{"ConditionalRequestConflict", ErrorCode::unavailable, Next::later, ""},
    Known{"NotImplemented", ErrorCode::invalid_argument, Next::give_up, "this server cannot do it"},
};

Known byStatus(int status) {
  switch (status) {
    case 401:
      return {"", ErrorCode::unauthenticated, Next::give_up, ""};
    case 403:
      return {"", ErrorCode::permission_denied, Next::give_up, "these credentials do not allow it"};
    case 404:
    case 410:
      return {"", ErrorCode::not_found, Next::give_up, ""};
    case 301:
    case 302:
    case 307:
    case 308:
      return {"", ErrorCode::invalid_argument, Next::other_region, "the bucket is in another region"};
    case 416:
      return {"", ErrorCode::invalid_argument, Next::give_up, "the object has no such range"};
    case 507:
      return {"", ErrorCode::resource_exhausted, Next::later, ""};
    case 408:
    case 409:
    case 425:
    case 429:
      return {"", ErrorCode::unavailable, Next::later, ""};
    default: {
      const bool may_pass = status >= 500 || status / 100 == 2;
      return {"", may_pass ? ErrorCode::unavailable : ErrorCode::invalid_argument,
              may_pass ? Next::later : Next::give_up, ""};
    }
  }
}

const Known* find(std::string_view code) {
  const auto* found =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.code == code; });
  return found == kKnown.end() ? nullptr : found;
}

// It becomes a part of a host's name and of a signature, so nothing else is taken from an answer.
bool isRegion(std::string_view text) {
  constexpr std::size_t kLongest = 63;
  return !text.empty() && text.size() <= kLongest && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string regionIn(const net::Response& response, const ErrorAnswer& answer) {
  for (const std::string& region : {headerOf(response, "x-amz-bucket-region"), answer.region}) {
    if (isRegion(region)) return region;
  }
  return "";
}

bool worthAnotherTry(const Known& known) {
  return known.next == Next::later || known.means == ErrorCode::unavailable;
}

}  // namespace

std::optional<Time> parseHttpDate(const std::string& text) {
  std::tm parts = {};
  if (text.empty() || ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) == nullptr)
    return std::nullopt;
  return Time{std::chrono::seconds{::timegm(&parts)}};
}

std::string headerOf(const net::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), name.size()) == 0) return value;
  }
  return "";
}

std::string_view bareEtag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

std::optional<ContentRange> parseContentRange(std::string_view text) {
  const auto take = [&text](char before, std::uint64_t& value) {
    if (text.empty() || text.front() != before) return false;
    text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  ContentRange range;
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(5);
  if (!take(' ', range.first) || !take('-', range.last) || range.last < range.first) return std::nullopt;
  if (text == "/*") return range;
  std::uint64_t size = 0;
  if (!take('/', size) || !text.empty() || range.last >= size) return std::nullopt;
  range.size = size;
  return range;
}

Error meaningOf(const ErrorAnswer& answer, const std::string& where) {
  const Known* known = find(answer.code);
  Error error{known != nullptr ? known->means : ErrorCode::internal, strCat({where, ": ", answer.code}),
              known != nullptr && worthAnotherTry(*known)};
  if (!answer.message.empty()) error.message += strCat({", ", answer.message.substr(0, 300)});
  return error;
}

Verdict judge(const net::Response& response, const std::string& what, const std::string& where,
              bool conditional) {
  const ErrorAnswer answer = parseError(response.body);
  const Known* found = find(answer.code);
  Known known = found != nullptr ? *found : byStatus(response.status);
  // A server that is too busy may say anything with these.
  if (response.status == 429 || (response.status >= 500 && known.code != "NotImplemented")) {
    const bool full = response.status == 507;
    known = {known.code, full ? ErrorCode::resource_exhausted : ErrorCode::unavailable, Next::later, ""};
  }
  Verdict verdict;
  verdict.next = known.next;
  verdict.code = answer.code;
  if (response.status == 412 || answer.code == "PreconditionFailed") {
    verdict.error = {conditional ? ErrorCode::already_exists : ErrorCode::failed_precondition,
                     strCat({what, ": ", conditional ? "it is there already" : "it is another one by now"}),
                     false};
    verdict.next = Next::give_up;
    return verdict;
  }
  verdict.region = regionIn(response, answer);
  if (verdict.next == Next::other_region && verdict.region.empty()) verdict.next = Next::give_up;
  // A bucket in another region may say no more than 400 to a HEAD.
  if (verdict.next == Next::give_up && response.status == 400 && answer.code.empty() &&
      !verdict.region.empty())
    verdict.next = Next::other_region;
  std::string said = answer.code.empty() ? "HTTP status " + std::to_string(response.status) : answer.code;
  if (!answer.message.empty() && answer.message != answer.code) said += ", " + answer.message;
  while (said.ends_with('.')) said.pop_back();
  verdict.error.code = known.means;
  verdict.error.retryable = worthAnotherTry(known);
  verdict.error.message = strCat({what, ": ", where, " says ", said.substr(0, 300)});
  if (!known.advice.empty()) verdict.error.message += strCat({" (", known.advice, ")"});
  return verdict;
}

}  // namespace buoy::objstore::s3
