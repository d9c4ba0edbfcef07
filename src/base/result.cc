#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace buoy {

std::string_view toString(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "invalid_argument";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::already_exists:
      return "already_exists";
    case ErrorCode::failed_precondition:
      return "failed_precondition";
    case ErrorCode::permission_denied:
      return "permission_denied";
    case ErrorCode::unauthenticated:
      return "unauthenticated";
    case ErrorCode::resource_exhausted:
      return "resource_exhausted";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::deadline_exceeded:
      return "deadline_exceeded";
    case ErrorCode::data_loss:
      return "data_loss";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

Error Error::wrap(std::string_view context) const {
  return Error{code, std::string(context) + ": " + message, retryable};
}

tl::unexpected<Error> failErrno(int errno_value, std::string_view context) {
  ErrorCode code = ErrorCode::internal;
  bool retryable = false;
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::not_found;
      break;
    case EEXIST:
    case ENOTEMPTY:
      code = ErrorCode::already_exists;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = ErrorCode::permission_denied;
      break;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      code = ErrorCode::invalid_argument;
      break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      code = ErrorCode::resource_exhausted;
      retryable = true;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EAGAIN:
    case ENETUNREACH:
    case EHOSTUNREACH:
      code = ErrorCode::unavailable;
      retryable = true;
      break;
    case ETIMEDOUT:
      code = ErrorCode::deadline_exceeded;
      retryable = true;
      break;
    default:
      break;
  }
  return fail(code, std::string(context) + ": " + std::generic_category().message(errno_value), retryable);
}

void checkFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "buoy: invariant broken: %s at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace buoy
