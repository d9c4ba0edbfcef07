#include "net/url.h"

#include <gtest/gtest.h>

#include "net/http.h"

namespace buoy::net {
namespace {

TEST(PercentDecode, DecodesOnlyWhatIsWhole) {
  EXPECT_EQ(percentDecode("a%2Fb%c3%a9+c"), "a/b\xc3\xa9+c");
  EXPECT_EQ(percentDecode("a+b", true), "a b");
  EXPECT_EQ(percentDecode(""), "");
  for (const char* bad : {"%", "%4", "a%", "%zz", "%0g", "%%41", "%00"}) {
    EXPECT_EQ(percentDecode(bad), std::nullopt) << bad;
  }
}

TEST(PercentEncode, IsUndoneByDecode) {
  std::string all;
  for (int c = 1; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(percentDecode(percentEncode(all)), all);
  EXPECT_EQ(percentEncode("a/b c"), "a%2Fb%20c");
  EXPECT_EQ(percentEncode("a/b c", true), "a/b%20c");
}

TEST(ParseTarget, SplitsPathAndQuery) {
  const auto target = parseTarget("/v1/jobs/my%20job?follow=1&x=a%26b&flag&=v&&y=p+q");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/v1/jobs/my job");
  const QueryList expected = {{"follow", "1"}, {"x", "a&b"}, {"flag", ""}, {"", "v"}, {"y", "p q"}};
  EXPECT_EQ(target->query, expected);
}

TEST(ParseTarget, TakesTheAbsoluteForm) {
  EXPECT_EQ(parseTarget("http://host:80/a?b=c")->path, "/a");
  EXPECT_EQ(parseTarget("HTTPS://host")->path, "/");
  EXPECT_EQ(parseTarget("*")->path, "*");
}

TEST(ParseTarget, RefusesTheRest) {
  for (const char* bad : {"", "v1", "host:80", "/a#b", "/%", "/?%", "ftp://x/y", "/a%00b"}) {
    EXPECT_FALSE(parseTarget(bad)) << bad;
  }
}

TEST(FormatTarget, IsUndoneByParse) {
  const QueryList query = {{"a b", "c&d=e"}, {"+", "%"}};
  const auto target = parseTarget(formatTarget("/x y/\xc3\xa9?", query));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/x y/\xc3\xa9?");
  EXPECT_EQ(target->query, query);
}

TEST(ParseEndpoint, KnowsTheThreeKinds) {
  for (const char* text :
       {"unix:/run/b.sock", "http://127.0.0.1:8080", "https://buoy.example:7443", "http://[::1]:1"}) {
    const auto endpoint = parseEndpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->toString(), text);
  }
  EXPECT_EQ(parseEndpoint("https://h/")->port, 443);
  EXPECT_EQ(parseEndpoint("http://h")->port, 80);
  EXPECT_EQ(parseEndpoint("http://[::1]:1")->host, "::1");
}

TEST(ParseEndpoint, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "scheme"},
      {"localhost:80", "scheme"},
      {"unix:relative", "not absolute"},
      {"http://", "no host"},
      {"http://:80", "no host"},
      {"http://h:", "port"},
      {"http://h:0", "port"},
      {"http://h:65536", "port"},
      {"http://h:8x", "port"},
      {"http://::1", "brackets"},
      {"http://[::1", "without ']'"},
      {"http://[::1]x", "after ']'"},
      {"http://h/path", "path"},
      {"http://h h", "host"},
      {"http://u:p@h", "token"},
  };
  for (const auto& [text, part] : cases) {
    const auto endpoint = parseEndpoint(text);
    ASSERT_FALSE(endpoint) << text;
    EXPECT_EQ(endpoint.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(endpoint.error().message.find(part), std::string::npos)
        << text << " → " << endpoint.error().message;
  }
  EXPECT_EQ(parseEndpoint("http://user:secret@h").error().message.find("secret"), std::string::npos);
}

TEST(RequestLookup, HeadersIgnoreCaseAndQueryDoesNot) {
  Request request;
  request.headers = {{"Content-TYPE", "x"}};
  request.query = {{"a", "1"}, {"a", "2"}};
  EXPECT_EQ(request.header("content-type"), "x");
  EXPECT_EQ(request.header("absent"), "");
  EXPECT_EQ(request.queryValue("a"), "1");
  EXPECT_EQ(request.queryValue("A", "none"), "none");
}

}  // namespace
}  // namespace buoy::net
