#include "objstore/s3/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "aws/sigv4.h"
#include "base/strings.h"
#include "net/url.h"
#include "objstore/s3/multipart_result.h"
#include "objstore/s3/test_server.h"
#include "objstore/sha256.h"
#include "os/system_clock.h"

namespace buoy::objstore::s3 {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using Server = TestServer;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Keys that are replaced by the next ones when they are refused.
class Renewed final : public aws::CredentialsProvider {
 public:
  Result<aws::Credentials> get() override {
    return rejected_ == 0 ? kKeys : aws::Credentials{"AKIDtwo", "secret-two", "", std::nullopt};
  }
  void reject(const aws::Credentials& used) override {
    EXPECT_EQ(used, kKeys);
    ++rejected_;
  }
  int rejected() const { return rejected_; }

 private:
  std::atomic<int> rejected_ = 0;
};

// "20261121T050340Z"
std::optional<Time> amzDate(std::string_view text) {
  if (text.size() != 16) return std::nullopt;
  const auto time = parseTime(strCat({text.substr(0, 4), "-", text.substr(4, 2), "-", text.substr(6, 5), ":",
                                      text.substr(11, 2), ":", text.substr(13)}));
  return time ? std::optional(*time) : std::nullopt;
}

// What the Authorization of this request would be, signed with these keys for this region.
std::string authorization(const net::Request& request, const aws::Credentials& keys,
                          const std::string& region) {
  aws::SignableRequest signable{request.method, request.path, request.query, {}, ""};
  const std::string_view given = request.header("Authorization");
  const auto from = given.find("SignedHeaders=") + 14;
  for (const std::string_view name : split(given.substr(from, given.find(',', from) - from), ';')) {
    if (name == "x-amz-date" || name == "x-amz-content-sha256" || name == "x-amz-security-token") continue;
    signable.headers.emplace_back(name, request.header(name));
  }
  signable.payload_sha256 = request.header("x-amz-content-sha256");
  aws::Signer signer(aws::s3Scope(region));
  const auto time = amzDate(request.header("x-amz-date"));
  if (!time) return "no x-amz-date";
  for (const auto& [name, value] : signer.sign(signable, keys, *time)) {
    if (name == "Authorization") return value;
  }
  return "";
}

const Location kAt{"buck", "dir/a b+c%ü"};

TEST(Client, SignsWhatItSends) {
  Server server(always(success()));
  const auto client = clientOf(server);
  EXPECT_EQ(
      client
          ->put(kAt, {{"hello"}}, {.if_none_match = true, .properties = {{"Content-Type", "text/plain"}}}, {})
          .value(),
      "\"e1\"");
  const net::Request asked = server.request(0);
  EXPECT_EQ(asked.method, "PUT");
  EXPECT_EQ(asked.target, "/buck/dir/a%20b%2Bc%25%C3%BC");
  EXPECT_EQ(asked.body, "hello");
  EXPECT_EQ(asked.header("If-None-Match"), "*");
  EXPECT_EQ(asked.header("Content-Type"), "text/plain");
  EXPECT_EQ(asked.header("x-amz-security-token"), "token-one");
  EXPECT_EQ(asked.header("x-amz-content-sha256"), sha256Hex("hello"));
  EXPECT_EQ(asked.header("x-amz-checksum-crc32c"), "") << "this server may not know it";
  EXPECT_EQ(asked.header("Authorization"), authorization(asked, kKeys, "us-east-1"));
}

TEST(Client, SendsChecksumsAndLeavesTheBodyUnsignedWhereThatIsSet) {
  Server server(always(success()));
  ClientOptions options = optionsFor(server.url());
  options.settings.checksums = aws::ChecksumCalculation::when_supported;
  options.settings.payload_signing = aws::PayloadSigning::never;
  const auto client = Client::create(std::move(options)).value();
  const Part part = client->putPart(kAt, "u&1", 7, {{"123"}, {"456789"}}, {}).value();
  EXPECT_EQ(part.number, 7);
  EXPECT_EQ(part.size, 9u);
  EXPECT_EQ(part.crc32c, "4waSgw==");
  const net::Request asked = server.request(0);
  EXPECT_EQ(asked.queryValue("uploadId"), "u&1");
  EXPECT_EQ(asked.header("x-amz-checksum-crc32c"), "4waSgw==");
  EXPECT_EQ(asked.header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
  EXPECT_EQ(asked.header("Authorization"), authorization(asked, kKeys, "us-east-1"));
}

TEST(Client, FollowsABucketToItsRegion) {
  net::Response moved = refusal(301, "PermanentRedirect", "<Endpoint>elsewhere</Endpoint>");
  moved.headers = {{"x-amz-bucket-region", "eu-west-1"}};
  net::Response bare;  // of a HEAD
  bare.status = 301;
  bare.headers = moved.headers;
  for (const net::Response& answer :
       {moved, bare, refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")}) {
    Server server({always(answer), always(success("content"))});
    const auto client = clientOf(server);
    EXPECT_EQ(client->read(kAt, 100, {}).value(), "content");
    EXPECT_EQ(client->read(kAt, 100, {}).value(), "content");
    ASSERT_EQ(server.requests().size(), 3u) << "the second time it is known";
    EXPECT_EQ(server.request(0).header("Authorization"),
              authorization(server.request(0), kKeys, "us-east-1"));
    for (const std::size_t i : {1u, 2u}) {
      EXPECT_EQ(server.request(i).header("Authorization"),
                authorization(server.request(i), kKeys, "eu-west-1"));
    }
    EXPECT_TRUE(client->read({"other", "k"}, 100, {}));
    EXPECT_TRUE(has(server.request(3).header("Authorization"), "/us-east-1/s3/"));
  }
}

TEST(Client, DoesNotFollowRedirectsForEver) {
  Server server(always(refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>")));
  const auto content = clientOf(server)->read(kAt, 100, {});
  EXPECT_EQ(content.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(server.requests().size(), 4u);
}

// As S3 does when the request's time is more than 15 minutes from its own.
net::Response judgeTime(const net::Request& request, const net::Response& wrong) {
  const auto time = amzDate(request.header("x-amz-date"));
  const os::SystemClock clock;
  return time && std::chrono::abs(*time - clock.now()) < minutes{15} ? success("content") : wrong;
}

TEST(Client, TakesTheServersTimeWhenItsOwnIsWrong) {
  net::Response bare;
  bare.status = 403;
  for (const net::Response& wrong : {refusal(403, "RequestTimeTooSkewed"), bare}) {
    Server server([&](const net::Request& request) { return judgeTime(request, wrong); });
    const FakeClock clock;
    ClientOptions options = optionsFor(server.url());
    options.clock = &clock;
    const auto client = Client::create(std::move(options)).value();
    EXPECT_EQ(client->read(kAt, 100, {}).value(), "content");
    EXPECT_EQ(server.requests().size(), 2u);
    EXPECT_EQ(client->read(kAt, 100, {}).value(), "content");
    EXPECT_EQ(server.requests().size(), 3u) << "it is corrected once";
  }
}

TEST(Client, ARefusalWithTheRightTimeIsOne) {
  net::Response bare;
  bare.status = 403;
  Server server(always(bare));
  EXPECT_EQ(clientOf(server)->head(kAt, {}).error().code, ErrorCode::permission_denied);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(Client, GetsNewCredentialsWhenItsOwnHaveExpired) {
  for (const int status : {400, 403}) {  // AWS and others
    Server server({always(refusal(status, "ExpiredToken")), always(success("content"))});
    ClientOptions options = optionsFor(server.url());
    const auto renewed = std::make_shared<Renewed>();
    options.credentials = renewed;
    EXPECT_EQ(Client::create(std::move(options)).value()->read(kAt, 100, {}).value(), "content");
    EXPECT_EQ(renewed->rejected(), 1);
    ASSERT_EQ(server.requests().size(), 2u);
    EXPECT_TRUE(has(server.request(1).header("Authorization"), "AKIDtwo/"));
    EXPECT_EQ(server.request(1).header("x-amz-security-token"), "");
  }
}

TEST(Client, SaysThatTheCredentialsHaveExpiredIfTheyAllHave) {
  Server server(always(refusal(400, "ExpiredToken")));
  const auto content = clientOf(server)->read(kAt, 100, {});
  EXPECT_EQ(content.error().code, ErrorCode::unauthenticated);
  EXPECT_TRUE(has(content.error().message, "get new credentials"));
  EXPECT_FALSE(has(content.error().message, "token-one"));
}

TEST(Client, TriesAgainWhatMayPass) {
  Server server({always(refusal(503, "SlowDown")), always(refusal(500, "InternalError")),
                 always(refusal(400, "RequestTimeout")), always(refusal(400, "BadDigest")),
                 always(success())});
  EXPECT_TRUE(clientOf(server)->put(kAt, {{"x"}}, {}, {}));
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 5u);
  for (const net::Request& request : requests) EXPECT_EQ(request.body, "x");
}

TEST(Client, GivesUpWhenItsPatienceIsOver) {
  Server server(always(refusal(503, "SlowDown")));
  ClientOptions options = optionsFor(server.url());
  options.patience = Duration{0};
  const auto written = Client::create(std::move(options)).value()->put(kAt, {{"x"}}, {}, {});
  EXPECT_EQ(written.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(written.error().retryable);
  EXPECT_EQ(written.error().message,
            "cannot put s3://buck/dir/a b+c%ü: " + server.url() + " says SlowDown, Because");
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(Client, GivesUpSoonerOnAServerThatNeverAnswered) {
  ClientOptions options = optionsFor("http://127.0.0.1:1");
  options.first_patience = Duration{0};  // its patience would be five minutes
  const auto content = Client::create(std::move(options)).value()->read(kAt, 100, {});
  EXPECT_EQ(content.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(has(content.error().message, "127.0.0.1:1")) << content.error().message;
}

TEST(Client, BytesThatAlwaysArriveWrongAreNotSentForEver) {
  Server server(always(refusal(400, "BadDigest")));
  EXPECT_EQ(clientOf(server)->put(kAt, {{"x"}}, {}, {}).error().code, ErrorCode::data_loss);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(Client, TellsWhichConditionWasNotMet) {
  Server server(always(refusal(412, "PreconditionFailed")));
  const auto client = clientOf(server);
  EXPECT_EQ(client->put(kAt, {{"x"}}, {.if_none_match = true}, {}).error().code, ErrorCode::already_exists);
  EXPECT_EQ(client->put(kAt, {{"x"}}, {.if_match = "\"old\""}, {}).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ(server.request(1).header("If-Match"), "\"old\"");
  const auto got = client->get(kAt, {.if_match = "\"old\""}, [](std::string_view) { return Status(); }, {});
  EXPECT_EQ(got.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(client->completeUpload(kAt, "u", {}, {.if_none_match = true}, {}).error().code,
            ErrorCode::already_exists);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(Client, RemovingWhatIsNotThereIsFineButNotFromNoBucket) {
  Server server({always(refusal(404, "NoSuchKey")), always(refusal(404, "NoSuchBucket"))});
  const auto client = clientOf(server);
  EXPECT_TRUE(client->remove(kAt, {}));
  EXPECT_EQ(client->remove(kAt, {}).error().code, ErrorCode::not_found);
}

TEST(Client, AnErrorThatComesWith200IsOne) {
  Server server(always(refusal(200, "InternalError")));
  ClientOptions options = optionsFor(server.url());
  options.patience = Duration{0};
  const auto client = Client::create(std::move(options)).value();
  EXPECT_EQ(client->completeUpload(kAt, "u", {{1, 1, "e", ""}}, {}, {}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(client->copy({kAt, ""}, {"buck", "to"}, {}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(client->list("buck", {}, {}).error().code, ErrorCode::unavailable);
}

TEST(Client, AnErrorThatComesWith200IsTriedAgainIfItMayPass) {
  Server server({always(refusal(200, "InternalError")), always(refusal(200, "SlowDown")), always(success()),
                 always(refusal(200, "AccessDenied"))});
  const auto client = clientOf(server);
  EXPECT_TRUE(client->completeUpload(kAt, "u", {{1, 1, "e", ""}}, {}, {}));
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(client->completeUpload(kAt, "u", {{1, 1, "e", ""}}, {}, {}).error().code,
            ErrorCode::permission_denied);
  EXPECT_EQ(server.requests().size(), 4u);
}

// MD5 of nothing and of "a"; what S3 makes of them.
const std::vector<Part> kTwoParts = {{1, 5, "\"d41d8cd98f00b204e9800998ecf8427e\"", "AAAAAA=="},
                                     {2, 2, "\"0cc175b9c0f1b6a831c399e269772661\"", "wdBDMA=="}};

net::Response lookedAt(std::uint64_t size, const std::string& etag, const std::string& crc = {}) {
  net::Response response = success(std::string(size, 'x'), etag);
  if (!crc.empty()) response.headers.emplace_back("x-amz-checksum-crc32c", crc);
  return response;
}

TEST(Client, AnUploadThatIsGoneWasCompletedIfItsObjectIsThere) {
  const std::string etag = "\"" + etagOfParts(kTwoParts) + "\"";
  Server server(
      {always(refusal(503, "SlowDown")), always(refusal(404, "NoSuchUpload")), always(lookedAt(7, etag))});
  EXPECT_TRUE(clientOf(server)->completeUpload(kAt, "u", kTwoParts, {}, {}));
  ASSERT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(server.request(2).method, "HEAD");
  EXPECT_EQ(server.request(2).path, "/buck/dir/a b+c%ü");
}

TEST(Client, AnUploadThatIsGoneIsNotTakenForAnotherObject) {
  for (const net::Response& there :
       {lookedAt(8, "\"" + etagOfParts(kTwoParts) + "\""),
        lookedAt(7, "\"0cc175b9c0f1b6a831c399e269772661-2\""), lookedAt(7, ""), refusal(404, "")}) {
    Server server({always(refusal(404, "NoSuchUpload")), always(there)});
    const Status completed = clientOf(server)->completeUpload(kAt, "u", kTwoParts, {}, {});
    EXPECT_EQ(completed.error().code, ErrorCode::not_found);
    EXPECT_TRUE(has(completed.error().message, "NoSuchUpload"));
  }
}

TEST(Client, CopiesOnlyTheObjectThatItMeans) {
  Server server({always(success("<CopyObjectResult><ETag>\"c\"</ETag></CopyObjectResult>")),
                 always(success("<CopyPartResult><ETag>\"d\"</ETag></CopyPartResult>")),
                 always(refusal(412, "PreconditionFailed"))});
  const auto client = clientOf(server);
  const Location to{"buck", "to"};
  EXPECT_TRUE(client->copy({kAt, "\"e1\""}, to, {}));
  EXPECT_EQ(client->copyPart({kAt, "\"e1\""}, 5, 10, to, "u", 2, {})->etag, "\"d\"");
  for (const std::size_t i : {0u, 1u}) {
    EXPECT_EQ(server.request(i).header("x-amz-copy-source"), "/buck/dir/a%20b%2Bc%25%C3%BC");
    EXPECT_EQ(server.request(i).header("x-amz-copy-source-if-match"), "\"e1\"");
  }
  EXPECT_EQ(server.request(1).header("x-amz-copy-source-range"), "bytes=5-14");
  EXPECT_EQ(client->copy({kAt, "\"e1\""}, to, {}).error().code, ErrorCode::failed_precondition);
  EXPECT_FALSE(client->copy({kAt, ""}, to, {}));
  EXPECT_EQ(server.request(3).header("x-amz-copy-source-if-match"), "");
}

TEST(Client, AnObjectThatIsTooLargeIsNotRead) {
  Server server(always(success("content")));
  EXPECT_EQ(clientOf(server)->read(kAt, 6, {}).error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(clientOf(server)->read(kAt, 7, {}).value(), "content");
}

TEST(Client, RefusesToTakeTheWholeForARange) {
  Server server(always(success("content")));
  std::string got;
  const auto object = clientOf(server)->get(kAt, {.offset = 2, .size = 3},
                                            [&](std::string_view piece) {
                                              got += piece;
                                              return Status();
                                            },
                                            {});
  EXPECT_EQ(object.error().code, ErrorCode::internal);
  EXPECT_TRUE(has(object.error().message, "does not send ranges"));
  EXPECT_EQ(got, "") << "nobody takes wrong bytes for right ones";
  EXPECT_EQ(server.request(0).header("Range"), "bytes=2-4");
  EXPECT_EQ(server.requests().size(), 4u) << "it may be the answer to another request";
}

net::Response partial(std::string body, const std::string& range, const std::string& etag = "\"e1\"") {
  net::Response response = success(std::move(body), etag);
  response.status = 206;
  if (!range.empty()) response.headers.emplace_back("Content-Range", range);
  return response;
}

TEST(Client, TakesOnlyTheRangeAndTheObjectThatItAskedFor) {
  for (const net::Response& wrong :
       {partial("cont", "bytes 0-3/7"), partial("tent", "bytes 3-6/7"), partial("nten", "bytes 2-5/7"),
        partial("nte", ""), partial("nte", "bytes 2-4/3"), partial("nte", "bytes 2-4/7", "\"e2\"")}) {
    Server server({always(wrong), always(partial("nte", "bytes 2-4/7", "e1"))});
    std::string got;
    const auto take = [&](std::string_view piece) {
      got += piece;
      return Status();
    };
    const auto object = clientOf(server)->get(kAt, {.offset = 2, .size = 3, .if_match = "\"e1\""}, take, {});
    ASSERT_TRUE(object) << object.error().message;
    EXPECT_EQ(got, "nte");
    EXPECT_EQ(object->size, 7u);
    EXPECT_EQ(server.requests().size(), 2u);
  }
}

TEST(Client, GivesUpOnAServerThatAlwaysSendsAnotherObject) {
  Server server(always(partial("nte", "bytes 2-4/7", "\"e2\"")));
  const auto object = clientOf(server)->get(kAt, {.offset = 2, .size = 3, .if_match = "\"e1\""},
                                            [](std::string_view) { return Status(); }, {});
  EXPECT_EQ(object.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST(Client, ARemovalOfManyFailsForItsOwnReason) {
  const auto left = [](const std::string& inside) {
    return success("<DeleteResult>" + inside + "</DeleteResult>");
  };
  const std::string busy = "<Error><Key>a</Key><Code>SlowDown</Code></Error>";
  const std::string locked = "<Error><Key>b</Key><Code>AccessDenied</Code><Message>No</Message></Error>";
  Server server({always(left(busy)), always(left("")), always(left(busy + locked)),
                 always(left("<Error><Key>c</Key><Code>Odd</Code></Error>"))});
  const auto client = clientOf(server);
  EXPECT_TRUE(client->removeMany("buck", {"a"}, {})) << "the server was busy for a while";
  EXPECT_EQ(server.requests().size(), 2u);
  const Status denied = client->removeMany("buck", {"a", "b"}, {});
  EXPECT_EQ(denied.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(denied.error().message, "cannot remove 2 of 2 objects from s3://buck: b: AccessDenied, No");
  EXPECT_EQ(client->removeMany("buck", {"c"}, {}).error().code, ErrorCode::internal);
}

TEST(Client, AnAnswerThatComesTwiceIsNotTakenForTheNext) {
  const auto named = [](std::string body, const std::string& id) {
    net::Response response = success(std::move(body));
    response.headers.emplace_back("x-amz-request-id", id);
    return response;
  };
  for (const bool whole : {true, false}) {
    Server server({always(named("one", "1")), always(named("one", "1")), always(named("two", "2"))});
    const auto client = clientOf(server);
    EXPECT_EQ(client->read(kAt, 100, {}).value(), "one");
    if (whole) {
      EXPECT_EQ(client->read(kAt, 100, {}).value(), "two");
    } else {
      EXPECT_TRUE(client->put(kAt, {{"x"}}, {}, {}));
    }
    EXPECT_EQ(server.requests().size(), 3u);
  }
}

TEST(Client, KnowsHowFarTheServersClockIsAhead) {
  FakeClock clock{os::SystemClock().now() - hours{2}};
  Server server(always(success("content")));  // which tells the time
  ClientOptions options = optionsFor(server.url());
  options.clock = &clock;
  const auto client = Client::create(std::move(options)).value();
  EXPECT_EQ(client->clockAhead(), Duration{0});
  EXPECT_EQ(client->read(kAt, 100, {}).value(), "content");
  EXPECT_LT(std::chrono::abs(client->clockAhead() - hours{2}), minutes{5});
}

TEST(Client, AMessageThatNamesAnErrorIsNone) {
  net::Response response = refusal(404, "NoSuchKey");
  response.body = "<Error><Code>NoSuchKey</Code><Message>not NoSuchBucket</Message></Error>";
  Server server(always(response));
  EXPECT_TRUE(clientOf(server)->remove(kAt, {}));
}

TEST(Client, StopsWaitingForAnAnswerWhenToldTo) {
  std::stop_source stop;
  Synchronized<std::vector<std::shared_ptr<net::Responder>>> held;
  const auto server = net::makeServer({}, [&](net::Request, std::shared_ptr<net::Responder> responder) {
    held.withLock([&](auto& all) { all.push_back(std::move(responder)); });
    stop.request_stop();
  });
  const auto port = server->listenTcp("127.0.0.1", 0, std::nullopt).value();
  const auto client = Client::create(optionsFor("http://127.0.0.1:" + std::to_string(port))).value();
  EXPECT_EQ(client->read(kAt, 100, {stop.get_token(), {}}).error().code, ErrorCode::cancelled);
  EXPECT_EQ(client->put(kAt, {{"x"}}, {}, {stop.get_token(), {}}).error().code, ErrorCode::cancelled)
      << "before it begins, too";
  EXPECT_EQ(held.withLock([](auto& all) { return all.size(); }), 1u);
}

TEST(Client, StopsWaitingForABetterTimeWhenToldTo) {
  std::stop_source stop;
  std::atomic<int> asked = 0;
  Server server([&](const net::Request&) {
    if (++asked == 6) stop.request_stop();
    return refusal(503, "SlowDown");
  });
  EXPECT_EQ(clientOf(server)->read(kAt, 100, {stop.get_token(), {}}).error().code, ErrorCode::cancelled);
}

TEST(Client, TellsOfTheBytesThatItMoves) {
  Server server(always(success(std::string(1000, 'x'))));
  std::uint64_t moved = 0;
  EXPECT_TRUE(clientOf(server)->read(kAt, 1000, {{}, [&](std::uint64_t bytes) { moved += bytes; }}));
  EXPECT_GE(moved, 1000u);
}

TEST(Client, PresignsUrlsThatAnybodyMayUse) {
  Server server(always(success("content")));
  const auto client = clientOf(server);
  const std::string url = client->presign("GET", kAt, hours{1}).value();
  ASSERT_TRUE(url.starts_with(server.url() + "/buck/dir/a%20b%2Bc%25%C3%BC?")) << url;
  const auto target = net::parseTarget(url.substr(server.url().size()));
  ASSERT_TRUE(target);
  std::map<std::string, std::string> query(target->query.begin(), target->query.end());
  EXPECT_EQ(query["X-Amz-Expires"], "3600");
  EXPECT_EQ(query["X-Amz-SignedHeaders"], "host");
  EXPECT_EQ(query["X-Amz-Security-Token"], "token-one");
  EXPECT_TRUE(has(query["X-Amz-Credential"], "/us-east-1/s3/aws4_request"));
  EXPECT_EQ(query["X-Amz-Signature"].size(), 64u);
  EXPECT_FALSE(has(url, "secret-one"));
  EXPECT_TRUE(server.requests().empty());
}

TEST(Client, SendsTheCustomersKeyOverTlsOnly) {
  ClientOptions options = optionsFor("http://127.0.0.1:1");
  options.encryption.customer_key = std::string(32, 'k');
  const auto client = Client::create(std::move(options));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace buoy::objstore::s3
