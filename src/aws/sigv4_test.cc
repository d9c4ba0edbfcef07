#include "aws/sigv4.h"

#include <gtest/gtest.h>

namespace buoy::aws {
namespace {

std::string valueOf(const NameValues& values, std::string_view name) {
  for (const auto& [key, value] : values) {
    if (key == name) return value;
  }
  return "";
}

std::string signatureIn(const NameValues& headers) {
  const std::string value = valueOf(headers, "Authorization");
  const auto at = value.find("Signature=");
  return at == std::string::npos ? "" : value.substr(at + 10);
}

// AWS's signature test suite: every case has these.
const Credentials kSuiteKeys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", std::nullopt};
const Time kSuiteTime = *parseTime("2015-08-30T12:36:00Z");

std::string suiteSignature(const std::string& method, const std::string& path, NameValues query,
                           NameValues headers = {}) {
  // The suite sends paths as they are, so encoding them once is encoding what is sent.
  Signer signer({.region = "us-east-1", .service = "service", .encode_path_twice = false});
  headers.insert(headers.begin(), {"Host", "example.amazonaws.com"});
  return signatureIn(
      signer.sign({method, path, std::move(query), std::move(headers), std::string(kEmptyPayload)},
                  kSuiteKeys, kSuiteTime));
}

TEST(SigV4, AgreesWithThePublishedSuite) {
  EXPECT_EQ(suiteSignature("GET", "/", {}),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  EXPECT_EQ(suiteSignature("POST", "/", {}),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  EXPECT_EQ(suiteSignature("GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  EXPECT_EQ(suiteSignature("GET", "/\u1234", {}),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
  // Paths that are to be normalized come out as "/".
  EXPECT_EQ(suiteSignature("GET", "/example/..", {}), suiteSignature("GET", "/", {}));
  EXPECT_EQ(suiteSignature("GET", "//", {}), suiteSignature("GET", "/", {}));
}

// The examples of "Authenticating Requests: Using the Authorization Header" and "… Query Parameters" of S3.
const Credentials kS3Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "",
                          std::nullopt};
const Time kS3Time = *parseTime("2013-05-24T00:00:00Z");
const std::pair<std::string, std::string> kS3Host{"Host", "examplebucket.s3.amazonaws.com"};

TEST(SigV4, AgreesWithTheExamplesOfS3) {
  Signer signer(s3Scope("us-east-1"));
  const auto signature = [&](const SignableRequest& request) {
    return signatureIn(signer.sign(request, kS3Keys, kS3Time));
  };
  EXPECT_EQ(
      signature({"GET", "/test.txt", {}, {kS3Host, {"Range", "bytes=0-9"}}, std::string(kEmptyPayload)}),
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(signature({"PUT",
                       "/test$file.text",
                       {},
                       {kS3Host,
                        {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                        {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                       "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(signature({"GET", "/", {{"lifecycle", ""}}, {kS3Host}, std::string(kEmptyPayload)}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(
      signature({"GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}, {kS3Host}, std::string(kEmptyPayload)}),
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, PresignsAsTheExampleOfS3) {
  Signer signer(s3Scope("us-east-1"));
  const NameValues query = signer.presign({"GET", "/test.txt", {}, {kS3Host}, std::string(kUnsignedPayload)},
                                          kS3Keys, kS3Time, std::chrono::hours{24});
  EXPECT_EQ(valueOf(query, "X-Amz-Signature"),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  EXPECT_EQ(valueOf(query, "X-Amz-Expires"), "86400");
}

TEST(SigV4, ATokenIsSignedAndAKeyOfAnotherDayIsDerivedAnew) {
  Signer signer(s3Scope("us-east-1"));
  Credentials with_token = kS3Keys;
  with_token.session_token = "token";
  const SignableRequest request{"GET", "/a b", {}, {kS3Host}, std::string(kEmptyPayload)};
  const NameValues first = signer.sign(request, with_token, kS3Time);
  EXPECT_EQ(valueOf(first, "x-amz-security-token"), "token");
  EXPECT_NE(valueOf(first, "Authorization").find("x-amz-security-token"), std::string::npos);
  Signer fresh(s3Scope("us-east-1"));
  const Time next_day = kS3Time + std::chrono::hours{24};
  EXPECT_EQ(signer.sign(request, with_token, next_day), fresh.sign(request, with_token, next_day));
  EXPECT_NE(signatureIn(first), signatureIn(signer.sign(request, with_token, next_day)));
}

TEST(SigV4, EncodesEverythingButTheUnreserved) {
  EXPECT_EQ(uriEncode("a/b c~%\xc3\xa4", true), "a/b%20c~%25%C3%A4");
  EXPECT_EQ(uriEncode("a/b", false), "a%2Fb");
  EXPECT_EQ(canonicalQuery({{"b", ""}, {"a", "x y"}, {"a", "x"}}), "a=x&a=x%20y&b=");
}

}  // namespace
}  // namespace buoy::aws
