#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "net/http.h"
#include "net/test_support.h"

namespace buoy::net {
namespace {

using std::chrono::milliseconds;

ServerOptions quick(int idle_ms) {
  ServerOptions options;
  options.idle_timeout = milliseconds{idle_ms};
  return options;
}

TEST(Server, AnswersAndKeepsTheConnection) {
  TestServer server(echo);
  auto client = server.client();
  for (int i = 0; i < 3; ++i) {
    const auto response = client->send(makeRequest("POST", "/a%20b?x=1", "body"), kLongEnough);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->content_type, "text/plain");
    EXPECT_EQ(response->body, "POST /a b body");
  }
}

TEST(Server, TellsTheHandlerWhatCame) {
  Handoff<Request> seen;
  TestServer server([&](Request request, std::shared_ptr<Responder> responder) {
    seen.put(std::move(request));
    responder->send({});
  });
  Request request = makeRequest("PUT", "/x?b=2&a=1", "data");
  request.headers = {{"X-Thing", "value"}};
  ClientOptions options;
  options.bearer_token = "secret";
  ASSERT_TRUE(makeClient(server.endpoint(), options)->send(request, kLongEnough));
  const Request got = seen.take();
  EXPECT_EQ(got.method, "PUT");
  EXPECT_EQ(got.target, "/x?b=2&a=1");
  EXPECT_EQ(got.queryValue("a"), "1");
  EXPECT_EQ(got.header("x-thing"), "value");
  EXPECT_EQ(got.header("authorization"), "Bearer secret");
  EXPECT_EQ(got.body, "data");
  EXPECT_TRUE(got.over_unix_socket);
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  // The first is answered by another thread, late; the others at once.
  Handoff<std::shared_ptr<Responder>> first;
  TestServer server([&](Request request, std::shared_ptr<Responder> responder) {
    if (request.path == "/1") return first.put(std::move(responder));
    responder->send(textResponse(request.path));
  });
  RawClient raw(server.path());
  ASSERT_TRUE(
      raw.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\nConnection: close\r\n\r\n"));
  first.take()->send(textResponse("/1"));
  const std::string all = raw.readAll();
  EXPECT_EQ(countOf(all, "HTTP/1.1 200 OK\r\n"), 3u) << all;
  EXPECT_LT(all.find("\r\n\r\n/1"), all.find("\r\n\r\n/2"));
  EXPECT_LT(all.find("\r\n\r\n/2"), all.find("\r\n\r\n/3"));
}

TEST(Server, ManyPipelinedRequestsWithoutReadingAreHeldBackAndThenAnswered) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->send(textResponse(std::string(20000, 'x')));
  });
  RawClient raw(server.path());
  constexpr int kCount = 500;
  std::thread sender([&] {
    std::string text;
    for (int i = 0; i < kCount; ++i) text += "GET / HTTP/1.1\r\n\r\n";
    text += "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    EXPECT_TRUE(raw.send(text));
  });
  sender.join();
  EXPECT_EQ(countOf(raw.readAll(), "HTTP/1.1 200 OK\r\n"), kCount + 1u);
}

