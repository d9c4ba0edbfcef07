#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <latch>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/views.h"
#include "base/strings.h"
#include "control/control_harness.h"
#include "objstore/object_store.h"
#include "os/fd.h"
#include "os/files.h"
#include "schedule/scheduler.h"

namespace buoy::control {
namespace {

using engine::Directive;
using engine::MemberPhase;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(ControlTest, AJobRunsFromSubmitToItsEnd) {
  const std::string job = plane_.submit("hello");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  agent.runToTheEnd({"one", "two"}, 0);
  const json view = plane_.finished(job);
  EXPECT_EQ(view["phase"], "succeeded");
  EXPECT_EQ(view["exit_code"], 0);
  EXPECT_EQ(view["spec"]["run"], "true");
  EXPECT_EQ(view["metrics"][0]["name"], "loss");
  EXPECT_THAT(plane_.log("hello"), ElementsAre("one", "two"));
  plane_.cloud_.waitForEnd(agent.config().machine);
  EXPECT_EQ(plane_.get("/v1/jobs")["counts"]["finished"], 1);
  EXPECT_EQ(plane_.get("/v1/jobs?finished=false")["jobs"].size(), 0u);
}

TEST_F(ControlTest, TheAgentIsToldWhatToRun) {
  plane_.submit("hello", "", R"(,"env":{"A":"b"})");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  const auto message = agent.await(Directive::Kind::run);
  ASSERT_TRUE(message) << message.error().message;
  EXPECT_EQ(json::parse(message->spec)["env"]["A"], "b");
  EXPECT_EQ(message->store_prefix, agent.config().cluster + "/j1");
  EXPECT_EQ(message->directive.attempt, 1u);
}

TEST_F(ControlTest, TheSameRequestIsTheSameJob) {
  const std::string job = plane_.submit("one", "r1");
  EXPECT_EQ(plane_.submit("one", "r1"), job);
  const net::Response other = plane_.trySubmit("two", "r1");
  EXPECT_EQ(other.status, 409) << other.body;
  plane_.restart();
  EXPECT_EQ(plane_.submit("one", "r1"), job);
  EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 1u);
}

TEST_F(ControlTest, InputsFromOtherJobsAreNamedByTheirIds) {
  plane_.submit("base", "", R"(,"outputs":["model"])");
  const std::string more = R"(,"outputs":["m"],"inputs":{"a":"job:base/model"})";
  const std::string job = plane_.submit("base", "r1", more);
  EXPECT_EQ(plane_.submit("base", "r1", more), job) << "a repeat means the same job as the first time";
  EXPECT_EQ(plane_.get("/v1/jobs/" + job)["spec"]["inputs"]["a"], "job:j1/model");
  const auto refused = [&](const std::string& from) {
    const net::Response response = plane_.trySubmit("x", "", R"(,"inputs":{"a":")" + from + "\"}");
    EXPECT_EQ(response.status, 400) << response.body;
    return response.body;
  };
  EXPECT_THAT(refused("job:j99/output"), HasSubstr("inputs.a: "));
  EXPECT_THAT(refused("job:nobody/output"), HasSubstr("inputs.a: there is no job 'nobody'"));
  EXPECT_THAT(refused("job:base/state"), HasSubstr("inputs.a: j2 keeps no checkpoints"));
  EXPECT_THAT(refused("job:base/source"), HasSubstr("inputs.a: j2 was submitted without a source"));
  plane_.submit("plain");
  EXPECT_THAT(refused("job:plain/output"), HasSubstr("inputs.a: j3 names no outputs"));
}

TEST_F(ControlTest, ACheckpointToBeginWithIsThatOfOneJob) {
  const std::string keeps = R"(,"checkpoint":{"dir":"c"})";
  const auto from = [](const std::string& job) {
    return R"(,"checkpoint":{"dir":"c","from":")" + job + "\"}";
  };
  plane_.submit("base", "", keeps);
  for (const char* named : {"base", "1", "j1", "job:base/state"}) {
    const std::string request = std::string("r-") + std::to_string(named[0]) + std::to_string(named[1]);
    // Of the same name, and so the newest of it when it is asked for again.
    const std::string job = plane_.submit("base", request, from(named));
    EXPECT_EQ(plane_.submit("base", request, from(named)), job) << named;
    EXPECT_EQ(plane_.get("/v1/jobs/" + job)["spec"]["checkpoint"]["from"].get<std::string>().substr(0, 5),
              "job:j");
  }
  const auto refused = [&](const std::string& more) {
    const net::Response response = plane_.trySubmit("x", "", more);
    EXPECT_EQ(response.status, 400) << response.body;
    return response.body;
  };
  plane_.submit("plain");
  EXPECT_THAT(refused(from("plain")), HasSubstr("keeps no checkpoints"));
  EXPECT_THAT(refused(from("nobody")), HasSubstr("checkpoint.from: there is no job 'nobody'"));
  EXPECT_THAT(refused(R"(,"machines":2)" + from("j1")), HasSubstr("j1 has not ended"));
  plane_.submit("many", "", R"(,"array":3)" + keeps);
  EXPECT_THAT(refused(from("many")), HasSubstr("is an array"));
}

