#include "gateways/front/signature_gate.h"

#include <chrono>

#include "base/strings.h"

namespace buoy::gateways::front {
namespace {

constexpr int kForbidden = 403;

Answer refusal(std::string_view type, std::string_view message) {
  return errorAnswer(kForbidden, type, message);
}

std::int64_t minuteOf(Time time) {
  return std::chrono::floor<std::chrono::minutes>(time).time_since_epoch().count();
}

}  // namespace

std::optional<Answer> SignatureGate::glance(const Knock& knock) const {
  if (knock.authorization.empty())
    return refusal(
        "MissingAuthenticationTokenException",
        "Missing Authentication Token: make an access key with `buoy keys create` and sign with it");
  const auto claim = aws::parseAuthorization(knock.authorization);
  if (!claim) return refusal("IncompleteSignatureException", claim.error().message);
  const auto at = aws::parseSigningTime(knock.date);
  if (!at) return refusal("IncompleteSignatureException", at.error().message);
  if (*at > knock.now + kSkew)
    return refusal("InvalidSignatureException",
                   strCat({"Signature not yet current: ", formatTime(*at), " is later than ",
                           formatTime(knock.now + kSkew), " (", formatTime(knock.now), " + 15 min.)"}));
  if (*at < knock.now - kSkew)
    return refusal("InvalidSignatureException",
                   strCat({"Signature expired: ", formatTime(*at), " is now earlier than ",
                           formatTime(knock.now - kSkew), " (", formatTime(knock.now), " - 15 min.)"}));
  if (!secrets_(claim->access_key))
    return refusal("UnrecognizedClientException", "The security token included in the request is invalid.");
  return std::nullopt;
}

std::optional<Answer> SignatureGate::check(const Knock& knock, const aws::SignableRequest& request,
                                           bool changes) {
  if (auto refused = glance(knock)) return refused;
  const auto claim = aws::parseAuthorization(knock.authorization);
  const auto secret = secrets_(claim->access_key);
  if (!secret)
    return refusal("UnrecognizedClientException", "The security token included in the request is invalid.");
  const auto at = aws::parseSigningTime(knock.date);
  if (const Status verified = aws::verifySignature(*claim, request, *at, *secret); !verified)
    return refusal("InvalidSignatureException", verified.error().message);
  if (changes && repeated(claim->signature, knock.now))
    return refusal("InvalidSignatureException",
                   "This request was made before: sign it anew to have it carried out again.");
  return std::nullopt;
}

bool SignatureGate::repeated(const std::string& signature, Time now) {
  const auto seen = seen_.lock();
  // A signature may be of a quarter of an hour ahead and is good until a quarter of an hour behind.
  const std::int64_t oldest = minuteOf(now - 2 * kSkew) - 1;
  while (!seen->by_minute.empty() &&
         (seen->by_minute.begin()->first < oldest || seen->count >= kMostRemembered)) {
    seen->count -= seen->by_minute.begin()->second.size();
    seen->by_minute.erase(seen->by_minute.begin());
  }
  for (const auto& [minute, signatures] : seen->by_minute) {
    const auto found = signatures.find(signature);
    if (found != signatures.end()) return now > found->second + kRepeat;
  }
  seen->by_minute[minuteOf(now)].emplace(signature, now);
  ++seen->count;
  return false;
}

}  // namespace buoy::gateways::front