TEST(Server, HeadHasNoBodyAndHttp10Closes) {
  TestServer server(echo);
  RawClient head(server.path());
  ASSERT_TRUE(head.send("HEAD /h HTTP/1.1\r\nConnection: close\r\n\r\n"));
  const std::string answer = head.readAll();
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  EXPECT_NE(answer.find("Content-Length: 8\r\n"), std::string::npos) << answer;
  RawClient old(server.path());
  ASSERT_TRUE(old.send("GET /o HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(old.readAll().ends_with("GET /o "));
  RawClient kept(server.path());
  ASSERT_TRUE(kept.send("GET /k HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  ASSERT_TRUE(kept.readUntil("GET /k "));
  EXPECT_NE(kept.received().find("Connection: keep-alive\r\n"), std::string::npos);
}

TEST(Server, SaysWhyItRefusesAndCloses) {
  ServerOptions options;
  options.max_header = 4096;
  options.max_body = 1000;
  TestServer server(echo, options);
  const std::pair<std::string, const char*> cases[] = {
      {"nonsense\r\n\r\n", " 400 "},
      {"GET /%zz HTTP/1.1\r\n\r\n", " 400 "},
      {"GET / HTTP/1.1\r\nX: " + std::string(5000, 'x') + "\r\n\r\n", " 431 "},
      {"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'), " 413 "},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", " 501 "},
  };
  for (const auto& [text, status] : cases) {
    RawClient raw(server.path());
    ASSERT_TRUE(raw.send(text));
    ASSERT_TRUE(raw.readUntil("}}")) << text;
    EXPECT_NE(raw.received().find(status), std::string::npos) << raw.received();
    EXPECT_NE(raw.received().find("Connection: close\r\n"), std::string::npos);
    raw.readAll();
    EXPECT_TRUE(raw.sawEnd());
  }
}

TEST(Server, RefusalReachesAClientThatIsStillSending) {
  ServerOptions options;
  options.max_body = 1000;
  TestServer server(echo, options);
  auto client = server.client();
  const auto response = client->send(makeRequest("POST", "/", std::string(8u << 20, 'x')), kLongEnough);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 413);
  const auto next = client->send(makeRequest("POST", "/", "small"), kLongEnough);
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_EQ(next->status, 200);
}

TEST(Server, AdmissionIsAskedBeforeTheBody) {
  ServerOptions options;
  options.admit = [](const Request& request) -> std::optional<Response> {
    EXPECT_TRUE(request.over_unix_socket);
    if (request.header("authorization") == "Bearer right") return std::nullopt;
    return textResponse("who are you?", 401);
  };
  TestServer server(echo, options);
  RawClient raw(server.path());
  ASSERT_TRUE(raw.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 50000000\r\n\r\n"));
  ASSERT_TRUE(raw.readUntil("who are you?"));
  EXPECT_NE(raw.received().find(" 401 "), std::string::npos);
  EXPECT_EQ(raw.received().find("100 Continue"), std::string::npos);
  raw.readAll();
  EXPECT_TRUE(raw.sawEnd());
  // Without a body the connection stays, and the next request is asked about again.
  RawClient kept(server.path());
  ASSERT_TRUE(
      kept.send("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nAuthorization: Bearer right\r\n\r\n"
                "GET /c HTTP/1.1\r\nConnection: close\r\n\r\n"));
  const std::string all = kept.readAll();
  EXPECT_EQ(countOf(all, " 401 "), 2u) << all;
  EXPECT_NE(all.find("GET /b "), std::string::npos) << all;
  ClientOptions with_token;
  with_token.bearer_token = "right";
  auto client = makeClient(server.endpoint(), with_token);
  EXPECT_EQ(client->send(makeRequest("PUT", "/", std::string(100000, 'x')), kLongEnough)->status, 200);
}

TEST(Server, AsksForTheBodyOfAnExpectantClient) {
  TestServer server(echo);
  RawClient raw(server.path());
  ASSERT_TRUE(
      raw.send("POST /e HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"));
  ASSERT_TRUE(raw.readUntil("HTTP/1.1 100 Continue\r\n\r\n"));
  ASSERT_TRUE(raw.send("body"));
  EXPECT_TRUE(raw.readAll().ends_with("POST /e body"));
  EXPECT_EQ(countOf(raw.received(), "100 Continue"), 1u);
}

TEST(Server, CarriesBigBodies) {
  TestServer server([](Request request, std::shared_ptr<Responder> responder) {
    responder->send(textResponse(std::move(request.body)));
  });
  std::string big(20u << 20, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
  auto client = server.client();
  for (int i = 0; i < 2; ++i) {
    const auto response = client->send(makeRequest("PUT", "/", big), kLongEnough);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_TRUE(response->body == big);
  }
}

TEST(Server, CutsOffAHeaderThatDoesNotComeToAnEnd) {
  TestServer server(echo, quick(100));
  RawClient raw(server.path());
  ASSERT_TRUE(raw.send("GET / HTTP/1.1\r\n"));
  // A byte now and then, each at most a moment after the last, must not keep it open.
  const auto give_up = std::chrono::steady_clock::now() + kLongEnough;
  pollfd waiting = {raw.fd(), POLLIN, 0};
  while (::poll(&waiting, 1, 10) == 0 && std::chrono::steady_clock::now() < give_up) {
    if (!raw.send("X")) break;
  }
  EXPECT_NE(raw.readAll().find(" 408 "), std::string::npos) << raw.received();
  EXPECT_TRUE(raw.sawEnd());
}

TEST(Server, ClosesWhatIsIdleButNotWhatWaitsForItsAnswer) {
  Handoff<std::shared_ptr<Responder>> waiting;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) { waiting.put(std::move(responder)); },
                    quick(20));
  RawClient busy(server.path());
  ASSERT_TRUE(busy.send("GET / HTTP/1.1\r\n\r\n"));
  auto responder = waiting.take();
  for (int i = 0; i < 3; ++i) {
    RawClient idle(server.path());
    EXPECT_EQ(idle.readAll(), "");  // as long as this takes, the other one waits too
    EXPECT_TRUE(idle.sawEnd());
  }
  responder->send(textResponse("late"));
  EXPECT_TRUE(busy.readUntil("late"));
}

TEST(Server, TurnsAwayTooManyConnections) {
  ServerOptions options;
  options.max_connections = 2;
  TestServer server(echo, options);
  auto one = server.client();
  auto two = server.client();
  ASSERT_TRUE(one->send(makeRequest("GET", "/"), kLongEnough));
  ASSERT_TRUE(two->send(makeRequest("GET", "/"), kLongEnough));
  RawClient three(server.path());
  EXPECT_NE(three.readAll().find(" 503 "), std::string::npos);
  one.reset();
  // The server notices the free place soon.
  const auto give_up = std::chrono::steady_clock::now() + kLongEnough;
  for (bool served = false; !served;) {
    const auto response = server.client()->send(makeRequest("GET", "/"), kLongEnough);
    served = response && response->status == 200;
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  }
}

TEST(Server, AnswersForAHandlerThatDoesNot) {
  TestServer server([](Request request, std::shared_ptr<Responder>) {
    if (request.path == "/throw") throw std::runtime_error("broken");
  });
  auto client = server.client();
  EXPECT_EQ(client->send(makeRequest("GET", "/drop"), kLongEnough)->status, 500);
  EXPECT_EQ(client->send(makeRequest("GET", "/throw"), kLongEnough)->status, 500);
}

TEST(Server, HeaderValuesCannotSplitAnAnswer) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    Response response = textResponse("x");
    response.headers = {{"X-Name", "a\r\nInjected: b"}, {"Bad Name", "c"}, {"Content-Length", "99"}};
    responder->send(std::move(response));
  });
  const auto response = server.client()->send(makeRequest("GET", "/"), kLongEnough);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "x");
  for (const auto& [name, value] : response->headers) EXPECT_NE(name, "Injected");
}