TEST_F(ControlTest, TheSameRequestManyTimesAtOnceIsOneJob) {
  std::vector<std::jthread> clients;
  std::array<std::string, 8> jobs;
  for (std::string& job : jobs) clients.emplace_back([&] { job = plane_.submit("one", "r1"); });
  clients.clear();
  EXPECT_THAT(jobs, testing::Each(jobs[0]));
  EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 1u);
}

TEST_F(ControlTest, ImpossibleJobsAreRefusedWithTheReason) {
  const auto refused = [&](const std::string& more) {
    const net::Response response = plane_.trySubmit("x", "", more);
    EXPECT_EQ(response.status, 400) << response.body;
    return response.body;
  };
  EXPECT_THAT(refused(R"(,"queue":"defualt")"), HasSubstr("did you mean 'default'?"));
  EXPECT_THAT(refused(R"(,"pools":["locl"])"), HasSubstr("did you mean 'local'?"));
  EXPECT_THAT(refused(R"(,"resources":{"cpus":64})"), HasSubstr("the largest, 'small', has 1 CPU,"));
  EXPECT_THAT(refused(R"(,"machines":3)"), HasSubstr("more than pool 'local' may have: 2"));
  EXPECT_THAT(refused(R"(,"colour":"red")"), HasSubstr("colour"));
  EXPECT_EQ(plane_.call("POST", "/v1/jobs", "{").status, 400);
  EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 0u) << "nothing changed";
}

TEST_F(ControlTest, UnknownThingsAreNotFound) {
  for (const char* target : {"/v1/jobs/j99", "/v1/jobs/nobody", "/v1/jobs/j99/logs", "/v1/jobs/j99/events",
                             "/v1/machines/m9", "/v1/machines/x", "/v1/nothing", "/"}) {
    EXPECT_EQ(plane_.call("GET", target).status, 404) << target;
  }
  EXPECT_EQ(plane_.call("DELETE", "/v1/jobs").status, 405);
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/j99/cancel").status, 404);
  EXPECT_EQ(plane_.call("GET", "/v1/jobs?limit=0").status, 400);
  EXPECT_EQ(plane_.call("GET", "/v1/jobs?before=7").status, 400);
}

TEST_F(ControlTest, CancelIsHarmlessWhenRepeated) {
  const std::string job = plane_.submit("one");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  ASSERT_TRUE(agent.await(Directive::Kind::run));
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/cancel").status, 200);
  ASSERT_TRUE(agent.await(Directive::Kind::stop));
  api::ReportMessage message = agent.aboutWork();
  message.phases = {{MemberPhase::done, Duration{0}}};
  message.result = engine::MemberResult{engine::MemberResult::Kind::stopped, 0, ""};
  EXPECT_EQ(agent.report(message).status, 200);
  EXPECT_EQ(plane_.finished(job)["phase"], "cancelled");
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/cancel").status, 200);
}

