#include <gtest/gtest.h>

#include <algorithm>

#include "objstore/s3/test_server.h"
#include "objstore/transfer/transfer.h"

namespace buoy::objstore {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;

// Copies on demand; what is at the source is what `etag` says.
net::Response answer(const net::Request& request, const std::string& etag) {
  if (request.method == "HEAD") {
    net::Response response = s3::success("", etag);
    response.content_type = "text/csv";
    response.headers.emplace_back("x-amz-meta-owner", "ann");
    return response;
  }
  if (request.method == "DELETE") return s3::success();
  if (request.method == "POST" && request.target.ends_with("?uploads="))
    return s3::success(
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
  if (request.method == "POST") return s3::success("<CompleteMultipartUploadResult/>");
  return s3::success(
      "<CopyPartResult><ETag>\"part\"</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></CopyPartResult>");
}

Status copy(s3::TestServer& server, std::uint64_t size) {
  Status ended;
  Transfers transfers({});
  transfers.copy(s3::clientOf(server), "buck", {.key = "from", .size = size, .etag = "\"e1\""},
                 {"buck", "to"}, [&](const Status& status) { ended = status; });
  transfers.wait();
  return ended;
}

long countOf(const std::vector<net::Request>& requests, const std::string& method) {
  return std::count_if(requests.begin(), requests.end(),
                       [&](const net::Request& request) { return request.method == method; });
}

TEST(ServerCopy, OfALargeObjectIsOfOneObject) {
  s3::TestServer server([](const net::Request& request) { return answer(request, "\"e1\""); });
  const Status copied = copy(server, 7 * kGiB - 1);
  EXPECT_TRUE(copied) << copied.error().message;
  const auto requests = server.requests();
  EXPECT_EQ(countOf(requests, "PUT"), 7);
  EXPECT_EQ(countOf(requests, "DELETE"), 0);
  for (const net::Request& request : requests) {
    if (request.method == "PUT") {
      EXPECT_EQ(request.header("x-amz-copy-source-if-match"), "\"e1\"");
    } else if (request.target.ends_with("?uploads=")) {
      EXPECT_EQ(request.header("Content-Type"), "text/csv") << "it stays what it was";
      EXPECT_EQ(request.header("x-amz-meta-owner"), "ann");
    } else if (request.method == "POST") {
      EXPECT_NE(request.body.find("<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"), std::string::npos)
          << "an upload with checksums is completed with all of them";
    }
  }
}

TEST(ServerCopy, IsRefusedWhenTheServerMixesTwoObjects) {
  s3::TestServer server([](const net::Request& request) { return answer(request, "\"e2\""); });
  const Status copied = copy(server, 7 * kGiB);
  EXPECT_EQ(copied.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(copied.error().retryable);
  EXPECT_EQ(copied.error().message, "s3://buck/from was replaced while it was copied");
  const auto requests = server.requests();
  EXPECT_EQ(countOf(requests, "POST"), 1) << "it is begun and not completed";
  EXPECT_EQ(countOf(requests, "DELETE"), 1);
}

TEST(ServerCopy, OfAnObjectThatIsAnotherByNowIsOneThatMayBeTriedAgain) {
  s3::TestServer server(s3::always(s3::refusal(412, "PreconditionFailed")));
  const Status copied = copy(server, kGiB);
  EXPECT_EQ(copied.error().code, ErrorCode::unavailable);
  EXPECT_EQ(server.requests().size(), 1u);
}

}  // namespace
}  // namespace buoy::objstore
