#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace buoy::control {

// 32 random bytes, as hexadecimal.
Result<std::string> makeSecret();
// Only this is kept: SHA-256 of the secret, as hexadecimal. (A secret has 256 random bits, so no salt or
// stretching is needed.)
std::string hashSecret(std::string_view secret);
// Takes the same time whatever the first difference is.
bool secretMatches(std::string_view secret, std::string_view hash);

// HMAC-SHA256 of `name` under `key`, as hexadecimal: a secret that need not be kept.
std::string derivedSecret(std::string_view key, std::string_view name);
// The secret of a machine, derived from the control plane's machine key (<state>/machine.key, 0600) and the
// machine's id. Launching a machine again after a crash gives it the same token, so that an agent that is
// already up is not locked out; and nothing has to be kept for each machine.
std::string machineSecret(std::string_view key, MachineId machine);
// Takes the same time whatever the first difference is.
bool isMachineSecret(std::string_view secret, std::string_view key, MachineId machine);

// A machine's token is "m7.<secret>".
struct MachineToken {
  MachineId machine;
  std::string_view secret;
};
std::optional<MachineToken> parseMachineToken(std::string_view token);

// The token of "Authorization: Bearer TOKEN"; empty if there is none.
std::string_view bearerToken(std::string_view authorization);

}  // namespace buoy::control