TEST_F(ControlTest, ASaveIsAskedForAndAnsweredByAVersionWrittenSince) {
  const std::string job = plane_.submit("one", "", R"(,"checkpoint":{"dir":"checkpoints"})");
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/save").status, 409) << "it does not run yet";
  FakeAgent agent(plane_.cloud_.waitForMachine());
  const auto work = agent.await(Directive::Kind::run);
  ASSERT_TRUE(work);
  EXPECT_EQ(work->directive.save, 0u);
  EXPECT_GT(work->saving.hazard.perHour(Duration{}), 0);
  api::ReportMessage message = agent.aboutWork();
  message.phases = {{MemberPhase::running, Duration{1}}};
  EXPECT_EQ(agent.report(message).status, 200);
  const net::Response asked = plane_.call("POST", "/v1/jobs/" + job + "/save");
  EXPECT_EQ(asked.status, 202);
  EXPECT_EQ(json::parse(asked.body)["save_pending"], true);
  const auto again = agent.await(Directive::Kind::run);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->directive.save, 1u);
  message.committed_version = 1;
  message.committed_covers_age = std::chrono::hours{1};
  EXPECT_EQ(agent.report(message).status, 200);
  EXPECT_TRUE(json::parse(plane_.call("GET", "/v1/jobs/" + job).body).contains("save_pending"))
      << "that version is older than the question";
  message.committed_version = 2;
  message.committed_covers_age = Duration{0};
  EXPECT_EQ(agent.report(message).status, 200);
  EXPECT_FALSE(json::parse(plane_.call("GET", "/v1/jobs/" + job).body).contains("save_pending"));
  agent.runToTheEnd({}, 0);
  plane_.finished(job);
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/save").status, 409);
}

TEST_F(ControlTest, DecisionsAreFoundAgainFromWhatWasKnown) {
  const std::string job = plane_.submit("one");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  agent.runToTheEnd({}, 0);
  plane_.finished(job);
  plane_.restart();
  const auto decisionIn = [](const std::vector<json>& lines) {
    for (const json& line : lines) {
      if (line["kind"] == "placed") return line;
    }
    return json();
  };
  const json placed = decisionIn(plane_.stream("/v1/jobs/" + job + "/why"));
  ASSERT_TRUE(placed.is_object());
  EXPECT_EQ(placed["rederived"], true);
  EXPECT_EQ(placed["took"], json::array({"m1"}));
  EXPECT_EQ(placed["known"]["pools"][0]["free"], 2);
  EXPECT_EQ(placed["known"]["pools"][0]["types"][0]["spot_price"], 0.3);
  EXPECT_EQ(placed["candidates"][0]["rejected"], "");
  // The machine's own history has the decision that took it, though that is a record of the job.
  const auto machine = plane_.stream("/v1/machines/m1/why");
  EXPECT_EQ(decisionIn(machine), placed);
  EXPECT_EQ(plane_.call("GET", "/v1/machines/m99/why").status, 404);
  EXPECT_EQ(plane_.call("GET", "/v1/jobs/nobody/why").status, 404);
}

TEST_F(ControlTest, ADeadlineIsSteeredAndExplained) {
  const net::Response late = plane_.trySubmit("x", "", R"(,"deadline":"1h","work":"1h")");
  EXPECT_EQ(late.status, 400);
  EXPECT_THAT(late.body, HasSubstr("the earliest deadline is 1h 7m from now"));
  EXPECT_EQ(json::parse(late.body)["error"]["problems"][0]["field"], "deadline");

  const std::string job = plane_.submit("one", "", R"(,"deadline":"3h","work":"1h","policy":"spot-first")");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  EXPECT_EQ(plane_.get("/v1/machines/m1")["market"], "spot");
  EXPECT_EQ(plane_.get("/v1/jobs/" + job)["request"]["deadline_in"], 10800);
  agent.runToTheEnd({}, 0);
  plane_.finished(job);
  plane_.restart();
  std::vector<json> steered;
  for (const json& line : plane_.stream("/v1/jobs/" + job + "/why")) {
    if (line["kind"] == "steered") steered.push_back(line);
  }
  ASSERT_EQ(steered.size(), 1u) << "only changes are kept";
  EXPECT_EQ(steered[0]["rederived"], true);
  EXPECT_EQ(steered[0]["answer"]["hold"], "spot");
  EXPECT_EQ(steered[0]["answer"]["pool"], "local");
  EXPECT_EQ(steered[0]["known"]["work_left"], 3600);
  EXPECT_EQ(steered[0]["known"]["places"][0]["price"], 0.3);
}

