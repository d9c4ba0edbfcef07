#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/redacted.h"
#include "base/result.h"
#include "base/units.h"

namespace buoy::aws {

// Never logged, never in an error message.
struct Credentials {
  std::string access_key;
  Redacted secret_key;
  Redacted session_token;       // empty: none
  std::optional<Time> expires;  // nullopt: never
  bool operator==(const Credentials&) const = default;
};

// Where credentials come from. Threads: any. Errors: unauthenticated (there are none, with where they were
// looked for), unavailable (a service that gives them does not answer; retryable), invalid_argument (a file
// or a command's answer is wrong, with its place).
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  // Kept, and fetched anew before they expire; while fetching fails, those that have not expired are given.
  virtual Result<Credentials> get() = 0;
  // The server says that these have expired: get() will fetch others.
  virtual void reject(const Credentials& used) = 0;
};

}  // namespace buoy::aws
