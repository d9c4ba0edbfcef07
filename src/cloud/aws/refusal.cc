#include "cloud/aws/refusal.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace buoy::cloud::aws {
namespace {

struct Known {
  std::string_view code;
  RefusalKind kind;
};

constexpr std::array kKnown = {
    Known{"InsufficientInstanceCapacity", RefusalKind::capacity},
    Known{"InsufficientHostCapacity", RefusalKind::capacity},
    Known{"InsufficientReservedInstanceCapacity", RefusalKind::capacity},
    Known{"InsufficientCapacity", RefusalKind::capacity},
    Known{"InsufficientCapacityOnHost", RefusalKind::capacity},
    Known{"UnfulfillableCapacity", RefusalKind::capacity},
    Known{"SpotMaxPriceTooLow", RefusalKind::price},
    Known{"MaxSpotInstanceCountExceeded", RefusalKind::quota},
    Known{"MaxSpotFleetRequestCountExceeded", RefusalKind::quota},
    Known{"VcpuLimitExceeded", RefusalKind::quota},
    Known{"InstanceLimitExceeded", RefusalKind::quota},
    Known{"AddressLimitExceeded", RefusalKind::quota},
    Known{"VolumeLimitExceeded", RefusalKind::quota},
    Known{"MaxIOPSLimitExceeded", RefusalKind::quota},
    Known{"SecurityGroupLimitExceeded", RefusalKind::quota},
    Known{"PrivateIpAddressLimitExceeded", RefusalKind::quota},
    Known{"InsufficientFreeAddressesInSubnet", RefusalKind::capacity},
    Known{"LimitExceeded", RefusalKind::quota},
    Known{"Unsupported", RefusalKind::unsupported},
    Known{"UnsupportedOperation", RefusalKind::unsupported},
    Known{"UnsupportedHostConfiguration", RefusalKind::unsupported},
    Known{"InvalidInstanceType", RefusalKind::bad_request},
    Known{"RequestLimitExceeded", RefusalKind::throttled},
    Known{"Throttling", RefusalKind::throttled},
    Known{"ThrottlingException", RefusalKind::throttled},
    Known{"ThrottledException", RefusalKind::throttled},
    Known{"TooManyRequestsException", RefusalKind::throttled},
    Known{"Client.RequestLimitExceeded", RefusalKind::throttled},
    Known{"SlowDown", RefusalKind::throttled},
    Known{"AuthFailure", RefusalKind::credentials},
    Known{"InvalidClientTokenId", RefusalKind::credentials},
    Known{"UnrecognizedClientException", RefusalKind::credentials},
    Known{"SignatureDoesNotMatch", RefusalKind::credentials},
    Known{"IncompleteSignature", RefusalKind::credentials},
    Known{"MissingAuthenticationToken", RefusalKind::credentials},
    Known{"ExpiredToken", RefusalKind::credentials},
    Known{"ExpiredTokenException", RefusalKind::credentials},
    Known{"PendingVerification", RefusalKind::credentials},
    Known{"Blocked", RefusalKind::credentials},
    Known{"RequestExpired", RefusalKind::clock},
    Known{"RequestTimeTooSkewed", RefusalKind::clock},
    Known{"InvalidSignatureException", RefusalKind::clock},
    Known{"UnauthorizedOperation", RefusalKind::permission},
    Known{"AccessDenied", RefusalKind::permission},
    Known{"AccessDeniedException", RefusalKind::permission},
    Known{"OperationNotPermitted", RefusalKind::permission},
    Known{"OptInRequired", RefusalKind::permission},
    Known{"IdempotentParameterMismatch", RefusalKind::mismatch},
    Known{"EntityAlreadyExists", RefusalKind::exists},
    Known{"FileSystemAlreadyExists", RefusalKind::exists},
    Known{"MountTargetConflict", RefusalKind::exists},
    Known{"NoSuchEntity", RefusalKind::not_found},
    Known{"ParameterNotFound", RefusalKind::not_found},
    Known{"InternalError", RefusalKind::trouble},
    Known{"InternalFailure", RefusalKind::trouble},
    Known{"ServiceUnavailable", RefusalKind::trouble},
    Known{"Unavailable", RefusalKind::trouble},
    Known{"ServiceUnavailableException", RefusalKind::trouble},
    Known{"ServerInternal", RefusalKind::trouble},
};

ErrorCode codeFor(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::capacity:
    case RefusalKind::price:
    case RefusalKind::quota:
      return ErrorCode::resource_exhausted;
    case RefusalKind::unsupported:
    case RefusalKind::bad_request:
      return ErrorCode::invalid_argument;
    case RefusalKind::throttled:
    case RefusalKind::trouble:
      return ErrorCode::unavailable;
    case RefusalKind::credentials:
    case RefusalKind::clock:
      return ErrorCode::unauthenticated;
    case RefusalKind::permission:
      return ErrorCode::permission_denied;
    case RefusalKind::not_found:
      return ErrorCode::not_found;
    case RefusalKind::exists:
    case RefusalKind::mismatch:
      return ErrorCode::already_exists;
    case RefusalKind::cancelled:
      return ErrorCode::cancelled;
  }
  return ErrorCode::internal;
}