TEST_F(ControlTest, AJobWithoutBudgetLeftIsPausedAndGoesOnWithMore) {
  const net::Response small = plane_.trySubmit("x", "", R"(,"budget":0.01)");
  EXPECT_EQ(small.status, 400);
  EXPECT_THAT(small.body, HasSubstr("of $0.0100 is too small"));
  EXPECT_EQ(json::parse(small.body)["error"]["problems"][0]["field"], "budget");
  // Enough when it is submitted, and too little when the pool can be used, at ten times the price.
  json pool = plane_.get("/v1/pools")["pools"][0];
  pool["paused"] = true;
  EXPECT_EQ(plane_.call("PUT", "/v1/pools/local", pool.dump()).status, 200);
  const std::string job = plane_.submit("one", "", R"(,"budget":0.2)");
  EXPECT_EQ(plane_.get("/v1/jobs/" + job)["phase"], "queued");
  pool["paused"] = false;
  pool["types"][0]["price"] = 10;
  pool["types"][0]["spot_price"] = 3;
  EXPECT_EQ(plane_.call("PUT", "/v1/pools/local", pool.dump()).status, 200);
  EXPECT_EQ(plane_.get("/v1/jobs/" + job)["phase"], "paused");
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/resume").status, 409);
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/resume", R"({"budget":"much"})").status, 400);
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/j9/resume", R"({"budget":1})").status, 404);
  plane_.restart();
  EXPECT_EQ(plane_.get("/v1/jobs/" + job)["phase"], "paused");
  EXPECT_TRUE(plane_.cloud_.alive().empty());
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/resume", R"({"budget":1})").status, 202);
  FakeAgent agent(plane_.cloud_.waitForMachine());
  agent.runToTheEnd({}, 0);
  EXPECT_EQ(plane_.finished(job)["phase"], "succeeded");
  EXPECT_EQ(plane_.call("POST", "/v1/jobs/" + job + "/resume", R"({"budget":2})").status, 409);
}

TEST_F(ControlTest, WhatKeepsNoCheckpointsCannotSave) {
  const std::string job = plane_.submit("one");
  const net::Response asked = plane_.call("POST", "/v1/jobs/" + job + "/save");
  EXPECT_EQ(asked.status, 409);
  EXPECT_THAT(asked.body, HasSubstr("keeps no checkpoints"));
}

TEST_F(ControlTest, ARunningJobSurvivesARestartUntouched) {
  const std::string job = plane_.submit("one");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  const auto work = agent.await(Directive::Kind::run);
  ASSERT_TRUE(work);
  EXPECT_EQ(agent.log(work->directive, 0, "1 o before\n").status, 200);
  api::ReportMessage message = agent.aboutWork();
  message.phases = {{MemberPhase::running, Duration{1}}};
  EXPECT_EQ(agent.report(message).status, 200);
  plane_.restart();
  const auto again = agent.await(Directive::Kind::run);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->directive.epoch, work->directive.epoch);
  EXPECT_GT(again->generation, work->generation);
  agent.runToTheEnd({}, 0);
  const json view = plane_.finished(job);
  EXPECT_EQ(view["attempts"], 1);
  EXPECT_EQ(plane_.cloud_.launches(agent.config().machine), 1);
  EXPECT_THAT(plane_.log(job), ElementsAre("before"));
}

TEST_F(ControlTest, LogsAreKeptOnceHoweverOftenTheyAreSent) {
  const std::string job = plane_.submit("one");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  const auto work = agent.await(Directive::Kind::run);
  ASSERT_TRUE(work);
  EXPECT_EQ(agent.log(work->directive, 0, "1 o a\n2 e b\n").status, 200);
  const net::Response wrong = agent.log(work->directive, 6, "2 e b\n3 o c\n");
  EXPECT_EQ(wrong.status, 409);
  EXPECT_EQ(json::parse(wrong.body)["size"], 12);
  plane_.restart();
  EXPECT_EQ(agent.log(work->directive, 12, "3 o c\n").status, 200);
  const auto lines = plane_.stream("/v1/jobs/" + job + "/logs");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1]["stream"], "stderr");
  EXPECT_THAT(plane_.log(job, "from=" + lines[1]["cursor"].get<std::string>()), ElementsAre("c"));
  EXPECT_THAT(plane_.log(job, "tail=2"), ElementsAre("b", "c"));
  Directive other = work->directive;
  other.job = JobId{77};
  EXPECT_EQ(agent.log(other, 0, "1 o x\n").status, 409) << "not its job";
}

