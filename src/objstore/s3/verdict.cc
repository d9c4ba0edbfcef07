#include "objstore/s3/verdict.h"

#include <strings.h>
#include <algorithm>
#include <array>
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
    default:
      return {"", status >= 500 ? ErrorCode::unavailable : ErrorCode::invalid_argument,
              status >= 500 ? Next::later : Next::give_up, ""};
  }
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

Verdict judge(const net::Response& response, const std::string& what, const std::string& where,
              bool conditional) {
  const ErrorAnswer answer = parseError(response.body);
  const auto found =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.code == answer.code; });
  Known known = found != kKnown.end() ? *found : byStatus(response.status);
  // A server that is too busy may say anything with these.
  if (response.status == 429 || (response.status >= 500 && known.code != "NotImplemented")) {
    const bool full = response.status == 507;
    known = {known.code, full ? ErrorCode::resource_exhausted : ErrorCode::unavailable, Next::later, ""};
  }
  Verdict verdict;
  verdict.next = known.next;
  if (response.status == 412 || answer.code == "PreconditionFailed") {
    verdict.error = {conditional ? ErrorCode::already_exists : ErrorCode::failed_precondition,
                     strCat({what, ": ", conditional ? "it is there already" : "it is another one by now"}),
                     false};
    verdict.next = Next::give_up;
    return verdict;
  }
  verdict.region = headerOf(response, "x-amz-bucket-region");
  if (verdict.region.empty()) verdict.region = answer.region;
  if (verdict.next == Next::other_region && verdict.region.empty()) verdict.next = Next::give_up;
  // A bucket in another region may say no more than 400 to a HEAD.
  if (verdict.next == Next::give_up && response.status == 400 && answer.code.empty() &&
      !verdict.region.empty())
    verdict.next = Next::other_region;
  std::string said = answer.code.empty() ? "HTTP status " + std::to_string(response.status) : answer.code;
  if (!answer.message.empty() && answer.message != answer.code) said += ", " + answer.message;
  while (said.ends_with('.')) said.pop_back();
  verdict.error.code = known.means;
  verdict.error.retryable = known.next == Next::later || known.means == ErrorCode::unavailable;
  verdict.error.message = strCat({what, ": ", where, " says ", said.substr(0, 300)});
  if (!known.advice.empty()) verdict.error.message += strCat({" (", known.advice, ")"});
  return verdict;
}

}  // namespace buoy::objstore::s3
