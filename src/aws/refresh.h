#pragma once

#include <memory>

#include "aws/credentials.h"
#include "base/clock.h"
#include "base/result.h"

namespace buoy::aws {

// One place that gives credentials. Keeps none: asks for them each time, and returns within a bounded time.
// One call at a time. Errors as CredentialsProvider.
class CredentialsSource {
 public:
  virtual ~CredentialsSource() = default;
  virtual Result<Credentials> fetch() = 0;
};

// How long before their end credentials are fetched anew; those that live less than twice as long, at half
// their life.
inline constexpr Duration kRefreshAhead = std::chrono::minutes{5};
// Between two tries while there are credentials that have not expired.
inline constexpr Duration kRefreshRetry = std::chrono::seconds{30};

// Asks `source` when there are no credentials or they are about to expire; one thread asks, and the others
// take what there is or wait for it. `clock` must outlive it.
std::shared_ptr<CredentialsProvider> keepCredentials(std::unique_ptr<CredentialsSource> source,
                                                     const Clock& clock);

}  // namespace buoy::aws
