#include <sys/stat.h>

#include <atomic>
#include <thread>
#include <vector>

#include "net/http.h"
#include "net/test_support.h"

namespace buoy::net {
namespace {

class Tls : public testing::Test {
 protected:
  Tls() : directory_(os::TempDir::create("buoy-net").value()) {}

  TlsFiles files(const std::string& name) const {
    return {directory_.path() + "/" + name + ".crt", directory_.path() + "/" + name + ".key"};
  }
  std::string makeCertificate(const std::string& name, const std::vector<std::string>& hosts) {
    auto fingerprint = makeSelfSignedCertificate(files(name), hosts, 30);
    EXPECT_TRUE(fingerprint) << fingerprint.error().message;
    return fingerprint.value();
  }
  // A server that echoes, on a free port with the certificate `name`.
  void serve(const std::string& name, Handler handler = echo) {
    server_ = makeServer({}, std::move(handler));
    auto port = server_->listenTcp("127.0.0.1", 0, files(name));
    ASSERT_TRUE(port) << port.error().message;
    port_ = *port;
  }
  Endpoint endpoint(const std::string& host = "127.0.0.1") const {
    return {Endpoint::Kind::tls, "", host, port_};
  }
  Result<Response> request(const ClientOptions& options, const std::string& host = "127.0.0.1") const {
    return makeClient(endpoint(host), options)->send(makeRequest("POST", "/p", "body"), kLongEnough);
  }

