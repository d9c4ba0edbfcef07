#include <atomic>
#include <thread>

#include "net/http.h"
#include "net/test_support.h"

namespace buoy::net {
namespace {

TEST(Stream, ComesInPieces) {
  Signal first_seen;
  std::thread producer;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) {
    responder->begin(200, "application/x-ndjson");
    EXPECT_TRUE(responder->write("one\n"));
    producer = std::thread([&, responder = std::move(responder)] {
      EXPECT_TRUE(first_seen.wait());  // it was not held back until the end
      EXPECT_TRUE(responder->write("two\n"));
      EXPECT_TRUE(responder->write(""));
      EXPECT_TRUE(responder->write("three\n"));
      responder->end();
    });
  });
  auto client = server.client();
  std::string got;
  const auto response = client->stream(makeRequest("GET", "/"), kLongEnough, [&](std::string_view chunk) {
    got += chunk;
    first_seen.raise();
    return true;
  });
  producer.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->content_type, "application/x-ndjson");
  EXPECT_EQ(got, "one\ntwo\nthree\n");
}

TEST(Stream, LeavesTheConnectionUsable) {
  TestServer server([](Request request, std::shared_ptr<Responder> responder) {
    if (request.path == "/plain") return responder->send(textResponse("plain"));
    responder->begin(200, "text/plain");
    responder->write("streamed");
    responder->end();
  });
  auto client = server.client();
  for (int i = 0; i < 3; ++i) {
    std::string got;
    ASSERT_TRUE(client->stream(makeRequest("GET", "/s"), kLongEnough, [&](std::string_view chunk) {
      got += chunk;
      return true;
    }));
    EXPECT_EQ(got, "streamed");
    EXPECT_EQ(client->send(makeRequest("GET", "/plain"), kLongEnough)->body, "plain");
    EXPECT_EQ(client->send(makeRequest("GET", "/s"), kLongEnough)->body, "streamed");
  }
}

TEST(Stream, ErrorStatusIsReturnedWithItsBody) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->send(textResponse("no such job", 404));
  });
  const auto response = server.client()->stream(makeRequest("GET", "/"), kLongEnough, [](std::string_view) {
    ADD_FAILURE();
    return true;
  });
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "no such job");
}

TEST(Stream, CallerMayStopIt) {
  Signal closed;
  TestServer server([&](Request request, std::shared_ptr<Responder> responder) {
    if (request.path == "/next") return responder->send({});
    responder->onClosed([&, responder] {
      EXPECT_FALSE(responder->write("more"));
      closed.raise();
    });
    responder->begin(200, "text/plain");
    responder->write("x");
  });
  auto client = server.client();
  const auto response =
      client->stream(makeRequest("GET", "/"), kLongEnough, [](std::string_view) { return false; });
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_TRUE(closed.wait());
  EXPECT_TRUE(client->send(makeRequest("GET", "/next"), kLongEnough));
}

TEST(Stream, CutStreamIsAnError) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->begin(200, "text/plain");
    responder->write("x");  // destroyed before end()
  });
  const auto response =
      server.client()->stream(makeRequest("GET", "/"), kLongEnough, [](std::string_view) { return true; });
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(response.error().retryable);
}

TEST(Stream, ClosedIsToldOnceWhenTheClientGoesBeforeAnyAnswer) {
  Signal closed;
  Signal arrived;
  std::mutex mutex;
  std::shared_ptr<Responder> kept;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) {
    responder->onClosed([&] { closed.raise(); });
    std::lock_guard guard(mutex);
    kept = std::move(responder);
    arrived.raise();
  });
  RawClient raw(server.path());
  ASSERT_TRUE(raw.send("GET /poll HTTP/1.1\r\n\r\n"));
  ASSERT_TRUE(arrived.wait());
  raw.close();
  EXPECT_TRUE(closed.wait());
  // Registered too late: still told.
  Signal late;
  std::lock_guard guard(mutex);
  kept->onClosed([&] { late.raise(); });
  EXPECT_TRUE(late.wait());
  kept->send({});
  kept.reset();
  server.stop();
  EXPECT_EQ(closed.count(), 1);
}