TEST_F(ControlTest, FollowersSeeEveryLineAndEndWithTheJob) {
  const std::string job = plane_.submit("one");
  std::vector<std::string> seen;
  std::jthread follower([&] { seen = plane_.log(job, "follow=1"); });
  FakeAgent agent(plane_.cloud_.waitForMachine());
  const auto work = agent.await(Directive::Kind::run);
  ASSERT_TRUE(work);
  std::uint64_t offset = 0;
  for (int n = 0; n < 200; ++n) {
    const std::string line = "1 o line " + std::to_string(n) + "\n";
    ASSERT_EQ(agent.log(work->directive, offset, line).status, 200);
    offset += line.size();
  }
  api::ReportMessage message = agent.aboutWork();
  message.phases = {{MemberPhase::running, Duration{1}}, {MemberPhase::done, Duration{0}}};
  message.result = engine::MemberResult{};
  EXPECT_EQ(agent.report(message).status, 200);
  follower.join();
  ASSERT_EQ(seen.size(), 200u);
  EXPECT_EQ(seen[199], "line 199");
}

TEST_F(ControlTest, ALateHeartbeatLeavesTheJobAlone) {
  const std::string job = plane_.submit("one");
  FakeAgent agent(plane_.cloud_.waitForMachine());
  ASSERT_TRUE(agent.await(Directive::Kind::run));
  api::ReportMessage message = agent.aboutWork();
  message.phases = {{MemberPhase::running, Duration{1}}};
  EXPECT_EQ(agent.report(message).status, 200);
  plane_.advance(std::chrono::minutes{10});
  EXPECT_EQ(agent.report(message).status, 200);
  agent.runToTheEnd({}, 0);
  const json view = plane_.finished(job);
  EXPECT_EQ(view["phase"], "succeeded");
  EXPECT_EQ(view["attempts"], 1);
}

TEST_F(ControlTest, AReplacedAgentIsRefused) {
  const std::string job = plane_.submit("one");
  FakeAgent old(plane_.cloud_.waitForMachine());
  const auto work = old.await(Directive::Kind::run);
  ASSERT_TRUE(work);
  api::ReportMessage message = old.aboutWork();
  message.phases = {{MemberPhase::running, Duration{1}}};
  EXPECT_EQ(old.report(message).status, 200);
  plane_.cloud_.vanish(old.config().machine);
  FakeAgent next(plane_.cloud_.waitForMachine({old.config().machine}));
  ASSERT_TRUE(next.await(Directive::Kind::run));
  message.result = engine::MemberResult{};
  EXPECT_EQ(old.report(message).status, 403);
  EXPECT_EQ(old.log(work->directive, 0, "1 o late\n").status, 403);
  // A machine that is still there, but tells of an epoch that is over.
  message = next.aboutWork();
  message.epoch = work->directive.epoch;
  message.result = engine::MemberResult{};
  EXPECT_EQ(next.report(message).status, 409);
  next.runToTheEnd({}, 0);
  const json view = plane_.finished(job);
  EXPECT_EQ(view["phase"], "succeeded");
  EXPECT_EQ(view["attempts"], 2);
}

TEST_F(ControlTest, TokensOfMachinesAndPeopleAreKeptApart) {
  plane_.submit("one");
  api::AgentConfig config = plane_.cloud_.waitForMachine();
  FakeAgent agent(config);
  ASSERT_TRUE(agent.hello());
  config.token = "m1.0000000000000000000000000000000000000000000000000000000000000000";
  EXPECT_EQ(FakeAgent(config).hello().error().code, ErrorCode::unauthenticated);
  config.token = "";
  EXPECT_EQ(FakeAgent(config).hello().error().code, ErrorCode::unauthenticated);
}

TEST_F(ControlTest, TcpNeedsATokenAndTls) {
  plane_.options_.listen = {{"127.0.0.1", 0}};
  plane_.restart();
  const auto endpoint = net::parseEndpoint(plane_.plane_->endpoints().at(1));
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->kind, net::Endpoint::Kind::tls);
  net::Request request;
  request.method = "GET";
  request.target = "/v1/jobs";
  net::ClientOptions options;
  options.pinned_fingerprint = plane_.plane_->fingerprint();
  EXPECT_EQ(net::makeClient(*endpoint, options)->send(request, kTestLimit)->status, 401);
  options.bearer_token = std::string(trim(*os::readFile(plane_.options_.state_dir + "/token")));
  EXPECT_EQ(net::makeClient(*endpoint, options)->send(request, kTestLimit)->status, 200);
  const json made = json::parse(plane_.call("POST", "/v1/server/tokens").body);
  options.bearer_token = made["token"];
  EXPECT_EQ(net::makeClient(*endpoint, options)->send(request, kTestLimit)->status, 200);
  options.bearer_token += "x";
  EXPECT_EQ(net::makeClient(*endpoint, options)->send(request, kTestLimit)->status, 401);
}

