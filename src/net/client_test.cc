#include <atomic>
#include <thread>

#include "net/http.h"
#include "net/scripted_server.h"
#include "net/test_support.h"

namespace buoy::net {
namespace {

using std::chrono::milliseconds;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(Client, SaysThatNobodyListens) {
  const auto directory = os::TempDir::create("buoy-net").value();
  auto client = makeClient({Endpoint::Kind::unix_socket, directory.path() + "/none.sock", "", 0}, {});
  const auto response = client->send(makeRequest("GET", "/"), kLongEnough);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
  EXPECT_NE(response.error().message.find("none.sock"), std::string::npos);
  EXPECT_TRUE(response.error().retryable);
}

TEST(Client, OpensANewConnectionWhenTheKeptOneWasClosed) {
  ScriptedServer server({kOk, kOk, kOk});
  auto client = makeClient(server.endpoint(), {});
  for (int i = 0; i < 3; ++i) {
    const auto response = client->send(makeRequest("POST", "/", "x"), kLongEnough);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->body, "ok");
  }
  EXPECT_EQ(server.accepted(), 3u);
}

TEST(Client, DoesNotRetryOnAFreshConnection) {
  ScriptedServer server({"", kOk});
  auto client = makeClient(server.endpoint(), {});
  const auto response = client->send(makeRequest("POST", "/", "x"), kLongEnough);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
  EXPECT_EQ(server.accepted(), 1u);
}

TEST(Client, RetriesOnceWhenTheKeptConnectionDiesUnderTheRequest) {
  // The server closes the kept connection while it holds the second request; the third try gets its answer.
  std::atomic<int> requests = 0;
  auto directory = os::TempDir::create("buoy-net").value();
  const std::string path = directory.path() + "/s.sock";
  std::unique_ptr<Server> second = makeServer({}, [&](Request, std::shared_ptr<Responder> responder) {
    ++requests;
    responder->send(textResponse("second"));
  });
  Signal arrived;
  std::vector<std::shared_ptr<Responder>> kept;
  std::unique_ptr<Server> first = makeServer({}, [&](Request, std::shared_ptr<Responder> responder) {
    if (++requests == 1) return responder->send(textResponse("first"));
    kept.push_back(std::move(responder));
    arrived.raise();
  });
  ASSERT_TRUE(first->listenUnix(path));
  auto client = makeClient({Endpoint::Kind::unix_socket, path, "", 0}, {});
  ASSERT_EQ(client->send(makeRequest("GET", "/"), kLongEnough)->body, "first");
  std::thread switcher([&] {
    ASSERT_TRUE(arrived.wait());
    // The new server takes the name before the old one ends, so that the retry finds it.
    const std::string other = directory.path() + "/t.sock";
    ASSERT_TRUE(second->listenUnix(other));
    ASSERT_EQ(::rename(other.c_str(), path.c_str()), 0);
    first.reset();
  });
  const auto response = client->send(makeRequest("GET", "/"), kLongEnough);
  switcher.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "second");
  EXPECT_EQ(requests, 3);
}

TEST(Client, DoesNotTakeAPartForTheWhole) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"}) {
    ScriptedServer server({answer, kOk});
    auto client = makeClient(server.endpoint(), {});
    const auto response = client->send(makeRequest("GET", "/"), kLongEnough);
    ASSERT_FALSE(response) << answer;
    EXPECT_EQ(response.error().code, ErrorCode::unavailable) << answer;
    const auto next = client->send(makeRequest("GET", "/"), kLongEnough);
    ASSERT_TRUE(next) << next.error().message;
  }
}

TEST(Client, SaysThatTheAnswerIsNotHttp) {
  ScriptedServer server({"SSH-2.0-OpenSSH_9.2\r\n"});
  const auto response = makeClient(server.endpoint(), {})->send(makeRequest("GET", "/"), kLongEnough);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::internal);
}

TEST(Client, SkipsInterimAnswers) {
  ScriptedServer server(
      {std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n") + kOk});
  const auto response = makeClient(server.endpoint(), {})->send(makeRequest("GET", "/"), kLongEnough);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "ok");
}

TEST(Client, LimitsTheAnswer) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->send(textResponse(std::string(2000, 'x')));
  });
  ClientOptions options;
  options.max_response = 1000;
  auto client = makeClient(server.endpoint(), options);
  EXPECT_FALSE(client->send(makeRequest("GET", "/"), kLongEnough));
}

