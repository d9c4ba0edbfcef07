#include "objstore/s3/verdict.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace buoy::objstore::s3 {
namespace {

using Next = Verdict::Next;

net::Response refusal(int status, const std::string& code = {}, const std::string& more = {}) {
  net::Response response;
  response.status = status;
  if (!code.empty()) {
    response.body = strCat({"<?xml version=\"1.0\"?>\n<Error><Code>", code,
                            "</Code><Message>Because.</Message>", more, "</Error>"});
  }
  return response;
}

Verdict verdictOf(const net::Response& response, bool conditional = false) {
  return judge(response, "cannot put s3://b/k", "http://server", conditional);
}

TEST(Verdict, GoesByTheCodeThatTheServerNames) {
  const struct {
    int status;
    const char* code;
    Next next;
    ErrorCode means;
    bool retryable;
  } cases[] = {
      {404, "NoSuchKey", Next::give_up, ErrorCode::not_found, false},
      {404, "NoSuchBucket", Next::give_up, ErrorCode::not_found, false},
      {404, "NoSuchUpload", Next::give_up, ErrorCode::not_found, false},
      {403, "AccessDenied", Next::give_up, ErrorCode::permission_denied, false},
      {403, "QuotaExceeded", Next::give_up, ErrorCode::resource_exhausted, false},
      {403, "InvalidAccessKeyId", Next::give_up, ErrorCode::unauthenticated, false},
      {403, "SignatureDoesNotMatch", Next::give_up, ErrorCode::unauthenticated, false},
      {400, "ExpiredToken", Next::other_credentials, ErrorCode::unauthenticated, false},
      {403, "ExpiredToken", Next::other_credentials, ErrorCode::unauthenticated, false},
      {400, "TokenRefreshRequired", Next::other_credentials, ErrorCode::unauthenticated, false},
      {403, "RequestTimeTooSkewed", Next::other_clock, ErrorCode::unauthenticated, false},
      {400, "BadDigest", Next::later, ErrorCode::data_loss, true},
      {400, "XAmzContentSHA256Mismatch", Next::later, ErrorCode::data_loss, true},
      {400, "RequestTimeout", Next::later, ErrorCode::unavailable, true},
      {400, "IncompleteBody", Next::later, ErrorCode::unavailable, true},
      {409, "OperationAborted", Next::later, ErrorCode::unavailable, true},
      {409, "ConditionalRequestConflict", Next::later, ErrorCode::unavailable, true},
      {503, "SlowDown", Next::later, ErrorCode::unavailable, true},
      {500, "InternalError", Next::later, ErrorCode::unavailable, true},
      {501, "NotImplemented", Next::give_up, ErrorCode::invalid_argument, false},
      {400, "EntityTooLarge", Next::give_up, ErrorCode::invalid_argument, false},
  };
  for (const auto& c : cases) {
    const Verdict verdict = verdictOf(refusal(c.status, c.code));
    EXPECT_EQ(verdict.next, c.next) << c.code;
    EXPECT_EQ(verdict.error.code, c.means) << c.code;
    EXPECT_EQ(verdict.error.retryable, c.retryable) << c.code;
    EXPECT_TRUE(verdict.error.message.starts_with(
        strCat({"cannot put s3://b/k: http://server says ", c.code, ", Because"})))
        << verdict.error.message;
  }
}

TEST(Verdict, GoesByTheStatusWhereNothingIsNamed) {
  const struct {
    int status;
    Next next;
    ErrorCode means;
  } cases[] = {
      {400, Next::give_up, ErrorCode::invalid_argument},  {401, Next::give_up, ErrorCode::unauthenticated},
      {403, Next::give_up, ErrorCode::permission_denied}, {404, Next::give_up, ErrorCode::not_found},
      {408, Next::later, ErrorCode::unavailable},         {409, Next::later, ErrorCode::unavailable},
      {416, Next::give_up, ErrorCode::invalid_argument},  {429, Next::later, ErrorCode::unavailable},
      {500, Next::later, ErrorCode::unavailable},         {502, Next::later, ErrorCode::unavailable},
      {503, Next::later, ErrorCode::unavailable},         {507, Next::later, ErrorCode::resource_exhausted},
      {301, Next::give_up, ErrorCode::invalid_argument},  {418, Next::give_up, ErrorCode::invalid_argument},
  };
  for (const auto& c : cases) {
    const Verdict verdict = verdictOf(refusal(c.status));
    EXPECT_EQ(verdict.next, c.next) << c.status;
    EXPECT_EQ(verdict.error.code, c.means) << c.status;
    EXPECT_NE(verdict.error.message.find("HTTP status " + std::to_string(c.status)), std::string::npos);
  }
}

TEST(Verdict, ABusyServerMayNameAnything) {
  EXPECT_EQ(verdictOf(refusal(503, "AccessDenied")).next, Next::later);
  EXPECT_EQ(verdictOf(refusal(429, "NoSuchKey")).next, Next::later);
  EXPECT_EQ(verdictOf(refusal(503, "AccessDenied")).error.code, ErrorCode::unavailable);
}

TEST(Verdict, FindsTheRegionWhereverItStands) {
  net::Response redirect = refusal(301);
  redirect.headers = {{"X-Amz-Bucket-Region", "eu-west-1"}};
  EXPECT_EQ(verdictOf(redirect).next, Next::other_region);
  EXPECT_EQ(verdictOf(redirect).region, "eu-west-1");
  // To a HEAD: no body, and only 400.
  redirect.status = 400;
  EXPECT_EQ(verdictOf(redirect).next, Next::other_region);
  // But a refusal for another reason stays one.
  redirect = refusal(400, "EntityTooLarge");
  redirect.headers = {{"x-amz-bucket-region", "eu-west-1"}};
  EXPECT_EQ(verdictOf(redirect).next, Next::give_up);
  redirect = refusal(403, "AccessDenied");
  redirect.headers = {{"x-amz-bucket-region", "eu-west-1"}};
  EXPECT_EQ(verdictOf(redirect).next, Next::give_up);
  const Verdict named =
      verdictOf(refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"));
  EXPECT_EQ(named.next, Next::other_region);
  EXPECT_EQ(named.region, "eu-north-1");
  EXPECT_EQ(verdictOf(refusal(400, "AuthorizationHeaderMalformed")).next, Next::give_up);
  EXPECT_EQ(verdictOf(refusal(301, "PermanentRedirect")).next, Next::give_up);
}

TEST(Verdict, TakesNothingForARegionThatCannotBeOne) {
  for (const char* text : {"evil.example.com/", "EU-WEST-1", "eu west", "a@b", "eu-west-1\r\nX: y",
                           "0123456789012345678901234567890123456789012345678901234567890123"}) {
    net::Response redirect = refusal(301);
    redirect.headers = {{"x-amz-bucket-region", text}};
    EXPECT_EQ(verdictOf(redirect).next, Next::give_up) << text;
    EXPECT_EQ(verdictOf(redirect).region, "") << text;
    const std::string named = strCat({"<Region>", text, "</Region>"});
    EXPECT_EQ(verdictOf(refusal(400, "AuthorizationHeaderMalformed", named)).next, Next::give_up) << text;
  }
}

TEST(Verdict, OfAnErrorThatCameTooLateForTheStatus) {
  EXPECT_EQ(verdictOf(refusal(200, "InternalError")).next, Next::later);
  EXPECT_EQ(verdictOf(refusal(200, "SomethingNew")).next, Next::later);
  EXPECT_EQ(verdictOf(refusal(200, "AccessDenied")).next, Next::give_up);
  EXPECT_EQ(verdictOf(refusal(404, "NoSuchUpload")).code, "NoSuchUpload");
}

TEST(ContentRange, IsTakenOnlyWhole) {
  const auto range = parseContentRange("bytes 2-6/10").value();
  EXPECT_EQ(range.first, 2u);
  EXPECT_EQ(range.last, 6u);
  EXPECT_EQ(range.size, 10u);
  EXPECT_EQ(parseContentRange("bytes 0-0/*")->size, std::nullopt);
  for (const char* text : {"", "bytes", "bytes 2-6", "bytes 6-2/10", "bytes 2-10/10", "bytes */10",
                           "bytes 2-6/10x", "bits 2-6/10", "bytes -2-6/10", "bytes 2-/10"})
    EXPECT_FALSE(parseContentRange(text)) << text;
}

TEST(Etags, AreBareWithoutWhatServersAddToThem) {
  EXPECT_EQ(bareEtag("\"x\""), "x");
  EXPECT_EQ(bareEtag("W/\"x\""), "x");
  EXPECT_EQ(bareEtag("x"), "x");
  EXPECT_EQ(bareEtag("\""), "\"");
}

TEST(Verdict, TellsWhichConditionFailed) {
  for (const auto& response : {refusal(412), refusal(412, "PreconditionFailed")}) {
    const Verdict put = verdictOf(response, true);
    EXPECT_EQ(put.next, Next::give_up);
    EXPECT_EQ(put.error.code, ErrorCode::already_exists);
    EXPECT_EQ(put.error.message, "cannot put s3://b/k: it is there already");
    const Verdict get = verdictOf(response, false);
    EXPECT_EQ(get.next, Next::give_up);
    EXPECT_EQ(get.error.code, ErrorCode::failed_precondition);
  }
}

TEST(Verdict, SaysWhatToDoAndNotTooMuch) {
  EXPECT_EQ(
      verdictOf(refusal(403, "SignatureDoesNotMatch")).error.message,
      "cannot put s3://b/k: http://server says SignatureDoesNotMatch, Because (the secret key is probably "
      "wrong)");
  net::Response html;
  html.status = 502;
  html.body = "<html><body>Bad gateway</body></html>";
  EXPECT_EQ(verdictOf(html).error.message, "cannot put s3://b/k: http://server says HTTP status 502");
  html.body = "<Error><Code>X</Code><Message>" + std::string(100'000, 'a') + "</Message></Error>";
  EXPECT_LT(verdictOf(html).error.message.size(), 400u);
}

TEST(Headers, AreFoundInAnyCase) {
  net::Response response;
  response.headers = {{"ETag", "\"x\""}, {"etag", "other"}};
  EXPECT_EQ(headerOf(response, "etag"), "\"x\"");
  EXPECT_EQ(headerOf(response, "eta"), "");
}

}  // namespace
}  // namespace buoy::objstore::s3