constexpr std::size_t kLongestMessage = 300;

}  // namespace

RefusalKind kindOf(std::string_view code, int status) {
  const auto* found =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& known) { return known.code == code; });
  if (found != kKnown.end()) return found->kind;
  if (code.ends_with(".NotFound") || code.ends_with("NotFoundException") || code.ends_with("NotFound") ||
      code.ends_with(".Unknown"))
    return RefusalKind::not_found;
  if (code.ends_with(".Duplicate") || code.ends_with("AlreadyExists") ||
      code.ends_with("AlreadyExistsException"))
    return RefusalKind::exists;
  if (code.ends_with("LimitExceeded")) return RefusalKind::quota;
  if (status == 429) return RefusalKind::throttled;
  if (status >= 500) return RefusalKind::trouble;
  if (status == 401) return RefusalKind::credentials;
  if (status == 403) return RefusalKind::permission;
  return RefusalKind::bad_request;
}

std::string_view adviceFor(RefusalKind kind, std::string_view code) {
  switch (kind) {
    case RefusalKind::capacity:
      return code == "InsufficientFreeAddressesInSubnet" ? "name a larger subnet in `subnets`"
                                                         : "allow more types or zones in the pool, or wait";
    case RefusalKind::price:
      return "raise `max_price`, or allow more types or zones";
    case RefusalKind::quota:
      return "ask for a higher quota in the Service Quotas console, or lower `max_machines`";
    case RefusalKind::unsupported:
      return "take this type or zone out of the pool";
    case RefusalKind::throttled:
      return "";
    case RefusalKind::credentials:
      return code.starts_with("Expired") || code == "RequestExpired"
                 ? "get new credentials, for example with `aws sso login`"
                 : "check the access key and its secret: `buoy doctor aws`";
    case RefusalKind::permission:
      return "`buoy aws policy` prints the policy that Buoy needs";
    case RefusalKind::bad_request:
    case RefusalKind::not_found:
    case RefusalKind::exists:
    case RefusalKind::mismatch:
    case RefusalKind::trouble:
    case RefusalKind::cancelled:
      return "";
    case RefusalKind::clock:
      return "set this machine's clock";
  }
  return "";
}

Refusal refusalOf(std::string_view service, std::string_view what, std::string_view code,
                  std::string_view message, int status) {
  Refusal refusal;
  refusal.kind = kindOf(code, status);
  refusal.code = code;
  // What is not known as an authorization failure is an encoded text of a page.
  message = message.substr(0, message.find(" Encoded authorization failure"));
  std::string said = code.empty() ? "status " + std::to_string(status) : std::string(code);
  std::string text(message.substr(0, kLongestMessage));
  while (text.ends_with('.') || text.ends_with(' ')) text.pop_back();
  if (!text.empty() && text != said) said += ", " + text;
  const std::string_view advice = adviceFor(refusal.kind, code);
  refusal.error = {codeFor(refusal.kind),
                   strCat({service, " refuses ", what, ": ", said, advice.empty() ? "" : " (", advice,
                           advice.empty() ? "" : ")"}),
                   refusal.kind == RefusalKind::throttled || refusal.kind == RefusalKind::trouble ||
                       refusal.kind == RefusalKind::capacity};
  return refusal;
}

Refusal refusalOf(std::string_view what, const Error& error) {
  Refusal refusal;
  refusal.error = error.wrap(what);
  switch (error.code) {
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
      refusal.kind = RefusalKind::trouble;
      break;
    case ErrorCode::unauthenticated:
      refusal.kind = RefusalKind::credentials;
      break;
    case ErrorCode::permission_denied:
      refusal.kind = RefusalKind::permission;
      break;
    case ErrorCode::not_found:
      refusal.kind = RefusalKind::not_found;
      break;
    case ErrorCode::cancelled:
      refusal.kind = RefusalKind::cancelled;
      break;
    case ErrorCode::invalid_argument:
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::resource_exhausted:
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      refusal.kind = RefusalKind::bad_request;
      break;
  }
  return refusal;
}

bool worthAnotherPool(RefusalKind kind) {
  return kind == RefusalKind::capacity || kind == RefusalKind::price || kind == RefusalKind::quota ||
         kind == RefusalKind::unsupported;
}

engine::LaunchError launchErrorOf(RefusalKind kind) {
  using engine::LaunchError;
  switch (kind) {
    case RefusalKind::capacity:
      return LaunchError::capacity;
    case RefusalKind::price:
      return LaunchError::price;
    case RefusalKind::quota:
      return LaunchError::quota;
    case RefusalKind::throttled:
      return LaunchError::throttled;
    case RefusalKind::unsupported:
    case RefusalKind::credentials:
    case RefusalKind::permission:
    case RefusalKind::bad_request:
    case RefusalKind::not_found:
    case RefusalKind::exists:
    case RefusalKind::clock:
      return LaunchError::invalid;
    case RefusalKind::mismatch:
    case RefusalKind::trouble:
    case RefusalKind::cancelled:
      return LaunchError::other;
  }
  return LaunchError::other;
}

}  // namespace buoy::cloud::aws