  os::TempDir directory_;
  std::unique_ptr<Server> server_;
  std::uint16_t port_ = 0;
};

TEST_F(Tls, CertificateFilesAreAsPromised) {
  const std::string fingerprint = makeCertificate("a", {"127.0.0.1", "localhost"});
  EXPECT_EQ(fingerprint.size(), 7u + 64u);
  EXPECT_TRUE(fingerprint.starts_with("sha256:"));
  EXPECT_EQ(certificateFingerprint(files("a").certificate).value(), fingerprint);
  struct stat status = {};
  ASSERT_EQ(::stat(files("a").key.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  EXPECT_NE(makeCertificate("b", {"127.0.0.1"}), fingerprint);
  EXPECT_FALSE(certificateFingerprint(files("a").key));
  EXPECT_FALSE(makeSelfSignedCertificate(files("c"), {}, 30));
  EXPECT_FALSE(makeSelfSignedCertificate(files("c"), {"h"}, 0));
}

TEST_F(Tls, TrustsTheGivenAuthorityForTheRightName) {
  makeCertificate("a", {"127.0.0.1", "localhost"});
  serve("a");
  ClientOptions options;
  options.ca_file = files("a").certificate;
  for (const char* host : {"127.0.0.1", "localhost"}) {
    const auto response = request(options, host);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->body, "POST /p body");
  }
}

TEST_F(Tls, RefusesAnotherNameAndAnotherAuthority) {
  makeCertificate("named", {"elsewhere.example"});
  makeCertificate("other", {"127.0.0.1"});
  serve("named");
  ClientOptions options;
  options.ca_file = files("named").certificate;
  const auto wrong_name = request(options);
  ASSERT_FALSE(wrong_name);
  EXPECT_EQ(wrong_name.error().code, ErrorCode::unauthenticated) << wrong_name.error().message;
  EXPECT_FALSE(wrong_name.error().retryable);
  options.ca_file = files("other").certificate;
  const auto wrong_authority = request(options);
  ASSERT_FALSE(wrong_authority);
  EXPECT_EQ(wrong_authority.error().code, ErrorCode::unauthenticated) << wrong_authority.error().message;
  const auto system_trust = request({});
  ASSERT_FALSE(system_trust);
}

TEST_F(Tls, PinnedFingerprintStandsForTheChain) {
  const std::string fingerprint = makeCertificate("a", {"elsewhere.example"});
  const std::string other = makeCertificate("b", {"elsewhere.example"});
  serve("a");
  ClientOptions options;
  options.pinned_fingerprint = fingerprint;
  const auto right = request(options);
  ASSERT_TRUE(right) << right.error().message;
  options.pinned_fingerprint = other;
  const auto wrong = request(options);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::unauthenticated);
  options.pinned_fingerprint = "sha256:1234";
  EXPECT_EQ(request(options).error().code, ErrorCode::invalid_argument);
}

TEST_F(Tls, NothingIsSentToAServerThatIsNotTrusted) {
  makeCertificate("a", {"127.0.0.1"});
  std::atomic<int> requests = 0;
  serve("a", [&](Request, std::shared_ptr<Responder> responder) {
    ++requests;
    responder->send({});
  });
  ClientOptions options;
  options.pinned_fingerprint = "sha256:" + std::string(64, '0');
  options.bearer_token = "secret";
  EXPECT_FALSE(request(options));
  server_.reset();
  EXPECT_EQ(requests, 0);
}

TEST_F(Tls, BigBodiesKeptConnectionsAndThreads) {
  const std::string fingerprint = makeCertificate("a", {"127.0.0.1"});
  serve("a", [](Request got, std::shared_ptr<Responder> responder) {
    responder->send(textResponse(std::move(got.body)));
  });
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      ClientOptions options;
      options.pinned_fingerprint = fingerprint;
      auto client = makeClient(endpoint(), options);
      for (int i = 0; i < 20; ++i) {
        const std::string body(static_cast<std::size_t>(i == 7 ? 3'000'000 : i * 1000),
                               static_cast<char>('a' + t));
        const auto response = client->send(makeRequest("PUT", "/", body), kLongEnough);
        EXPECT_TRUE(response) << response.error().message;
        if (response && response->body == body) ++answered;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 80);
}

TEST_F(Tls, StreamsAndNoticesWhenTheClientLeaves) {
  const std::string fingerprint = makeCertificate("a", {"127.0.0.1"});
  Signal closed;
  serve("a", [&](Request, std::shared_ptr<Responder> responder) {
    responder->onClosed([&closed, responder] { closed.raise(); });
    responder->begin(200, "text/plain");
    responder->write("x");
  });
  ClientOptions options;
  options.pinned_fingerprint = fingerprint;
  auto client = makeClient(endpoint(), options);
  const auto response =
      client->stream(makeRequest("GET", "/"), kLongEnough, [](std::string_view) { return false; });
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_TRUE(closed.wait());
}

TEST_F(Tls, PlainRequestToATlsPortAndTheReverseAreClearErrors) {
  makeCertificate("a", {"127.0.0.1"});
  serve("a");
  auto plain = makeClient({Endpoint::Kind::tcp, "", "127.0.0.1", port_}, {});
  EXPECT_FALSE(plain->send(makeRequest("GET", "/"), kLongEnough));
  auto tcp = makeServer({}, echo);
  const auto port = tcp->listenTcp("127.0.0.1", 0, std::nullopt);
  ASSERT_TRUE(port);
  ClientOptions options;
  options.ca_file = files("a").certificate;
  auto client = makeClient({Endpoint::Kind::tls, "", "127.0.0.1", *port}, options);
  const auto response = client->send(makeRequest("GET", "/"), kLongEnough);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable) << response.error().message;
}

TEST_F(Tls, ListenRefusesBadFiles) {
  makeCertificate("a", {"127.0.0.1"});
  makeCertificate("b", {"127.0.0.1"});
  auto server = makeServer({}, echo);
  EXPECT_FALSE(server->listenTcp("127.0.0.1", 0, TlsFiles{files("none").certificate, files("a").key}));
  EXPECT_FALSE(server->listenTcp("127.0.0.1", 0, TlsFiles{files("a").certificate, files("none").key}));
  EXPECT_FALSE(server->listenTcp("127.0.0.1", 0, TlsFiles{files("a").certificate, files("b").key}));
}

}  // namespace
}  // namespace buoy::net
