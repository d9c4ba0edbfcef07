#include "objstore/s3/endpoint.h"

#include <gtest/gtest.h>

#include "objstore/s3/client.h"

namespace buoy::objstore::s3 {
namespace {

using aws::Addressing;

// "scheme://connect to:port|Host header|path prefix"
std::string place(const aws::Settings& settings, const std::string& bucket, const std::string& region) {
  const auto at = endpointOf(settings, region, bucket);
  if (!at) return std::string(toString(at.error().code));
  return at->server.toString() + "|" + at->host + "|" + at->path_prefix;
}

std::string atAws(const std::string& bucket, const std::string& region = "eu-west-1",
                  Addressing addressing = Addressing::automatic) {
  aws::Settings settings;
  settings.addressing = addressing;
  return place(settings, bucket, region);
}

std::string at(const std::string& endpoint, const std::string& bucket = "buck",
               Addressing addressing = Addressing::automatic) {
  aws::Settings settings;
  settings.s3_endpoint = endpoint;
  settings.addressing = addressing;
  return place(settings, bucket, "eu-west-1");
}

TEST(Endpoint, OfAwsIsTheRegionsAndTheBucketsOwnHost) {
  EXPECT_EQ(atAws("buck"), "https://buck.s3.eu-west-1.amazonaws.com:443|buck.s3.eu-west-1.amazonaws.com|");
  EXPECT_EQ(atAws("buck", "us-east-1"),
            "https://buck.s3.us-east-1.amazonaws.com:443|buck.s3.us-east-1.amazonaws.com|");
  EXPECT_EQ(atAws("buck", "cn-north-1"),
            "https://buck.s3.cn-north-1.amazonaws.com.cn:443|buck.s3.cn-north-1.amazonaws.com.cn|");
  EXPECT_EQ(atAws(""), "https://s3.eu-west-1.amazonaws.com:443|s3.eu-west-1.amazonaws.com|");
  EXPECT_EQ(atAws("buck", "eu-west-1", Addressing::path),
            "https://s3.eu-west-1.amazonaws.com:443|s3.eu-west-1.amazonaws.com|/buck");
}

// The certificate is for one label only, and a host name has no upper case or underscores.
TEST(Endpoint, ABucketThatIsNoHostLabelGoesIntoThePath) {
  const std::string service = "https://s3.eu-west-1.amazonaws.com:443|s3.eu-west-1.amazonaws.com|/";
  for (const std::string bucket : {"my.bucket", "Old_Bucket", "UPPER", "-x", "x-", "a_b"}) {
    EXPECT_EQ(atAws(bucket), service + bucket);
    EXPECT_EQ(atAws(bucket, "eu-west-1", Addressing::virtual_host), service + bucket);
  }
  EXPECT_EQ(atAws(std::string(64, 'a')), service + std::string(64, 'a'));
}

TEST(Endpoint, FollowsDualstackAndFips) {
  aws::Settings settings;
  settings.use_dualstack = true;
  EXPECT_EQ(endpointOf(settings, "eu-west-1", "b").value().host, "b.s3.dualstack.eu-west-1.amazonaws.com");
  settings.use_fips = true;
  EXPECT_EQ(endpointOf(settings, "us-east-1", "b").value().host,
            "b.s3-fips.dualstack.us-east-1.amazonaws.com");
  settings.use_dualstack = false;
  EXPECT_EQ(endpointOf(settings, "us-east-1", "b").value().host, "b.s3-fips.us-east-1.amazonaws.com");
}

TEST(Endpoint, OfOthersIsAskedByPathUnlessToldOtherwise) {
  EXPECT_EQ(at("http://127.0.0.1:9000"), "http://127.0.0.1:9000|127.0.0.1:9000|/buck");
  EXPECT_EQ(at("http://127.0.0.1:9000", ""), "http://127.0.0.1:9000|127.0.0.1:9000|");
  EXPECT_EQ(at("http://minio:9000", "buck", Addressing::virtual_host),
            "http://buck.minio:9000|buck.minio:9000|");
  // An address cannot have a bucket before it.
  EXPECT_EQ(at("http://127.0.0.1:9000", "buck", Addressing::virtual_host),
            "http://127.0.0.1:9000|127.0.0.1:9000|/buck");
  EXPECT_EQ(at("http://[fe80::1]:9000", "buck", Addressing::virtual_host),
            "http://[fe80::1]:9000|[fe80::1]:9000|/buck");
}

TEST(Endpoint, LeavesDefaultPortsOutOfTheHostHeader) {
  EXPECT_EQ(at("http://s3.local"), "http://s3.local:80|s3.local|/buck");
  EXPECT_EQ(at("http://s3.local:80"), "http://s3.local:80|s3.local|/buck");
  EXPECT_EQ(at("https://s3.local"), "https://s3.local:443|s3.local|/buck");
  EXPECT_EQ(at("https://s3.local:443"), "https://s3.local:443|s3.local|/buck");
  EXPECT_EQ(at("https://s3.local:80"), "https://s3.local:80|s3.local:80|/buck");
  EXPECT_EQ(at("http://s3.local:443"), "http://s3.local:443|s3.local:443|/buck");
  EXPECT_EQ(at("http://s3.local:8080"), "http://s3.local:8080|s3.local:8080|/buck");
}

TEST(Endpoint, KeepsItsOwnPath) {
  EXPECT_EQ(at("http://proxy:8080/s3/eu/"), "http://proxy:8080|proxy:8080|/s3/eu/buck");
  EXPECT_EQ(at("http://proxy:8080/s3/eu", ""), "http://proxy:8080|proxy:8080|/s3/eu");
  EXPECT_EQ(at("https://proxy/s3", "buck", Addressing::virtual_host),
            "https://buck.proxy:443|buck.proxy|/s3");
  EXPECT_EQ(at("https://proxy///"), "https://proxy:443|proxy|/buck");
}

TEST(Endpoint, KnowsAwsByItsName) {
  aws::Settings settings;
  EXPECT_TRUE(endpointOf(settings, "eu-west-1", "b")->is_aws);
  settings.s3_endpoint = "https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com";
  EXPECT_TRUE(endpointOf(settings, "eu-west-1", "b")->is_aws);
  settings.s3_endpoint = "https://s3.cn-north-1.amazonaws.com.cn";
  EXPECT_TRUE(endpointOf(settings, "cn-north-1", "b")->is_aws);
  for (const char* other : {"https://minio.example", "https://amazonaws.com.example",
                            "https://x.amazonaws.com.evil.example", "http://proxy/s3.amazonaws.com"}) {
    settings.s3_endpoint = other;
    EXPECT_FALSE(endpointOf(settings, "eu-west-1", "b")->is_aws) << other;
  }
}

TEST(Endpoint, SaysThatItIsNoUrl) {
  for (const char* wrong : {"minio:9000", "ftp://x", "http://", "http://x:99999", "/path"}) {
    EXPECT_EQ(at(wrong), "invalid_argument") << wrong;
  }
  aws::Settings settings;
  settings.s3_endpoint = "minio:9000";
  EXPECT_NE(endpointOf(settings, "r", "b").error().message.find("the S3 endpoint 'minio:9000'"),
            std::string::npos);
}

TEST(Location, TakesTheKeyAsItStands) {
  EXPECT_EQ(parseLocation("s3://buck/a b/%41+ü").value(), (Location{"buck", "a b/%41+ü"}));
  EXPECT_EQ(parseLocation("s3://buck").value(), (Location{"buck", ""}));
  EXPECT_EQ(parseLocation("s3://buck/").value(), (Location{"buck", ""}));
  EXPECT_EQ(parseLocation("s3://buck//a//").value(), (Location{"buck", "/a//"}));
  EXPECT_EQ(parseLocation("s3://My.Old_Bucket/x").value().toString(), "s3://My.Old_Bucket/x");
}

TEST(Location, SaysWhatIsWrong) {
  for (const std::string wrong : {"", "s3:/buck/x", "S3://buck/x", "http://buck/x", "s3://", "s3:///x",
                                  "s3://ab/x", "s3://a b c/x", "s3://b?x/y", "s3://buck/\xff"}) {
    const auto location = parseLocation(wrong);
    ASSERT_FALSE(location) << wrong;
    EXPECT_EQ(location.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(location.error().message.find("write s3://bucket/key"), std::string::npos);
  }
  EXPECT_FALSE(parseLocation("s3://buck/" + std::string(1025, 'k')));
  EXPECT_TRUE(parseLocation("s3://buck/" + std::string(1024, 'k')));
  EXPECT_FALSE(parseLocation("s3://" + std::string(256, 'b') + "/k"));
}

}  // namespace
}  // namespace buoy::objstore::s3
