#include "aws/metadata_client.h"

#include <gtest/gtest.h>

#include "aws/test_support.h"

namespace buoy::aws {
namespace {

MetadataClient clientOf(const Service& service) {
  MetadataOptions options;
  options.endpoint = service.url();
  options.allow_v1 = false;
  options.timeout = std::chrono::seconds{10};
  return MetadataClient::create(options).value();
}

TEST(MetadataClient, FetchesATokenOnceAndReads) {
  Service service([](const net::Request& request) {
    if (request.method == "PUT") return answerOf("TOKEN");
    if (request.header("X-aws-ec2-metadata-token") != "TOKEN") return answerOf("", 401);
    return request.path == "/latest/meta-data/instance-id" ? answerOf("i-1") : answerOf("", 404);
  });
  MetadataClient client = clientOf(service);
  EXPECT_EQ(client.get("/latest/meta-data/instance-id").value(), "i-1");
  EXPECT_EQ(client.get("/latest/meta-data/other").value(), std::nullopt);
  const auto requests = service.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].header("X-aws-ec2-metadata-token-ttl-seconds"), "21600");
}

TEST(MetadataClient, FetchesAnotherTokenWhenTheOldOneIsRefused) {
  int tokens = 0;
  Service service([&](const net::Request& request) {
    if (request.method == "PUT") return answerOf("T" + std::to_string(++tokens));
    return request.header("X-aws-ec2-metadata-token") == "T2" ? answerOf("i-1") : answerOf("", 401);
  });
  MetadataClient client = clientOf(service);
  EXPECT_FALSE(client.get("/latest/meta-data/instance-id")) << "a fresh token that is refused is an error";
  EXPECT_EQ(client.get("/latest/meta-data/instance-id").value(), "i-1");
}

}  // namespace
}  // namespace buoy::aws
