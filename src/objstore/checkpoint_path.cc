#include "objstore/checkpoint_path.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::objstore {
namespace {

constexpr std::size_t kMaxPath = 4095;

}  // namespace

std::string escaped(std::string_view text) {
  const bool utf8 = isValidUtf8(text);
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || c == '\\' || c == '"' || (byte >= 0x80 && !utf8)) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

Status validatePath(std::string_view path) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument,
                strCat({"the name \"", escaped(path.substr(0, 300)), "\" ", why}));
  };
  if (path.empty()) return wrong("is empty");
  if (path.size() > kMaxPath) return wrong("is too long");
  if (path.find('\0') != std::string_view::npos) return wrong("contains a zero byte");
  if (!isValidUtf8(path)) return wrong("is not UTF-8");
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") return wrong("is not a plain relative path");
  }
  return {};
}

Status validateLink(std::string_view path, std::string_view target) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument, strCat({"the symbolic link \"", escaped(path), "\" to \"",
                                                     escaped(target.substr(0, 300)), "\" ", why}));
  };
  if (target.empty() || target.size() > kMaxPath || target.find('\0') != std::string_view::npos) {
    return wrong("has no valid target");
  }
  if (!isValidUtf8(target)) return wrong("is not UTF-8");
  if (target[0] == '/') return wrong("is absolute: it must stay inside the checkpoint directory");
  auto depth = std::count(path.begin(), path.end(), '/');
  bool climbing = true;
  for (const std::string_view part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      climbing = false;
      continue;
    }
    if (!climbing) return wrong("has \"..\" after a name: where that leads is not certain");
    if (--depth < 0) return wrong("leads out of the checkpoint directory");
  }
  return {};
}

}  // namespace buoy::objstore