TEST(Server, ListensOnSeveralThreads) {
  ServerOptions options;
  options.threads = 3;
  TestServer server(echo, options);
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      auto client = server.client();
      for (int i = 0; i < 300; ++i) {
        const std::string body = std::to_string(t) + "." + std::to_string(i);
        const auto response = client->send(makeRequest("POST", "/p", body), kLongEnough);
        if (response && response->body == "POST /p " + body) ++answered;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answered, 16 * 300);
}

TEST(Server, OtherThreadsMayAnswer) {
  // As the control plane does: handlers queue, one writer answers in batches.
  std::mutex mutex;
  std::condition_variable condition;
  std::vector<std::pair<Request, std::shared_ptr<Responder>>> queue;
  bool stop = false;
  TestServer server([&](Request request, std::shared_ptr<Responder> responder) {
    std::lock_guard guard(mutex);
    queue.emplace_back(std::move(request), std::move(responder));
    condition.notify_one();
  });
  std::thread writer([&] {
    for (;;) {
      std::unique_lock lock(mutex);
      condition.wait(lock, [&] { return stop || !queue.empty(); });
      if (stop) return;
      auto batch = std::exchange(queue, {});
      lock.unlock();
      for (auto& [request, responder] : batch) responder->send(textResponse(request.body));
    }
  });
  std::vector<std::thread> threads;
  std::atomic<int> answered = 0;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      auto client = server.client();
      for (int i = 0; i < 200; ++i) {
        const std::string body = std::to_string(t * 1000 + i);
        const auto response = client->send(makeRequest("POST", "/", body), kLongEnough);
        if (response && response->body == body) ++answered;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  {
    std::lock_guard guard(mutex);
    stop = true;
    condition.notify_one();
  }
  writer.join();
  EXPECT_EQ(answered, 16 * 200);
}

TEST(ListenUnix, IsPrivateReplacesAStaleFileAndCleansUp) {
  const auto directory = os::TempDir::create("buoy-net").value();
  const std::string path = directory.path() + "/s.sock";
  {
    // A socket file that nobody serves, as a killed server leaves it.
    auto stale = makeSocket(AF_UNIX).value();
    auto address = UnixAddress::create(path).value();
    ASSERT_EQ(::bind(stale.get(), address.address().get(), address.address().size), 0);
  }
  auto server = makeServer({}, echo);
  ASSERT_TRUE(server->listenUnix(path));
  struct stat status = {};
  ASSERT_EQ(::lstat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);

  auto second = makeServer({}, echo);
  const auto refused = second->listenUnix(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
  second.reset();
  auto client = makeClient({Endpoint::Kind::unix_socket, path, "", 0}, {});
  EXPECT_TRUE(client->send(makeRequest("GET", "/"), kLongEnough));

  server.reset();
  EXPECT_NE(::lstat(path.c_str(), &status), 0);
}

TEST(ListenUnix, RefusesAFileThatIsNoSocketAndAMissingDirectory) {
  const auto directory = os::TempDir::create("buoy-net").value();
  const std::string path = directory.path() + "/file";
  ASSERT_TRUE(os::writeFileAtomic(path, "precious"));
  auto server = makeServer({}, echo);
  const auto refused = server->listenUnix(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::already_exists);
  EXPECT_EQ(os::readFile(path).value(), "precious");
  EXPECT_FALSE(server->listenUnix(directory.path() + "/none/s.sock"));
}

TEST(ListenUnix, TakesPathsLongerThanASocketAddress) {
  const auto directory = os::TempDir::create("buoy-net").value();
  const std::string deep = directory.path() + "/" + std::string(120, 'd');
  ASSERT_TRUE(os::makeDirectories(deep));
  auto server = makeServer({}, echo);
  const auto status = server->listenUnix(deep + "/s.sock");
  ASSERT_TRUE(status) << status.error().message;
  auto client = makeClient({Endpoint::Kind::unix_socket, deep + "/s.sock", "", 0}, {});
  EXPECT_TRUE(client->send(makeRequest("GET", "/"), kLongEnough));
}

TEST(Server, StopsWhileRequestsAreInFlight) {
  for (int round = 0; round < 10; ++round) {
    std::atomic<bool> stopped = false;
    std::mutex mutex;
    std::vector<std::shared_ptr<Responder>> kept;
    Signal arrived;
    Signal closed;
    TestServer server([&](Request request, std::shared_ptr<Responder> responder) {
      EXPECT_FALSE(stopped);
      if (request.path == "/now") return responder->send({});
      responder->onClosed([&] { closed.raise(); });
      std::lock_guard guard(mutex);
      kept.push_back(std::move(responder));
      arrived.raise();
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        auto client = server.client();
        if (t == 0) {
          EXPECT_FALSE(client->send(makeRequest("GET", "/wait"), kLongEnough));
          return;
        }
        while (client->send(makeRequest("GET", "/now"), kLongEnough)) {
        }
      });
    }
    ASSERT_TRUE(arrived.wait());
    server.stop();
    stopped = true;
    EXPECT_EQ(closed.count(), 1);
    for (auto& thread : threads) thread.join();
    // Answers come too late and go nowhere.
    kept.front()->send({});
    kept.clear();
  }
}

}  // namespace
}  // namespace buoy::net
