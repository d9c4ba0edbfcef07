#include "container/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "container/progress.h"
#include "container/registry_auth.h"
#include "net/scripted_server.h"
#include "os/files.h"

namespace buoy::container {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string reply(int status, const std::string& body, const std::string& more = {}) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
}

const std::string kPong = reply(200, "OK", "Libpod-Api-Version: 4.3.1\r\n");

// The engine behind a server that answers as told, one answer a connection.
struct Scripted {
  explicit Scripted(std::vector<std::string> answers) : server(withPong(std::move(answers))) {
    auto connected = Engine::connect(server.url(), {.quick = 5s, .silence = 5s});
    EXPECT_TRUE(connected) << connected.error().message;
    engine = std::move(*connected);
  }
  static std::vector<std::string> withPong(std::vector<std::string> answers) {
    answers.insert(answers.begin(), kPong);
    return answers;
  }
  std::string request(std::size_t index) { return server.requests().at(index + 1); }

  net::ScriptedServer server;
  std::unique_ptr<Engine> engine;
};

TEST(Engines, TellPodmanFromDocker) {
  EXPECT_TRUE(Scripted({}).engine->isPodman());
  net::ScriptedServer docker({reply(200, "OK", "Api-Version: 1.43\r\n")});
  const auto engine = Engine::connect(docker.url(), {});
  ASSERT_TRUE(engine);
  EXPECT_EQ((*engine)->name(), "docker");
}

TEST(Engines, SayWhenNobodyAnswers) {
  const auto engine = Engine::connect("unix:/nonexistent/docker.sock", {.quick = 1s});
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, ErrorCode::unavailable);
}

TEST(Images, AreReadAsDockerAndPodmanTellThem) {
  Scripted docker(
      {reply(200, R"({"Id":"sha256:ab","Config":{"Entrypoint":["/e","x"],"Cmd":["a"],"User":"1000"}})")});
  const auto image = docker.engine->image("python:3.11");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_THAT(image->entrypoint, ElementsAre("/e", "x"));
  EXPECT_THAT(image->command, ElementsAre("a"));
  EXPECT_THAT(docker.request(0), StartsWith("GET /v1.41/images/python%3A3.11/json HTTP/1.1"));
  Scripted podman({reply(200, R"({"Id":"ab","Config":{"Entrypoint":null,"Cmd":"sh"}})")});
  EXPECT_THAT(podman.engine->image("x")->command, ElementsAre("sh"));
}

TEST(Images, ThatAreNotThereAreNotFound) {
  Scripted missing({reply(404, R"({"cause":"no such image","message":"no such image: x","response":404})")});
  const auto image = missing.engine->image("x");
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, ErrorCode::not_found);
  EXPECT_THAT(image.error().message, HasSubstr("no such image: x"));
}

TEST(Pulls, TellTheirProgressAndTheirError) {
  Scripted scripted(
      {reply(200,
             "{\"status\":\"Pulling fs layer\",\"id\":\"a1\"}\r\n"
             "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":9},\"id\":\"a1\"}\r\n"
             "{\"status\":\"Pull complete\",\"id\":\"a1\",\"progressDetail\":{}}\r\n"),
       reply(200, "{\"error\":\"manifest unknown: manifest unknown\"}\n"),
       reply(200, "{\"error\":\"dial tcp 10.0.0.1:443: i/o timeout\"}")});
  std::string text;
  const auto take = [&](std::string_view piece) { text += piece; };
  EXPECT_TRUE(scripted.engine->pull("a:5000/b/c:v1", "token", take));
  EXPECT_EQ(text, "a1: Pulling fs layer\na1: Pull complete\n");
  EXPECT_THAT(scripted.request(0), StartsWith("POST /v1.41/images/create?fromImage=a%3A5000%2Fb%2Fc&tag=v1"));
  EXPECT_THAT(scripted.request(0), HasSubstr("X-Registry-Auth: token"));
  EXPECT_EQ(scripted.engine->pull("b", "", take).error().code, ErrorCode::not_found);
  EXPECT_TRUE(scripted.engine->pull("b", "", take).error().retryable);
}

TEST(Answers, ThatAreCutOrWrongAreErrors) {
  Scripted scripted({"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Id\":",
                     "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"Id\":",  // a second try
                     reply(200, "<html>"), reply(200, R"({"Warnings":[]})"), reply(200, "not json\n"),
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"stream\":\"x\"}\n"});
  Engine& engine = *scripted.engine;
  EXPECT_EQ(engine.image("x").error().code, ErrorCode::unavailable);
  EXPECT_FALSE(engine.image("x"));
  EXPECT_THAT(engine.image("x").error().message, HasSubstr("JSON"));
  EXPECT_THAT(engine.create("", "{}").error().message, HasSubstr("tells no container's id"));
  EXPECT_THAT(engine.pull("x", "", [](auto) {}).error().message, HasSubstr("is not JSON"));
  EXPECT_FALSE(engine.pull("x", "", [](auto) {}));
}