TEST(Stream, ClosedIsNotToldAfterTheAnswer) {
  Signal closed;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) {
    responder->onClosed([&] { closed.raise(); });
    responder->send({});
  });
  ASSERT_TRUE(server.client()->send(makeRequest("GET", "/"), kLongEnough));
  server.stop();
  EXPECT_EQ(closed.count(), 0);
}

TEST(Stream, ClientThatDoesNotReadIsCutAtTheLimit) {
  Signal closed;
  Handoff<std::shared_ptr<Responder>> handed;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) {
    responder->onClosed([&] { closed.raise(); });
    handed.put(std::move(responder));
  });
  RawClient raw(server.path());
  ASSERT_TRUE(raw.send("GET / HTTP/1.1\r\n\r\n"));
  const auto responder = handed.take();
  responder->begin(200, "text/plain");
  std::size_t written = 0;
  while (responder->write(std::string(64u << 10, 'x'))) {
    written += 64u << 10;
    ASSERT_LT(written, 64u << 20);
  }
  EXPECT_GE(written, (4u << 20) - (64u << 10) - 4096);
  EXPECT_FALSE(responder->write("more"));
  EXPECT_TRUE(closed.wait());
  raw.readAll();
  EXPECT_EQ(raw.received().find("\r\n0\r\n\r\n"), std::string::npos);
}

TEST(Stream, LongStreamAtTheClientsPace) {
  constexpr std::size_t kTotal = 40u << 20;
  constexpr std::size_t kPiece = 1u << 20;
  // Writes a piece, and the next one when there is room; holds itself until the end.
  struct Producer : std::enable_shared_from_this<Producer> {
    std::shared_ptr<Responder> responder;
    std::size_t written = 0;
    void next() {
      if (written == kTotal) return responder->end();
      EXPECT_TRUE(responder->write(std::string(kPiece, 'y')));
      written += kPiece;
      responder->onWritable([self = shared_from_this()] { self->next(); });
    }
  };
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->begin(200, "application/octet-stream");
    const auto producer = std::make_shared<Producer>();
    producer->responder = std::move(responder);
    producer->next();
  });
  std::size_t got = 0;
  const auto response =
      server.client()->stream(makeRequest("GET", "/"), kLongEnough, [&](std::string_view chunk) {
        got += chunk.size();
        return true;
      });
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(got, kTotal);
}

TEST(Stream, Http10ClientGetsItUntilTheEndOfTheConnection) {
  TestServer server([](Request, std::shared_ptr<Responder> responder) {
    responder->begin(200, "text/plain");
    responder->write("one");
    responder->write("two");
    responder->end();
  });
  RawClient raw(server.path());
  ASSERT_TRUE(raw.send("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(raw.readAll().ends_with("\r\n\r\nonetwo"));
  EXPECT_EQ(raw.received().find("chunked"), std::string::npos);
}

TEST(Stream, ServerStopCutsStreamsAndTellsTheirProducers) {
  Signal closed;
  Handoff<std::shared_ptr<Responder>> handed;
  TestServer server([&](Request, std::shared_ptr<Responder> responder) {
    responder->onClosed([&] { closed.raise(); });
    responder->begin(200, "text/plain");
    responder->write("x");
    handed.put(std::move(responder));
  });
  Signal got;
  std::thread reader([&] {
    EXPECT_FALSE(server.client()->stream(makeRequest("GET", "/"), kLongEnough, [&](std::string_view) {
      got.raise();
      return true;
    }));
  });
  const auto responder = handed.take();
  ASSERT_TRUE(got.wait());
  std::atomic<bool> writing = true;
  std::thread writer([&] {
    while (responder->write("y") && writing) std::this_thread::yield();
  });
  server.stop();
  EXPECT_EQ(closed.count(), 1);
  writing = false;
  writer.join();
  EXPECT_FALSE(responder->write("z"));
  reader.join();
}

}  // namespace
}  // namespace buoy::net
