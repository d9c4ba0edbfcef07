#include "aws/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include "base/strings.h"

namespace buoy::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string hex(std::string_view bytes) {
  return toHex({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

std::string hmac(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned size = 0;
  BUOY_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                  reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
                  &size) != nullptr);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

// "20130524T000000Z"; the first eight characters are the date.
std::string timestamp(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss clock{seconds - days};
  std::array<char, 32> text = {};
  const int size = std::snprintf(text.data(), text.size(), "%04d%02u%02uT%02d%02d%02dZ", int(date.year()),
                                 unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                                 int(clock.minutes().count()), int(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

// Leading and trailing blanks removed, and runs of them made one.
std::string trimmed(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == ' ' && (text.empty() || text.back() == ' ')) continue;
    text += c;
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// Lower-case names, in order, each once: several values of one name are joined by commas.
NameValues canonicalHeaders(const NameValues& headers) {
  NameValues sorted;
  for (const auto& [name, value] : headers) sorted.emplace_back(lowerCase(name), trimmed(value));
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  NameValues joined;
  for (auto& [name, value] : sorted) {
    if (!joined.empty() && joined.back().first == name) {
      joined.back().second += "," + value;
    } else {
      joined.emplace_back(std::move(name), std::move(value));
    }
  }
  return joined;
}

std::string signedHeaderNames(const NameValues& canonical) {
  std::string names;
  for (const auto& [name, value] : canonical) names += (names.empty() ? "" : ";") + name;
  return names;
}

// RFC 3986, 5.2.4, and without empty components.
std::string normalized(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(part);
    }
  }
  std::string text;
  for (const std::string_view part : kept) text += strCat({"/", part});
  if (text.empty() || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")) text += '/';
  return text;
}

}  // namespace

std::string sha256Hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned size = 0;
  BUOY_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  return hex({reinterpret_cast<const char*>(digest.data()), size});
}

SigningScope s3Scope(std::string region) {
  return {.region = std::move(region),
          .service = "s3",
          .encode_path_twice = false,
          .normalize_path = false,
          .content_sha256_header = true};
}

std::string uriEncode(std::string_view text, bool keep_slashes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool unreserved = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                            (byte >= '0' && byte <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved || (c == '/' && keep_slashes)) {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::string canonicalQuery(const NameValues& query) {
  NameValues encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query)
    encoded.emplace_back(uriEncode(name, false), uriEncode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [name, value] : encoded) text += strCat({text.empty() ? "" : "&", name, "=", value});
  return text;
}

std::string Signer::canonicalRequest(const SignableRequest& request) const {
  std::string path = request.path.empty() ? "/" : request.path;
  if (scope_.normalize_path) path = normalized(path);
  path = uriEncode(path, true);
  if (scope_.encode_path_twice) path = uriEncode(path, true);
  const NameValues headers = canonicalHeaders(request.headers);
  std::string text = strCat({request.method, "\n", path, "\n", canonicalQuery(request.query), "\n"});
  for (const auto& [name, value] : headers) text += strCat({name, ":", value, "\n"});
  text += strCat({"\n", signedHeaderNames(headers), "\n", request.payload_sha256});
  return text;
}

std::string Signer::stringToSign(const SignableRequest& request, Time now) const {
  const std::string stamp = timestamp(now);
  return strCat({kAlgorithm, "\n", stamp, "\n", stamp.substr(0, 8), "/", scope_.region, "/", scope_.service,
                 "/aws4_request\n", sha256Hex(canonicalRequest(request))});
}

const std::string& Signer::derivedKey(const std::string& date, const std::string& secret_key) {
  if (!derived_ || derived_->date != date || derived_->secret_key != secret_key) {
    std::string key = hmac("AWS4" + secret_key, date);
    key = hmac(key, scope_.region);
    key = hmac(key, scope_.service);
    derived_ = DerivedKey{date, secret_key, hmac(key, "aws4_request")};
  }
  return derived_->key;
}

std::string Signer::signatureOf(const std::string& to_sign, const std::string& secret_key, Time now) {
  return hex(hmac(derivedKey(timestamp(now).substr(0, 8), secret_key), to_sign));
}

std::string Signer::signature(const SignableRequest& request, const std::string& secret_key, Time now) {
  return signatureOf(stringToSign(request, now), secret_key, now);
}

NameValues Signer::sign(const SignableRequest& request, const Credentials& credentials, Time now) {
  SignableRequest complete = request;
  const std::string stamp = timestamp(now);
  complete.headers.emplace_back("x-amz-date", stamp);
  if (scope_.content_sha256_header)
    complete.headers.emplace_back("x-amz-content-sha256", complete.payload_sha256);
  const bool token = !credentials.session_token.empty();
  if (token && scope_.sign_session_token)
    complete.headers.emplace_back("x-amz-security-token", credentials.session_token.reveal());
  const std::string signature =
      signatureOf(stringToSign(complete, now), credentials.secret_key.reveal(), now);
  const std::string names = signedHeaderNames(canonicalHeaders(complete.headers));
  if (token && !scope_.sign_session_token)
    complete.headers.emplace_back("x-amz-security-token", credentials.session_token.reveal());
  complete.headers.emplace_back(
      "Authorization",
      strCat({kAlgorithm, " Credential=", credentials.access_key, "/", stamp.substr(0, 8), "/", scope_.region,
              "/", scope_.service, "/aws4_request, SignedHeaders=", names, ", Signature=", signature}));
  return std::move(complete.headers);
}

NameValues Signer::presign(const SignableRequest& request, const Credentials& credentials, Time now,
                           Duration valid) {
  SignableRequest complete = request;
  const std::string stamp = timestamp(now);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(valid).count();
  complete.query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  complete.query.emplace_back(
      "X-Amz-Credential", strCat({credentials.access_key, "/", stamp.substr(0, 8), "/", scope_.region, "/",
                                  scope_.service, "/aws4_request"}));
  complete.query.emplace_back("X-Amz-Date", stamp);
  complete.query.emplace_back("X-Amz-Expires", std::to_string(std::clamp<long>(seconds, 1, 7 * 24 * 3600)));
  complete.query.emplace_back("X-Amz-SignedHeaders", signedHeaderNames(canonicalHeaders(complete.headers)));
  const bool token = !credentials.session_token.empty();
  if (token && scope_.sign_session_token)
    complete.query.emplace_back("X-Amz-Security-Token", credentials.session_token.reveal());
  const std::string signature =
      signatureOf(stringToSign(complete, now), credentials.secret_key.reveal(), now);
  if (token && !scope_.sign_session_token)
    complete.query.emplace_back("X-Amz-Security-Token", credentials.session_token.reveal());
  complete.query.emplace_back("X-Amz-Signature", signature);
  return std::move(complete.query);
}

}  // namespace buoy::aws
