#include "objstore/s3/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "aws/sigv4.h"
#include "base/strings.h"
#include "base/synchronized.h"
#include "net/url.h"
#include "objstore/sha256.h"
#include "os/system_clock.h"

namespace buoy::objstore::s3 {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

const aws::Credentials kKeys{"AKIDone", "secret-one", "token-one", std::nullopt};

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

net::Response refusal(int status, const std::string& code, const std::string& more = {}) {
  net::Response response;
  response.status = status;
  response.content_type = "application/xml";
  response.body = strCat(
      {"<?xml version=\"1.0\"?><Error><Code>", code, "</Code><Message>Because.</Message>", more, "</Error>"});
  return response;
}

net::Response success(std::string body = {}, std::string etag = "\"e1\"") {
  net::Response response;
  response.body = std::move(body);
  response.headers = {{"ETag", std::move(etag)}};
  return response;
}

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

// An S3 server on a port of its own that answers as told, in order; the last answer again and again.
class Server {
 public:
  using Answer = std::function<net::Response(const net::Request&)>;
  explicit Server(std::vector<Answer> answers) : answers_(std::move(answers)) {
    server_ = net::makeServer({}, [this](net::Request request, std::shared_ptr<net::Responder> responder) {
      const std::size_t index = requests_.withLock([&](auto& all) {
        all.push_back(request);
        return all.size() - 1;
      });
      responder->send(answers_[std::min(index, answers_.size() - 1)](request));
    });
    port_ = server_->listenTcp("127.0.0.1", 0, std::nullopt).value();
  }
  explicit Server(Answer answer) : Server(std::vector<Answer>{std::move(answer)}) {}

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<net::Request> requests() {
    return requests_.withLock([](auto& all) { return all; });
  }
  net::Request request(std::size_t index) { return requests().at(index); }

 private:
  const std::vector<Answer> answers_;
  Synchronized<std::vector<net::Request>> requests_;
  std::uint16_t port_ = 0;
  std::unique_ptr<net::Server> server_;  // last: it stops before what its handler uses goes
};

Server::Answer always(const net::Response& response) {
  return [response](const net::Request&) { return response; };
}

ClientOptions optionsFor(const std::string& url) {
  ClientOptions options;
  options.settings.region = "us-east-1";
  options.settings.s3_endpoint = url;
  options.credentials = aws::staticCredentials(kKeys);
  // For what must come to an end here.
  options.patience = minutes{5};
  options.first_patience = minutes{5};
  return options;
}

std::shared_ptr<Client> clientOf(const Server& server) {
  return Client::create(optionsFor(server.url())).value();
}

const Location kAt{"buck", "dir/a b+c%ü"};

TEST(Client, SignsWhatItSends) {
  Server server(always(success()));
  const auto client = clientOf(server);
  EXPECT_EQ(client->put(kAt, {{"hello"}}, {.if_none_match = true, .content_type = "text/plain"}, {}).value(),
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
  Server server(always([] {
    net::Response response = refusal(500, "InternalError");
    response.status = 200;
    return response;
  }()));
  const auto client = clientOf(server);
  EXPECT_EQ(client->completeUpload(kAt, "u", {{1, 1, "e", ""}}, {}, {}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(client->copy(kAt, {"buck", "to"}, {}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(client->list("buck", {}, {}).error().code, ErrorCode::unavailable);
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
