#include "container/registry_auth.h"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "container/engine.h"
#include "os/files.h"

namespace buoy::container {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLongestConfig = 1 << 20;
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// RFC 4648, the alphabet of URLs, with padding, as the API wants it.
std::string base64Url(std::string_view bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += i + k <= bytes.size() || k < 2 ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string fromBase64(std::string_view text) {
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
    const auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 255);
  }
  return out;
}

}  // namespace

std::string credentialsIn(std::string_view config_json, const std::string& registry) {
  const Json config = Json::parse(config_json, nullptr, false);
  if (!config.is_object() || !config.contains("auths") || !config["auths"].is_object()) return {};
  const Json& auths = config["auths"];
  const std::array<std::string, 3> names = {
      registry, "https://" + registry, registry == "docker.io" ? "https://index.docker.io/v1/" : registry};
  for (const std::string& name : names) {
    const auto found = auths.find(name);
    if (found == auths.end() || !found->is_object()) continue;
    const auto auth = found->find("auth");
    if (auth == found->end() || !auth->is_string()) continue;
    const std::string pair = fromBase64(auth->get<std::string>());
    const auto colon = pair.find(':');
    if (colon == std::string::npos) continue;
    const Json header = {
        {"username", pair.substr(0, colon)}, {"password", pair.substr(colon + 1)}, {"serveraddress", name}};
    return base64Url(header.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return {};
}

std::string registryCredentials(std::string_view image, const Environment& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  std::string directory = value("DOCKER_CONFIG");
  if (directory.empty() && !value("HOME").empty()) directory = value("HOME") + "/.docker";
  if (directory.empty()) return {};
  const auto text = os::readFile(directory + "/config.json", kLongestConfig);
  return text ? credentialsIn(*text, registryOf(image)) : std::string();
}

}  // namespace buoy::container
