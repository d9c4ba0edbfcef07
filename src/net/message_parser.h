#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

// Incremental HTTP/1.1 parsers over Boost.Beast's. Not thread-safe.
namespace buoy::net {

struct ParserLimits {
  std::uint32_t header = 64u << 10;
  std::uint64_t body = 64ull << 20;
};

// Parses one request; then reset() and the next.
class RequestParser {
 public:
  explicit RequestParser(ParserLimits limits);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  void reset();
  // Takes what it can from the front of `data` and returns how much; the caller presents the rest again, with
  // more behind it. Not to be called when done() or failed().
  std::size_t put(std::string_view data);

  bool started() const;  // a byte has come
  bool headerDone() const;
  bool done() const;
  bool failed() const { return errorStatus() != 0; }
  int errorStatus() const;  // 0, or the status to answer with: 400, 413, 431, 501
  const std::string& errorMessage() const;
  // From here on valid once headerDone().
  bool keepAlive() const;
  bool isHttp10() const;
  bool expectsContinue() const;
  Request& request();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Parses one answer; then reset() and the next.
class ResponseParser {
 public:
  explicit ResponseParser(std::uint64_t max_body);  // 0: no limit (the caller takes body() away as it comes)
  ~ResponseParser();
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  void reset(bool to_head_request);
  std::size_t put(std::string_view data);  // as RequestParser::put
  void putEof();  // the connection ended: done() if that ends the body, else failed()

  bool headerDone() const;
  bool done() const;
  bool failed() const { return !errorMessage().empty(); }
  const std::string& errorMessage() const;
  bool keepAlive() const;
  // Of a body whose length was declared: the bytes that have not been put yet, which the caller may read past
  // the parser; then done() stays false. nullopt: the end is recognised in another way. Valid once
  // headerDone().
  std::optional<std::uint64_t> remaining() const;
  Response& response();  // headers once headerDone(); the body as far as it came

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace buoy::net
