#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "aws/sigv4_verify.h"
#include "base/synchronized.h"
#include "base/units.h"
#include "gateways/front/call.h"

namespace buoy::gateways::front {

// Lets through what was signed with a known access key a short time ago. In two steps: what the header alone
// tells, so that a stranger's body is never read, and the signature, which covers the body. Threads: any.
class SignatureGate {
 public:
  // The secret of an access key; nullopt: there is no such key.
  using Secrets = std::function<std::optional<std::string>(const std::string& access_key)>;
  explicit SignatureGate(Secrets secrets) : secrets_(std::move(secrets)) {}

  static constexpr Duration kSkew = std::chrono::minutes{15};
  // The AWS tools stamp requests by the second: the same call made twice in one second has one signature, and
  // both count. What comes again later than this has been recorded by somebody.
  static constexpr Duration kRepeat = std::chrono::seconds{30};
  static constexpr std::size_t kMostRemembered = 4'000'000;  // signatures, of the last half hour

  struct Knock {
    std::string_view authorization, date;  // of the headers Authorization and X-Amz-Date
    Time now{};
  };
  // The refusal; nullopt: go on.
  std::optional<Answer> glance(const Knock& knock) const;
  // `request.path` as sent; its payload hash is of the body that came. `changes`: the request may change
  // something, so it must not be one that was made before.
  std::optional<Answer> check(const Knock& knock, const aws::SignableRequest& request, bool changes);

 private:
  struct Seen {
    // By the minute in which they were first seen: the oldest go first.
    std::map<std::int64_t, std::map<std::string, Time>> by_minute;
    std::size_t count = 0;
  };
  bool repeated(const std::string& signature, Time now);

  Secrets secrets_;
  Synchronized<Seen> seen_;
};

}  // namespace buoy::gateways::front