TEST(Containers, AreMadeStartedAndRemoved) {
  Scripted scripted(
      {reply(201, R"({"Id":"c1","Warnings":[]})"), reply(204, ""), reply(304, ""),
       reply(500, R"({"message":"driver failed: Bind for 0.0.0.0:80 failed: port is already allocated"})"),
       reply(404, R"({"message":"No such container: c1"})"),
       reply(200, R"([{"Id":"c2","State":"exited","Labels":{"buoy.owner":"/m/job"}},{"x":1}])")});
  Engine& engine = *scripted.engine;
  EXPECT_EQ(*engine.create("train", "{}"), "c1");
  EXPECT_THAT(scripted.request(0), StartsWith("POST /v1.41/containers/create?name=train"));
  EXPECT_TRUE(engine.start("c1"));
  EXPECT_TRUE(engine.start("c1"));
  EXPECT_EQ(engine.start("c1").error().code, ErrorCode::failed_precondition);
  EXPECT_TRUE(engine.remove("c1"));
  const auto listed = engine.list("buoy.owner");
  EXPECT_THAT(scripted.request(5), StartsWith("GET /v4.0.0/libpod/containers/json?"));
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().label, "/m/job");
  EXPECT_FALSE(listed->front().running);
}

TEST(EngineErrors, AreSortedByWhatHelps) {
  EXPECT_EQ(engineError(500, "write /var/x: no space left on device").code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(engineError(500, "dial tcp: connect: connection refused").retryable);
  EXPECT_FALSE(
      engineError(0, "Get \"https://localhost/v2/\": dial tcp [::1]:443: connection refused").retryable);
  EXPECT_EQ(engineError(400, "invalid mount").code, ErrorCode::invalid_argument);
  EXPECT_FALSE(engineError(0, "lookup nowhere.example: no such host").retryable);
}

TEST(References, AreTakenApart) {
  const auto parts = [](std::string_view image) {
    const Reference reference = parseReference(image);
    return reference.name + " " + reference.tag;
  };
  EXPECT_EQ(parts("python"), "python latest");
  EXPECT_EQ(parts("a:5000/b"), "a:5000/b latest");
  EXPECT_EQ(parts("a:5000/b:v1"), "a:5000/b v1");
  EXPECT_EQ(parts("a/b@sha256:12"), "a/b sha256:12");
  EXPECT_EQ(parts("a/b:v1@sha256:12"), "a/b sha256:12");
  EXPECT_EQ(registryOf("python"), "docker.io");
  EXPECT_EQ(registryOf("library/python"), "docker.io");
  EXPECT_EQ(registryOf("ghcr.io/a/b"), "ghcr.io");
}

TEST(Credentials, AreThoseOfDockerLogin) {
  const std::string config =
      R"({"auths":{"ghcr.io":{"auth":"bWU6c2VjcmV0"},"https://index.docker.io/v1/":{"auth":"YTpi"},"bad":{"auth":3}}})";
  // {"password":"secret","serveraddress":"ghcr.io","username":"me"}
  EXPECT_EQ(credentialsIn(config, "ghcr.io"),
            "eyJwYXNzd29yZCI6InNlY3JldCIsInNlcnZlcmFkZHJlc3MiOiJnaGNyLmlvIiwidXNlcm5hbWUiOiJtZSJ9");
  EXPECT_FALSE(credentialsIn(config, "docker.io").empty());
  EXPECT_EQ(credentialsIn(config, "bad"), "");
  EXPECT_EQ(credentialsIn("nonsense", "ghcr.io"), "");
}

TEST(Runtimes, AreFoundByTheEnvironment) {
  const auto dir = os::TempDir::create("buoy-runtime");
  ASSERT_TRUE(dir);
  net::ScriptedServer server({});
  const std::string path = server.url().substr(5);
  const auto named = findRuntime({{"DOCKER_HOST", "unix://" + path}});
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->endpoint, "unix:" + path);
  EXPECT_EQ(findRuntime({{"DOCKER_HOST", "tcp://10.0.0.1:2375"}})->endpoint, "http://10.0.0.1:2375");
  EXPECT_THAT(findRuntime({{"DOCKER_HOST", "unix:///nonexistent"}}).error().message,
              HasSubstr("nothing answers"));
  EXPECT_THAT(findRuntime({{"DOCKER_HOST", "ssh://x"}}).error().message, HasSubstr("must be unix:///PATH"));
  ASSERT_TRUE(os::createFileExclusive(dir->path() + "/podman", "#!/bin/sh\n", 0755));
  const auto program = findRuntime({{"CONTAINER_HOST", ""}, {"PATH", dir->path()}});
  if (program && program->kind == Runtime::Kind::socket) GTEST_SKIP() << "docker answers here";
  ASSERT_TRUE(program);
  EXPECT_EQ(program->program, dir->path() + "/podman");
}

}  // namespace
}  // namespace buoy::container
