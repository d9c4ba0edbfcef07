#include "net/message_parser.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <optional>

#include "net/url.h"

namespace buoy::net {

namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using BeastError = boost::beast::error_code;

// Chunk headers and trailers are outside the header limit of Beast: this much of them may wait for its end.
constexpr std::size_t kMaxChunkHeader = 16u << 10;
// Space that a declared length may take before a byte of it has come.
constexpr std::uint64_t kMaxBodyReserve = 1u << 20;

std::string toString(string_view text) {
  return {text.data(), text.size()};
}

int statusFor(const BeastError& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  return 400;
}

}  // namespace

class RequestParser::Impl final {
 public:
  explicit Impl(ParserLimits limits) : limits_(limits) { reset(); }

  void reset() {
    request_ = {};
    error_status_ = 0;
    error_message_.clear();
    expects_continue_ = false;
    http10_ = false;
    parser_.emplace(*this);
    parser_->header_limit(limits_.header);
    parser_->body_limit(limits_.body);
    parser_->eager(true);
  }

  std::size_t put(std::string_view data) {
    BeastError error;
    const std::size_t used = parser_->put({data.data(), data.size()}, error);
    if (error == http::error::need_more) {
      const std::size_t waiting = data.size() - used;
      if (parser_->is_header_done() && waiting > kMaxChunkHeader) refuse(400, "a chunk's header is too long");
    } else if (error && error_status_ == 0) {
      refuse(statusFor(error), error.message());
    }
    return used;
  }

 private:
  friend class RequestParser;

  class Parser final : public http::basic_parser<true> {
   public:
    explicit Parser(Impl& impl) : impl_(impl) {}

   private:
    void on_request_impl(http::verb, string_view method, string_view target, int version,
                         BeastError& error) override {
      impl_.http10_ = version < 11;
      impl_.request_.method = toString(method);
      impl_.request_.target = toString(target);
      auto parsed = parseTarget(impl_.request_.target);
      if (!parsed) {
        impl_.refuse(400, parsed.error().message);
        error = http::error::bad_target;
        return;
      }
      impl_.request_.path = std::move(parsed->path);
      impl_.request_.query = std::move(parsed->query);
    }

    void on_response_impl(int, string_view, int, BeastError&) override {}

    void on_field_impl(http::field field, string_view name, string_view value, BeastError& error) override {
      if (in_body_) return;  // a trailer: nothing here uses any
      // Beast takes "gzip, chunked" for chunked and "gzip" for no body at all; another server in front of
      // this one might not, and the two would disagree where the next request begins.
      if (field == http::field::transfer_encoding && !boost::beast::iequals(value, "chunked")) {
        impl_.refuse(501, "the only transfer encoding understood is chunked");
        error = http::error::bad_transfer_encoding;
        return;
      }
      if (field == http::field::expect && boost::beast::iequals(value, "100-continue")) {
        impl_.expects_continue_ = true;
      }
      impl_.request_.headers.emplace_back(toString(name), toString(value));
    }

    void on_header_impl(BeastError&) override { in_body_ = true; }

    void on_body_init_impl(const boost::optional<std::uint64_t>& length, BeastError&) override {
      if (length) impl_.request_.body.reserve(static_cast<std::size_t>(std::min(*length, kMaxBodyReserve)));
    }

    std::size_t on_body_impl(string_view body, BeastError&) override {
      impl_.request_.body.append(body.data(), body.size());
      return body.size();
    }

    void on_chunk_header_impl(std::uint64_t, string_view, BeastError&) override {}

    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, BeastError& error) override {
      return on_body_impl(body, error);
    }

    void on_finish_impl(BeastError&) override {}

    Impl& impl_;
    bool in_body_ = false;
  };

  void refuse(int status, std::string message) {
    error_status_ = status;
    error_message_ = std::move(message);
  }

  ParserLimits limits_;
  Request request_;
  int error_status_ = 0;
  std::string error_message_;
  bool expects_continue_ = false;
  bool http10_ = false;
  std::optional<Parser> parser_;
};