// What the server answers to the header of a request whose body does not come.
std::string answerToHeader(std::uint16_t port, const std::string& target, const std::string& token) {
  const os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{std::chrono::seconds{kTestLimit}.count(), 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  std::string header = "POST " + target + " HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\n";
  if (!token.empty()) header += "Authorization: Bearer " + token + "\r\n";
  header += "Content-Length: 60000000\r\n\r\n";
  EXPECT_EQ(::send(fd.get(), header.data(), header.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(header.size()));
  std::string answer;
  char piece[1024];
  while (answer.find("\r\n") == std::string::npos) {
    const ssize_t count = ::recv(fd.get(), piece, sizeof piece, 0);
    if (count <= 0) break;
    answer.append(piece, static_cast<std::size_t>(count));
  }
  return answer.substr(0, answer.find("\r\n"));
}

TEST_F(ControlTest, StrangersAreRefusedBeforeTheirBodiesAreRead) {
  plane_.options_.listen = {{"127.0.0.1", 0}};
  plane_.options_.insecure = true;
  plane_.restart();
  const std::uint16_t port = net::parseEndpoint(plane_.plane_->endpoints().at(1))->port;
  const std::string person(trim(*os::readFile(plane_.options_.state_dir + "/token")));
  plane_.submit("one");
  const std::string machine = plane_.cloud_.waitForMachine().token;
  const auto refused = HasSubstr(" 401 ");
  const auto admitted = HasSubstr(" 100 ");
  for (const std::string token : {"", "wrong", "m1.wrong"}) {
    EXPECT_THAT(answerToHeader(port, "/v1/jobs", token), refused);
    EXPECT_THAT(answerToHeader(port, "/v1/agent/logs", token), refused);
    EXPECT_THAT(answerToHeader(port, "/nowhere", token), refused);
  }
  EXPECT_THAT(answerToHeader(port, "/v1/jobs", machine), refused);
  EXPECT_THAT(answerToHeader(port, "/v1/agent/logs", person), refused);
  EXPECT_THAT(answerToHeader(port, "/v1/jobs", person), admitted);
  EXPECT_THAT(answerToHeader(port, "/v1/agent/logs", machine), admitted);
}

TEST_F(ControlTest, OrphansAreEndedAndOthersAdopted) {
  plane_.submit("one");
  const MachineId machine = plane_.cloud_.waitForMachine().machine;
  plane_.stop();
  plane_.cloud_.addOrphan(MachineId{999});
  plane_.start();
  plane_.cloud_.waitForEnd(MachineId{999});
  EXPECT_THAT(plane_.cloud_.alive(), ElementsAre(machine));
  EXPECT_EQ(plane_.cloud_.launches(machine), 1);
}

TEST_F(ControlTest, WhatBecomesNobodysIsEndedWhileItRuns) {
  plane_.options_.reap_every = std::chrono::milliseconds{5};
  plane_.restart();
  plane_.cloud_.addOrphan(MachineId{999});
  plane_.cloud_.waitForEnd(MachineId{999});
}

TEST_F(ControlTest, AProviderThatDoesNotAnswerAtTheStartIsAskedAgain) {
  plane_.options_.reap_retry = std::chrono::milliseconds{5};
  plane_.cloud_.addOrphan(MachineId{999});
  plane_.cloud_.refuseToList(2);
  plane_.restart();
  plane_.cloud_.waitForEnd(MachineId{999});
}

TEST_F(ControlTest, StartingAndStoppingWaitForNoCloud) {
  plane_.cloud_.beRemote();
  plane_.cloud_.addOrphan(MachineId{999});
  plane_.cloud_.holdLists(true);
  plane_.restart();
  EXPECT_EQ(plane_.call("GET", "/v1/jobs").status, 200);
  plane_.restart();
  plane_.cloud_.holdLists(false);
  plane_.cloud_.waitForEnd(MachineId{999});
}

TEST_F(ControlTest, AMachineElsewhereIsToldWhereTheServerIs) {
  plane_.cloud_.beRemote();
  plane_.options_.config.advertise = "https://buoy.example.org:7433";
  plane_.options_.listen = {{"127.0.0.1", 0}};
  plane_.restart();
  plane_.submit("job", {}, R"(,"machines":1)");
  const api::AgentConfig config = plane_.cloud_.waitForMachine();
  EXPECT_EQ(config.server, "https://buoy.example.org:7433");
  EXPECT_EQ(config.server_fingerprint, plane_.plane_->fingerprint());
}

TEST_F(ControlTest, AMachineElsewhereThatIsLaunchedAgainAfterARestartIsToldTheSame) {
  plane_.cloud_.beRemote();
  plane_.cloud_.loseAnswers(true);
  plane_.options_.config.advertise = "https://buoy.example.org:7433";
  plane_.options_.listen = {{"127.0.0.1", 0}};
  plane_.restart();
  plane_.submit("job");
  const api::AgentConfig first = plane_.cloud_.waitForMachine();
  plane_.restart();
  const api::AgentConfig again = plane_.cloud_.toldAtLaunch(first.machine, 2);
  EXPECT_EQ(again.server, first.server);
  EXPECT_EQ(again.token, first.token);
  EXPECT_EQ(again.server_fingerprint, plane_.plane_->fingerprint());
  EXPECT_FALSE(again.server_fingerprint.empty());
}

TEST_F(ControlTest, AMachineElsewhereIsNotLaunchedWhereItCouldNotReachTheServer) {
  plane_.cloud_.beRemote();
  plane_.options_.listen = {{"127.0.0.1", 0}};
  plane_.restart();
  const std::string job = plane_.submit("job");
  std::string told;
  for (int i = 0; i < 200 && told.find("advertise") == std::string::npos; ++i) {
    told = plane_.call("GET", "/v1/jobs/" + job + "/events").body;
    plane_.advance(std::chrono::seconds{1});
  }
  EXPECT_THAT(told, HasSubstr("set `advertise: https://HOST:PORT`"));
  EXPECT_TRUE(plane_.cloud_.alive().empty());
}

TEST_F(ControlTest, ASecondServerIsRefused) {
  const auto second = ControlPlane::start(plane_.options_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(::getpid())));
  EXPECT_EQ(plane_.call("GET", "/v1/server").status, 200) << "the first one goes on";
}

TEST_F(ControlTest, BlobsAreCheckedAndKeptOnce) {
  const std::string content = "source";
  const std::string hash = objstore::sha256Hex(content);
  const std::string other(64, 'a');
  const std::string ask = R"({"hashes":[")" + hash + R"(",")" + other + R"("]})";
  EXPECT_EQ(plane_.call("PUT", "/v1/blobs/" + other, content).status, 400);
  EXPECT_EQ(plane_.call("PUT", "/v1/blobs/nonsense", content).status, 400);
  EXPECT_EQ(json::parse(plane_.call("POST", "/v1/blobs/missing", ask).body)["missing"].size(), 2u);
  EXPECT_EQ(plane_.call("PUT", "/v1/blobs/" + hash, content).status, 204);
  EXPECT_EQ(plane_.call("PUT", "/v1/blobs/" + hash, content).status, 204);
  EXPECT_EQ(json::parse(plane_.call("POST", "/v1/blobs/missing", ask).body)["missing"], json::array({other}));
}

TEST_F(ControlTest, OutputsAreListedAndFetched) {
  const std::string job = plane_.submit("one");
  const auto objects = objstore::openStore("file://" + plane_.options_.state_dir + "/store");
  const std::string cluster = plane_.get("/v1/server")["cluster"];
  ASSERT_TRUE((*objects)->put(cluster + "/" + job + "/outputs/dir/model.pt", "weights"));
  EXPECT_EQ(plane_.get("/v1/jobs/one/outputs")["outputs"][0]["path"], "dir/model.pt");
  EXPECT_EQ(plane_.call("GET", "/v1/jobs/one/outputs/dir/model.pt").body, "weights");
  EXPECT_EQ(plane_.call("GET", "/v1/jobs/one/outputs/none").status, 404);
  EXPECT_GE(plane_.call("GET", "/v1/jobs/one/outputs/../../secret").status, 400);
}

// Solves plans only when it is let.
class SlowPlans final : public engine::PlacementPolicy {
 public:
  explicit SlowPlans(const engine::PlacementPolicy& inner) : inner_(inner) {}
  engine::Placement place(const engine::PlacementRequest& request, std::span<const engine::PoolView> pools,
                          Time now) const override {
    return inner_.place(request, pools, now);
  }
  engine::SpotDecision steer(engine::SpotRule rule, const engine::SpotView& view) const override {
    return inner_.steer(rule, view);
  }
  std::shared_ptr<const engine::SpotPlan> plan(engine::SpotRule rule,
                                               const engine::SpotView& view) const override {
    begun_.count_down();
    allowed_.wait();
    return inner_.plan(rule, view);
  }

  mutable std::latch begun_{1}, allowed_{1};

 private:
  const engine::PlacementPolicy& inner_;
};

TEST_F(ControlTest, APlanThatIsBeingSolvedHoldsNobodyUp) {
  const SlowPlans policy(plane_.policy_);
  plane_.options_.policy = &policy;
  plane_.restart();
  const std::string job = plane_.submit("long", "", R"(,"deadline":"20h","work":"10h","checkpoint":{})");
  policy.begun_.wait();
  EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 1u);
  plane_.submit("other");
  FakeAgent other(plane_.cloud_.waitForMachine());
  other.runToTheEnd({"one"}, 0);
  EXPECT_EQ(plane_.finished("other")["phase"], "succeeded");
  EXPECT_EQ(plane_.get("/v1/jobs/" + job)["phase"], "queued") << "nothing is begun without its plan";
  policy.allowed_.count_down();
  FakeAgent agent(plane_.cloud_.waitForMachine({other.config().machine}));
  EXPECT_TRUE(agent.await(Directive::Kind::run));
  std::size_t decided = 0;
  for (const json& line : plane_.stream("/v1/jobs/" + job + "/why")) {
    if (line["kind"] != "steered") continue;
    ++decided;
    EXPECT_EQ(line["rederived"], true) << line.dump();
  }
  EXPECT_EQ(decided, 2u) << "without its plan, and with it";
  // The control plane outlives this function, and so must its policy.
  plane_.options_.policy = &plane_.policy_;
  plane_.restart();
}

