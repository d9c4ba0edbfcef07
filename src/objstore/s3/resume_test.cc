#include <gtest/gtest.h>

#include "base/strings.h"
#include "net/scripted_server.h"
#include "objstore/s3/client.h"

// What a broken connection does to a download.
namespace buoy::objstore::s3 {
namespace {

using net::ScriptedServer;

std::string headerIn(const std::string& request, const std::string& name) {
  const auto at = request.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const auto begin = at + name.size() + 4;
  return request.substr(begin, request.find("\r\n", begin) - begin);
}

// The answer as far as `sent` of its `promised` bytes.
std::string answer(int status, const std::string& etag, std::size_t promised, const std::string& sent,
                   const std::string& range = {}) {
  return strCat({"HTTP/1.1 ", std::to_string(status), " X\r\nETag: ", etag, "\r\n",
                 range.empty() ? "" : "Content-Range: bytes " + range + "\r\n",
                 "Content-Length: ", std::to_string(promised), "\r\n\r\n", sent});
}

std::string refusedPart(int status, const std::string& code) {
  const std::string body = "<Error><Code>" + code + "</Code></Error>";
  return answer(status, "\"x\"", body.size(), body);
}

class Resume : public testing::Test {
 protected:
  Result<Object> get(ScriptedServer& server, const GetOptions& options = {}) {
    ClientOptions client;
    client.settings.region = "us-east-1";
    client.settings.s3_endpoint = server.url();
    client.credentials = aws::staticCredentials({"AKID", "secret", "", std::nullopt});
    client.patience = client.first_patience = std::chrono::minutes{5};
    return Client::create(std::move(client))
        .value()
        ->get({"buck", "k"}, options,
              [this](std::string_view piece) {
                content += piece;
                return Status();
              },
              {});
  }
  std::string content;
};

const std::string kWhole = "0123456789";

TEST_F(Resume, FetchesTheRestOfTheSameObject) {
  ScriptedServer server({answer(200, "\"e1\"", 10, "0123"), answer(206, "\"e1\"", 6, "45", "4-9/10"), "",
                         answer(206, "\"e1\"", 4, "6789", "6-9/10")});
  const auto object = get(server);
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(content, kWhole);
  EXPECT_EQ(object->size, 10u);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(headerIn(requests[0], "Range") + headerIn(requests[0], "If-Match"), "");
  EXPECT_EQ(headerIn(requests[1], "Range"), "bytes=4-");
  EXPECT_EQ(headerIn(requests[2], "Range"), "bytes=6-");
  EXPECT_EQ(headerIn(requests[3], "Range"), "bytes=6-");
  for (const std::size_t i : {1u, 2u, 3u}) EXPECT_EQ(headerIn(requests[i], "If-Match"), "\"e1\"");
}

TEST_F(Resume, FetchesTheRestOfARange) {
  ScriptedServer server(
      {answer(206, "\"e1\"", 5, "23", "2-6/10"), answer(206, "\"e1\"", 3, "456", "4-6/10")});
  const auto object = get(server, {.offset = 2, .size = 5, .if_match = "\"e1\""});
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(content, "23456");
  EXPECT_EQ(object->size, 10u);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(headerIn(requests[0], "Range"), "bytes=2-6");
  EXPECT_EQ(headerIn(requests[0], "If-Match"), "\"e1\"");
  EXPECT_EQ(headerIn(requests[1], "Range"), "bytes=4-6");
}

TEST_F(Resume, DoesNotPutTwoObjectsTogether) {
  ScriptedServer server({answer(200, "\"e1\"", 10, "0123"), refusedPart(412, "PreconditionFailed")});
  const auto object = get(server);
  EXPECT_EQ(object.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(object.error().retryable);
  EXPECT_EQ(object.error().message, "get s3://buck/k: it changed while it was read");
  EXPECT_EQ(content, "0123");
}

TEST_F(Resume, WhoeverNamedTheObjectIsToldThatItIsAnother) {
  ScriptedServer server({answer(200, "\"e1\"", 10, "0123"), refusedPart(412, "PreconditionFailed")});
  EXPECT_EQ(get(server, {.if_match = "\"e1\""}).error().code, ErrorCode::failed_precondition);
}

TEST_F(Resume, RefusesTheWholeWhereTheRestWasAskedFor) {
  const std::string whole = answer(200, "\"e1\"", 10, kWhole);
  ScriptedServer server({answer(200, "\"e1\"", 10, "0123"), whole, whole, whole, whole});
  const auto object = get(server);
  EXPECT_EQ(object.error().code, ErrorCode::internal);
  EXPECT_EQ(content, "0123");
}

TEST_F(Resume, AnAnswerThatIsTooShortIsNotTheObject) {
  // The length is right for what comes, but not for what the range says.
  ScriptedServer server({answer(206, "\"e1\"", 3, "234", "2-4/10")});
  const auto object = get(server, {.offset = 2});
  EXPECT_EQ(object.error().code, ErrorCode::unavailable);
  EXPECT_NE(object.error().message.find("3 bytes came instead of 8"), std::string::npos);
}

}  // namespace
}  // namespace buoy::objstore::s3
