#include "net/wire.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <initializer_list>

#include "base/strings.h"
#include "net/url.h"

namespace buoy::net {

namespace {

bool isTokenCharacter(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool isToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), isTokenCharacter);
}

bool isControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

// Whether `name` is one of `known`, which are in lower case.
bool equalsAny(std::string_view name, std::initializer_list<std::string_view> known) {
  const auto same = [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  };
  return std::any_of(known.begin(), known.end(), [&](std::string_view one) {
    return one.size() == name.size() && std::equal(name.begin(), name.end(), one.begin(), same);
  });
}

void appendNumber(std::string& out, std::size_t number, int base = 10) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

void appendHeader(std::string& out, std::string_view name, std::string_view value) {
  if (!isToken(name)) return;
  out += name;
  out += ": ";
  const auto start = out.size();
  out += value;
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), isControl, ' ');
  out += "\r\n";
}

// "Date: …\r\n"; formatted once a second.
std::string_view dateHeader() {
  struct Cache {
    std::time_t second = -1;
    std::array<char, 48> text = {};
    std::size_t size = 0;
  };
  static thread_local Cache cache;
  const std::time_t now = std::time(nullptr);
  if (now != cache.second) {
    std::tm utc = {};
    ::gmtime_r(&now, &utc);
    cache.size =
        std::strftime(cache.text.data(), cache.text.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    cache.second = now;
  }
  return {cache.text.data(), cache.size};
}

}  // namespace

std::string_view reasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

bool statusHasBody(int status) {
  return status >= 200 && status != 204 && status != 304;
}

void appendResponseHead(std::string& out, const Response& response, const HeadOptions& options) {
  out += "HTTP/1.1 ";
  appendNumber(out, static_cast<std::size_t>(std::clamp(response.status, 100, 999)));
  out += ' ';
  out += reasonPhrase(response.status);
  out += "\r\n";
  out += dateHeader();
  if (statusHasBody(response.status)) {
    if (!response.content_type.empty()) appendHeader(out, "Content-Type", response.content_type);
    if (options.framing == Framing::length) {
      out += "Content-Length: ";
      appendNumber(out, options.length);
      out += "\r\n";
    } else if (options.framing == Framing::chunked) {
      out += "Transfer-Encoding: chunked\r\n";
    }
  }
  for (const auto& [name, value] : response.headers) {
    if (equalsAny(name, {"content-length", "transfer-encoding", "connection", "content-type"})) continue;
    appendHeader(out, name, value);
  }
  if (!options.keep_alive) {
    out += "Connection: close\r\n";
  } else if (options.http10) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
}

void appendChunk(std::string& out, std::string_view data) {
  appendNumber(out, data.size(), 16);
  out += "\r\n";
  out += data;
  out += "\r\n";
}

Result<std::string> formatRequestHead(const Request& request, std::string_view host,
                                      std::string_view bearer_token, std::uint64_t body_size) {
  const std::string target =
      request.target.empty() ? formatTarget(request.path, request.query) : request.target;
  if (!isToken(request.method))
    return fail(ErrorCode::invalid_argument, "the request's method is not a token");
  const auto not_visible = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  if (target.empty() || std::any_of(target.begin(), target.end(), not_visible)) {
    return fail(ErrorCode::invalid_argument,
                "the request's target is empty or holds a space or control character");
  }
  std::string head;
  head.reserve(256);
  head += strCat({request.method, " ", target, " HTTP/1.1\r\n"});
  if (request.header("host").empty()) head += strCat({"Host: ", host, "\r\n"});
  for (const auto& [name, value] : request.headers) {
    if (equalsAny(name, {"content-length", "transfer-encoding", "connection"})) continue;
    if (!isToken(name) || std::any_of(value.begin(), value.end(), isControl)) {
      return fail(ErrorCode::invalid_argument,
                  "a request header holds a character that is not allowed there");
    }
    head += strCat({name, ": ", value, "\r\n"});
  }
  if (!bearer_token.empty()) {
    if (std::any_of(bearer_token.begin(), bearer_token.end(), not_visible)) {
      return fail(ErrorCode::invalid_argument, "the token holds a space or control character");
    }
    head += strCat({"Authorization: Bearer ", bearer_token, "\r\n"});
  }
  if (body_size > 0 || (request.method != "GET" && request.method != "HEAD")) {
    if (request.header("content-type").empty()) head += "Content-Type: application/json\r\n";
    head += "Content-Length: ";
    appendNumber(head, body_size);
    head += "\r\n";
  }
  head += "\r\n";
  return head;
}

}  // namespace buoy::net