RequestParser::RequestParser(ParserLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestParser::~RequestParser() = default;
void RequestParser::reset() {
  impl_->reset();
}
std::size_t RequestParser::put(std::string_view data) {
  return impl_->put(data);
}
bool RequestParser::started() const {
  return impl_->parser_->got_some();
}
bool RequestParser::headerDone() const {
  return impl_->parser_->is_header_done();
}
bool RequestParser::done() const {
  return impl_->error_status_ == 0 && impl_->parser_->is_done();
}
int RequestParser::errorStatus() const {
  return impl_->error_status_;
}
const std::string& RequestParser::errorMessage() const {
  return impl_->error_message_;
}
bool RequestParser::keepAlive() const {
  return impl_->parser_->keep_alive();
}
bool RequestParser::isHttp10() const {
  return impl_->http10_;
}
bool RequestParser::expectsContinue() const {
  return impl_->expects_continue_;
}
Request& RequestParser::request() {
  return impl_->request_;
}

class ResponseParser::Impl final {
 public:
  explicit Impl(std::uint64_t max_body) : max_body_(max_body) { reset(false); }

  void reset(bool to_head_request) {
    response_ = {};
    response_.content_type.clear();
    error_.clear();
    parser_.emplace(*this);
    parser_->header_limit(ParserLimits{}.header);
    // Not body_limit(none): Beast 1.74 compares every declared length with it and finds it greater.
    parser_->body_limit(max_body_ == 0 ? std::numeric_limits<std::uint64_t>::max() : max_body_);
    parser_->eager(true);
    if (to_head_request) parser_->skip(true);
  }

  std::size_t put(std::string_view data) {
    BeastError error;
    const std::size_t used = parser_->put({data.data(), data.size()}, error);
    if (error == http::error::need_more) {
      if (parser_->is_header_done() && data.size() - used > kMaxChunkHeader)
        error_ = "a chunk's header is too long";
    } else if (error) {
      error_ = error.message();
    }
    return used;
  }

  void putEof() {
    if (!parser_->got_some()) {
      error_ = "the connection ended before the answer";
      return;
    }
    BeastError error;
    parser_->put_eof(error);
    if (error) error_ = "the connection ended in the middle of the answer";
  }

 private:
  friend class ResponseParser;

  class Parser final : public http::basic_parser<false> {
   public:
    explicit Parser(Impl& impl) : impl_(impl) {}

   private:
    void on_request_impl(http::verb, string_view, string_view, int, BeastError&) override {}
    void on_response_impl(int status, string_view, int, BeastError&) override {
      impl_.response_.status = status;
    }
    void on_field_impl(http::field field, string_view name, string_view value, BeastError&) override {
      if (in_body_) return;
      if (field == http::field::content_type) impl_.response_.content_type = toString(value);
      impl_.response_.headers.emplace_back(toString(name), toString(value));
    }
    void on_header_impl(BeastError&) override { in_body_ = true; }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, BeastError&) override {
      if (length) impl_.response_.body.reserve(static_cast<std::size_t>(std::min(*length, kMaxBodyReserve)));
    }
    std::size_t on_body_impl(string_view body, BeastError&) override {
      impl_.response_.body.append(body.data(), body.size());
      return body.size();
    }
    void on_chunk_header_impl(std::uint64_t, string_view, BeastError&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, string_view body, BeastError& error) override {
      return on_body_impl(body, error);
    }
    void on_finish_impl(BeastError&) override {}

    Impl& impl_;
    bool in_body_ = false;
  };

  std::uint64_t max_body_;
  Response response_;
  std::string error_;
  std::optional<Parser> parser_;
};

ResponseParser::ResponseParser(std::uint64_t max_body) : impl_(std::make_unique<Impl>(max_body)) {}
ResponseParser::~ResponseParser() = default;
void ResponseParser::reset(bool to_head_request) {
  impl_->reset(to_head_request);
}
std::size_t ResponseParser::put(std::string_view data) {
  return impl_->put(data);
}
void ResponseParser::putEof() {
  impl_->putEof();
}
bool ResponseParser::headerDone() const {
  return impl_->parser_->is_header_done();
}
bool ResponseParser::done() const {
  return impl_->error_.empty() && impl_->parser_->is_done();
}
const std::string& ResponseParser::errorMessage() const {
  return impl_->error_;
}
bool ResponseParser::keepAlive() const {
  return impl_->parser_->keep_alive();
}
std::optional<std::uint64_t> ResponseParser::remaining() const {
  const auto left = impl_->parser_->content_length_remaining();
  if (!left) return std::nullopt;
  return *left;
}
Response& ResponseParser::response() {
  return impl_->response_;
}

}  // namespace buoy::net
