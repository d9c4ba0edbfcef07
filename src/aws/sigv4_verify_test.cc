#include "aws/sigv4_verify.h"

#include <gtest/gtest.h>

namespace buoy::aws {
namespace {

constexpr const char* kHeader =
    "AWS4-HMAC-SHA256 Credential=a/20261121/us-east-1/batch/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date, "
    "Signature=2d5d7d1d643c357ade72545a1fe8e03b66616583f08769ee93ea9206c9d1836a";

// As the AWS command line (2.9.19) sent it with the access key "a" and the secret "b".
SignableRequest recorded() {
  return {"POST",
          "/v1/submitjob",
          {},
          {{"Host", "127.0.0.1:18099"},
           {"User-Agent", "whatever"},
           {"Content-Type", "application/json"},
           {"X-Amz-Date", "20261121T142314Z"}},
          sha256Hex(R"({"jobName": "x", "jobQueue": "q", "jobDefinition": "d"})")};
}

Status verify(const std::string& header, const SignableRequest& request, const std::string& secret = "b") {
  return verifySignature(parseAuthorization(header).value(), request,
                         parseSigningTime("20261121T142314Z").value(), secret);
}

TEST(SigV4Verify, AcceptsWhatTheCommandLineSigned) {
  EXPECT_TRUE(verify(kHeader, recorded()));
}

TEST(SigV4Verify, AcceptsAnEncodedPathAndAQuery) {
  const SignableRequest request{"DELETE",
                                "/v1/tags/arn%3Aaws%3Abatch%3Aus-east-1%3A000000000000%3Ajob%2Fx",
                                {{"tagKeys", "a"}, {"tagKeys", "b c"}},
                                {{"Host", "127.0.0.1:18099"}, {"X-Amz-Date", "20261121T142315Z"}},
                                std::string(kEmptyPayload)};
  const auto claim = parseAuthorization(
      "AWS4-HMAC-SHA256 Credential=a/20261121/us-east-1/batch/aws4_request, SignedHeaders=host;x-amz-date, "
      "Signature=d0d70665bc0e0a240b2000cce3be0e408f490a0e365b247aa14c825302dad56c");
  ASSERT_TRUE(claim);
  EXPECT_TRUE(verifySignature(*claim, request, parseSigningTime("20261121T142315Z").value(), "b"));
}

TEST(SigV4Verify, RefusesWhateverDiffers) {
  EXPECT_FALSE(verify(kHeader, recorded(), "c"));
  SignableRequest other = recorded();
  other.payload_sha256 = sha256Hex("{}");
  EXPECT_FALSE(verify(kHeader, other));
  other = recorded();
  other.method = "PUT";
  EXPECT_FALSE(verify(kHeader, other));
  other = recorded();
  other.path = "/v1/canceljob";
  EXPECT_FALSE(verify(kHeader, other));
  other = recorded();
  other.query = {{"a", ""}};
  EXPECT_FALSE(verify(kHeader, other));
  other = recorded();
  other.headers.erase(other.headers.begin());
  EXPECT_FALSE(verify(kHeader, other)) << "a signed header is missing";
  other = recorded();
  other.headers.emplace_back("Host", "another");
  EXPECT_FALSE(verify(kHeader, other)) << "a signed header stands twice";
  std::string yesterday = kHeader;
  yesterday.replace(yesterday.find("20261121"), 8, "20261120");
  EXPECT_FALSE(verify(yesterday, recorded()));
}

TEST(SigV4Verify, SaysWhatIsWrongWithAHeader) {
  for (const char* bad :
       {"AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/20261121/r/s/aws4_request, SignedHeaders=date, Signature=00",
        "AWS4-HMAC-SHA256 nothing", "Bearer x"}) {
    const auto parsed = parseAuthorization(bad);
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
  }
}

TEST(SigV4Verify, ReadsOnlyRealInstants) {
  EXPECT_EQ(formatTime(parseSigningTime("20261121T142314Z").value()), "2026-11-21T14:23:14.000Z");
  for (const char* bad : {"", "20261121T142314", "20261321T142314Z", "20260230T142314Z", "20261121T252314Z",
                          "2026-121T142314Z", "20261121 142314Z"}) {
    EXPECT_FALSE(parseSigningTime(bad)) << bad;
  }
}

}  // namespace
}  // namespace buoy::aws
