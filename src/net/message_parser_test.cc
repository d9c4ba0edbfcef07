#include "net/message_parser.h"

#include <gtest/gtest.h>

namespace buoy::net {
namespace {

// Feeds `text` in pieces of `step` bytes, as a connection would; returns what is left over.
template <class Parser>
std::string feed(Parser& parser, std::string_view text, std::size_t step) {
  std::string waiting;
  while (!parser.done() && !parser.failed()) {
    if (text.empty()) break;
    waiting += text.substr(0, step);
    text.remove_prefix(std::min(step, text.size()));
    std::size_t used = 1;
    while (used > 0 && !waiting.empty() && !parser.done() && !parser.failed()) {
      used = parser.put(waiting);
      waiting.erase(0, used);
    }
  }
  return waiting + std::string(text);
}

TEST(RequestParser, IsTheSameInPiecesOfAnySize) {
  const std::string text =
      "POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3;ext=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\nGET";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    RequestParser parser({});
    EXPECT_EQ(feed(parser, text, step), "GET") << step;
    ASSERT_TRUE(parser.done()) << step << parser.errorMessage();
    EXPECT_EQ(parser.request().path, "/a b");
    EXPECT_EQ(parser.request().body, "abc0123456789abcdef");
    EXPECT_EQ(parser.request().headers.size(), 2u);
    EXPECT_TRUE(parser.keepAlive());
  }
}

TEST(RequestParser, ResetsBetweenRequests) {
  RequestParser parser({});
  const std::string rest =
      feed(parser, "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhiGET /x HTTP/1.1\r\n\r\n", 1000);
  ASSERT_TRUE(parser.done());
  EXPECT_TRUE(parser.isHttp10());
  EXPECT_FALSE(parser.keepAlive());
  parser.reset();
  EXPECT_FALSE(parser.started());
  EXPECT_EQ(feed(parser, rest, 1000), "");
  ASSERT_TRUE(parser.done());
  EXPECT_FALSE(parser.isHttp10());
  EXPECT_EQ(parser.request().path, "/x");
  EXPECT_EQ(parser.request().body, "");
}

TEST(RequestParser, RefusesWhatTwoServersCouldReadDifferently) {
  const std::pair<const char*, int> cases[] = {
      {"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"GET / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", 501},
      {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nName : x\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: x\n\n", 400},
      {"GET  / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\n\r\n", 400},
      {"G(T / HTTP/1.1\r\n\r\n", 400},
      {"GET relative HTTP/1.1\r\n\r\n", 400},
      {"GET /%zz HTTP/1.1\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x01\x01", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400},
  };
  for (const auto& [text, status] : cases) {
    RequestParser parser({});
    feed(parser, text, 1000);
    EXPECT_EQ(parser.errorStatus(), status) << text << parser.errorMessage();
  }
}

TEST(RequestParser, HasLimits) {
  const ParserLimits limits{1024, 100};
  for (const std::size_t step : {1u, 100u, 100000u}) {
    RequestParser header(limits);
    feed(header, "GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n", step);
    EXPECT_EQ(header.errorStatus(), 431);
    RequestParser target(limits);
    feed(target, "GET /" + std::string(2000, 'x') + " HTTP/1.1\r\n\r\n", step);
    EXPECT_EQ(target.errorStatus(), 431);
    RequestParser body(limits);
    feed(body, "POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n", step);
    EXPECT_EQ(body.errorStatus(), 413);
    RequestParser chunks(limits);
    feed(chunks,
         "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + std::string(64, 'x') + "\r\n40\r\n",
         step);
    EXPECT_EQ(chunks.errorStatus(), 413);
    RequestParser extension(limits);
    feed(extension, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100000, 'x'),
         step);
    EXPECT_EQ(extension.errorStatus(), 400);
  }
}

TEST(ResponseParser, KnowsTheThreeFramings) {
  const std::pair<const char*, bool> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: t\r\n\r\nabc", false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: "
       "t\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
       false},
      {"HTTP/1.1 200 OK\r\nContent-Type: t\r\n\r\nabc", true},
  };
  for (const auto& [text, needs_end] : cases) {
    for (std::size_t step = 1; step < 120; ++step) {
      ResponseParser parser(0);
      feed(parser, text, step);
      EXPECT_EQ(parser.done(), !needs_end) << text;
      if (needs_end) parser.putEof();
      ASSERT_TRUE(parser.done()) << text << step << parser.errorMessage();
      EXPECT_EQ(parser.response().body, "abc");
      EXPECT_EQ(parser.response().content_type, "t");
    }
  }
}

TEST(ResponseParser, SeesACutAnswer) {
  for (const char* text : {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"}) {
    ResponseParser parser(0);
    feed(parser, text, 7);
    parser.putEof();
    EXPECT_TRUE(parser.failed()) << text;
    EXPECT_FALSE(parser.done()) << text;
  }
}

TEST(ResponseParser, LimitsTheBody) {
  ResponseParser parser(10);
  feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", 1000);
  EXPECT_TRUE(parser.failed());
}

TEST(ResponseParser, AnswerToHeadHasNoBody) {
  ResponseParser parser(0);
  parser.reset(true);
  feed(parser, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", 1000);
  EXPECT_TRUE(parser.done());
}

}  // namespace
}  // namespace buoy::net
