#include "control/tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>

#include "base/strings.h"

namespace buoy::control {

Result<std::string> makeSecret() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return fail(ErrorCode::internal, "no randomness for a secret");
  }
  return toHex(bytes);
}

std::string hashSecret(std::string_view secret) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), digest.data());
  return toHex(digest);
}

bool secretMatches(std::string_view secret, std::string_view hash) {
  const std::string actual = hashSecret(secret);
  return actual.size() == hash.size() && CRYPTO_memcmp(actual.data(), hash.data(), hash.size()) == 0;
}

std::string derivedSecret(std::string_view key, std::string_view name) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest.data(), &length);
  return toHex(digest);
}

std::string machineSecret(std::string_view key, MachineId machine) {
  return derivedSecret(key, machine.toString());
}

bool isMachineSecret(std::string_view secret, std::string_view key, MachineId machine) {
  const std::string expected = machineSecret(key, machine);
  return secret.size() == expected.size() &&
         CRYPTO_memcmp(secret.data(), expected.data(), expected.size()) == 0;
}

std::optional<MachineToken> parseMachineToken(std::string_view token) {
  const auto dot = token.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const auto machine = MachineId::parse(token.substr(0, dot));
  if (!machine) return std::nullopt;
  return MachineToken{*machine, token.substr(dot + 1)};
}

std::string_view bearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) return {};
  return trim(authorization.substr(kScheme.size()));
}

}  // namespace buoy::control