TEST_F(ControlTest, PoolsAndQueuesCanBeChanged) {
  json pool = plane_.get("/v1/pools")["pools"][0];
  EXPECT_EQ(pool["name"], "local");
  EXPECT_EQ(plane_.get("/v1/queues")["queues"][0]["unfinished"], 0);
  pool["max_machines"] = 5;
  EXPECT_EQ(plane_.call("PUT", "/v1/pools/local", pool.dump()).status, 200);
  EXPECT_EQ(plane_.call("PUT", "/v1/pools/other", pool.dump()).status, 400);
  plane_.restart();
  EXPECT_EQ(plane_.get("/v1/pools")["pools"][0]["max_machines"], 5)
      << "an unchanged configuration is not put again";
  EXPECT_EQ(plane_.call("PUT", "/v1/queues/fast", R"({"name":"fast","priority":9,"pools":["local"]})").status,
            200);
  const net::Response unknown = plane_.call("PUT", "/v1/queues/fast", R"({"name":"fast","pools":["locl"]})");
  EXPECT_EQ(unknown.status, 400);
  EXPECT_THAT(unknown.body, HasSubstr("did you mean 'local'?"));
  plane_.submit("one", "", R"(,"queue":"fast")");
}

TEST_F(ControlTest, AMachineIsHeldOpenAndClosed) {
  const net::Response opened = plane_.call(
      "POST", "/v1/machines", R"({"pool":"local","market":"spot","resources":{"cpus":1},"holder":"me"})");
  ASSERT_EQ(opened.status, 201) << opened.body;
  const std::string machine = json::parse(opened.body)["id"];
  const api::AgentConfig config = plane_.cloud_.waitForMachine();
  EXPECT_EQ(config.machine.toString(), machine);
  EXPECT_EQ(plane_.get("/v1/machines")["machines"].size(), 1u);
  EXPECT_EQ(plane_.call("DELETE", "/v1/machines/" + machine).status, 200);
  plane_.cloud_.waitForEnd(config.machine);
}

TEST_F(ControlTest, TheDocumentOfTheApiIsServed) {
  EXPECT_TRUE(plane_.get("/v1/openapi.json").contains("openapi"));
}

TEST_F(ControlTest, StopIsAskedForThroughTheApi) {
  std::atomic<bool> asked = false;
  plane_.options_.on_stop_requested = [&] {
    asked = true;
    asked.notify_all();
  };
  plane_.restart();
  EXPECT_EQ(plane_.call("POST", "/v1/server/stop").status, 202);
  asked.wait(false);
}

}  // namespace
}  // namespace buoy::control
