#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "base/result.h"
#include "engine/events.h"

namespace buoy::cloud::aws {

// Why AWS did not do what it was asked, by what can be done about it.
enum class RefusalKind : std::uint8_t {
  capacity,     // there is none of this type here now: elsewhere, or later
  price,        // the market's price is above the limit
  quota,        // the account may not have more
  unsupported,  // this type is not offered here, or not in this way
  throttled,    // too many requests: slower
  credentials,  // unknown, wrong or expired
  permission,   // these credentials may not do it
  bad_request,  // something that was asked for does not exist or does not fit
  not_found,    // what was asked about is not there
  exists,       // what was to be made is there already
  mismatch,     // the client token was used with other parameters before
  clock,        // this machine's clock and AWS's differ
  trouble,      // AWS's own, or the way there: may pass
  cancelled,
};

// The document of EC2's error codes:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html. Codes of IAM, SSM, STS and EFS
// are known as well. `status` decides where the code is not known.
RefusalKind kindOf(std::string_view code, int status);

// What a person can do about it; empty: nothing that helps in general. One clause, without a full stop.
std::string_view adviceFor(RefusalKind kind, std::string_view code);

struct Refusal {
  RefusalKind kind = RefusalKind::trouble;
  std::string code;  // as AWS calls it; empty: there was no answer, or none with a code
  Error error;       // one sentence, with the advice
};

template <class T>
using Answer = tl::expected<T, Refusal>;

// `what`: "CreateFleet"; `service`: "EC2".
Refusal refusalOf(std::string_view service, std::string_view what, std::string_view code,
                  std::string_view message, int status);
// Of the way there, or of this program.
Refusal refusalOf(std::string_view what, const Error& error);

// Whether another pool (a type in a zone) may have what this one has not.
bool worthAnotherPool(RefusalKind kind);
// For the engine.
engine::LaunchError launchErrorOf(RefusalKind kind);

template <class T>
Result<T> resultOf(Answer<T> answer) {
  if (answer) return std::move(*answer);
  return fail(std::move(answer.error().error));
}
inline Status resultOf(Answer<void> answer) {
  if (answer) return {};
  return fail(std::move(answer.error().error));
}

// What was read of an answer to `action`; as a refusal where it could not be read.
template <class T>
Answer<T> parsed(const std::string& action, Result<T> result) {
  if (result) return std::move(*result);
  return tl::unexpected(refusalOf(action, result.error()));
}

}  // namespace buoy::cloud::aws

// As BUOY_TRY, in a function that returns an Answer.
#define BUOY_ASK(declaration, expression)                                     \
  auto BUOY_CONCAT(answer_, __LINE__) = (expression);                         \
  if (!BUOY_CONCAT(answer_, __LINE__))                                        \
    return tl::unexpected(std::move(BUOY_CONCAT(answer_, __LINE__)).error()); \
  declaration = std::move(*BUOY_CONCAT(answer_, __LINE__))
