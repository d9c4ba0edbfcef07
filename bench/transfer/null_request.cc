#include "null_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace buoy::bench {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::uint64_t number(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

void readHeader(Request& request, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const auto name = lower(line.substr(0, colon));
  auto value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "content-length") request.length = number(value);
  if (name == "x-amz-decoded-content-length") request.decoded_length = number(value);
  if (name == "range") request.range = value;
  if (name == "expect") request.expects = true;
  if (name == "if-none-match") request.only_if_none = true;
  if (name.starts_with("x-amz-meta-")) request.metadata += fmt::format("{}: {}\r\n", name, value);
}

}  // namespace

std::uint64_t number(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

Request parseHead(std::string_view head) {
  Request request;
  const auto line = head.substr(0, head.find("\r\n"));
  const auto first = line.find(' ');
  const auto target = line.substr(first + 1, line.rfind(' ') - first - 1);
  request.method = line.substr(0, first);
  const auto question = target.find('?');
  request.name =
      percentDecode(target.substr(1, question == std::string_view::npos ? question : question - 1));
  if (question != std::string_view::npos) request.query = parseQuery(target.substr(question + 1));
  request.bucket = request.name.substr(0, request.name.find('/'));
  while (request.name.ends_with('/') && request.name.size() == request.bucket.size() + 1)
    request.name.pop_back();
  for (auto rest = head.substr(line.size() + 2); !rest.empty();) {
    const auto header = rest.substr(0, rest.find("\r\n"));
    readHeader(request, header);
    rest.remove_prefix(std::min(header.size() + 2, rest.size()));
  }
  if (request.decoded_length == 0) request.decoded_length = request.length;
  return request;
}

}  // namespace buoy::bench
