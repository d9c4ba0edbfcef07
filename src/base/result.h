#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace buoy {

// What went wrong, by what a caller can do about it. The names appear in the API as "code".
enum class ErrorCode {
  invalid_argument,  // the input is wrong; the message names the place and what to do
  not_found,
  already_exists,       // also: a conditional put that lost
  failed_precondition,  // right input, wrong moment (fenced, stopped, finished)
  permission_denied,
  unauthenticated,
  resource_exhausted,  // disk full, limit reached, queue full
  unavailable,         // the peer does not answer; retry later
  deadline_exceeded,
  data_loss,  // a hash does not match, a file is torn
  cancelled,
  internal,
};

std::string_view toString(ErrorCode code);

// Expected failure. `message` is one sentence for a person, outermost context first.
struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  bool retryable = false;

  bool operator==(const Error&) const = default;
  // "context: message"; code and retryable are kept.
  Error wrap(std::string_view context) const;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message, bool retryable = false) {
  return tl::unexpected<Error>(Error{code, std::move(message), retryable});
}
inline tl::unexpected<Error> failInvalid(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

// "context: strerror(errno_value)"; maps ENOENT, EACCES, ENOSPC, … to codes.
tl::unexpected<Error> failErrno(int errno_value, std::string_view context);

[[noreturn]] void checkFailed(const char* condition, const char* file, int line);

}  // namespace buoy

// A broken invariant: the program is wrong, so it stops before it does harm.
#define BUOY_CHECK(condition)                                              \
  do {                                                                     \
    if (!(condition)) ::buoy::checkFailed(#condition, __FILE__, __LINE__); \
  } while (false)

#define BUOY_CONCAT_INNER(a, b) a##b
#define BUOY_CONCAT(a, b) BUOY_CONCAT_INNER(a, b)
// BUOY_TRY(auto x, expression): x is the value, or the function returns the error.
#define BUOY_TRY(declaration, expression)                                   \
  auto BUOY_CONCAT(result_, __LINE__) = (expression);                       \
  if (!BUOY_CONCAT(result_, __LINE__))                                      \
    return ::buoy::fail(std::move(BUOY_CONCAT(result_, __LINE__)).error()); \
  declaration = std::move(*BUOY_CONCAT(result_, __LINE__))
#define BUOY_TRY_VOID(expression)                                                               \
  do {                                                                                          \
    if (auto status_ = (expression); !status_) return ::buoy::fail(std::move(status_).error()); \
  } while (false)