TEST(Client, GivesUpAtItsDeadline) {
  Handoff<std::shared_ptr<Responder>> handed;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) { handed.put(std::move(responder)); });
  auto client = server.client();
  const auto response = client->send(makeRequest("GET", "/"), milliseconds{30});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::deadline_exceeded);
  handed.take()->send(textResponse("late"));  // must not be taken for the next answer
  std::thread answerer([&] { handed.take()->send(textResponse("right")); });
  const auto next = client->send(makeRequest("GET", "/"), kLongEnough);
  answerer.join();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->body, "right");
}

TEST(Client, StreamGivesUpAfterSilence) {
  Handoff<std::shared_ptr<Responder>> handed;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) {
    responder->begin(200, "text/plain");
    responder->write("x");
    handed.put(std::move(responder));
  });
  std::string got;
  const auto response =
      server.client()->stream(makeRequest("GET", "/"), milliseconds{30}, [&](std::string_view c) {
        got += c;
        return true;
      });
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::deadline_exceeded);
  handed.take();
}

TEST(Client, CancelEndsTheRunningAndEveryLaterCall) {
  Handoff<std::shared_ptr<Responder>> handed;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) { handed.put(std::move(responder)); });
  auto client = server.client();
  std::shared_ptr<Responder> responder;
  std::thread canceller([&] {
    responder = handed.take();
    client->cancel();
  });
  const auto response = client->send(makeRequest("GET", "/"), kLongEnough);
  canceller.join();
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::cancelled);
  EXPECT_EQ(client->send(makeRequest("GET", "/"), kLongEnough).error().code, ErrorCode::cancelled);
}

TEST(Client, CancelEndsAStreamThatNeverPauses) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->begin(200, "text/plain");
    auto next = std::make_shared<std::function<void()>>();
    *next = [responder, weak = std::weak_ptr(next)] {
      if (!responder->write(std::string(64u << 10, 'x'))) return;
      if (auto self = weak.lock()) responder->onWritable([self] { (*self)(); });
    };
    (*next)();
  });
  auto client = server.client();
  std::size_t got = 0;
  const auto response = client->stream(makeRequest("GET", "/"), kLongEnough, [&](std::string_view chunk) {
    got += chunk.size();
    if (got > (1u << 20)) client->cancel();
    return true;
  });
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::cancelled);
}

TEST(Client, RefusesARequestThatCouldBeReadAsSomethingElse) {
  TestServer server(echo);
  auto client = server.client();
  Request header = makeRequest("GET", "/");
  header.headers = {{"X", "a\r\nY: b"}};
  for (const Request& bad : {makeRequest("GET", "/a b"), makeRequest("GET", "/\r\nX: y"),
                             makeRequest("G T", "/"), makeRequest("", "/"), header}) {
    const auto response = client->send(bad, kLongEnough);
    ASSERT_FALSE(response) << bad.target;
    EXPECT_EQ(response.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Client, MakesTheTargetFromPathAndQuery) {
  Handoff<Request> seen;
  TestServer server([&](Request request, std::shared_ptr<Responder> responder) {
    seen.put(std::move(request));
    responder->send({});
  });
  Request request;
  request.method = "GET";
  request.path = "/outputs/a b?#.pt";
  request.query = {{"q", "x&y"}};
  ASSERT_TRUE(server.client()->send(request, kLongEnough));
  const Request got = seen.take();
  EXPECT_EQ(got.path, request.path);
  EXPECT_EQ(got.query, request.query);
}

TEST(Client, GoesOverTcpByAddressAndName) {
  auto server = makeServer({}, [](Request request, std::shared_ptr<Responder> responder) {
    EXPECT_FALSE(request.over_unix_socket);
    responder->send(textResponse(std::string(request.header("host"))));
  });
  const auto port = server->listenTcp("127.0.0.1", 0, std::nullopt);
  ASSERT_TRUE(port) << port.error().message;
  for (const char* host : {"127.0.0.1", "localhost"}) {
    auto client = makeClient({Endpoint::Kind::tcp, "", host, *port}, {});
    for (int i = 0; i < 2; ++i) {
      const auto response = client->send(makeRequest("POST", "/", "x"), kLongEnough);
      ASSERT_TRUE(response) << response.error().message;
      EXPECT_EQ(response->body, std::string(host) + ":" + std::to_string(*port));
    }
  }
  const auto taken = server->listenTcp("127.0.0.1", *port, std::nullopt);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::already_exists);
}

}  // namespace
}  // namespace buoy::net
