#include "api/agent_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace buoy::api {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(AgentConfigs, RoundTrip) {
  const AgentConfig config{.cluster = "c1",
                           .machine = MachineId{7},
                           .server = "unix:/run/a b.sock",
                           .token = "m7.secret",
                           .server_fingerprint = "sha256:ab",
                           .store = "file:///srv",
                           .directory = "/m/m7",
                           .notice_file = "/m/m7/notice",
                           .address = "127.0.0.1",
                           .cache = "/m/cache",
                           .container_socket = "/m/m7/containers.sock",
                           .milli_cpus = 1500,
                           .memory = ByteCount{1 << 28},
                           .cache_limit = ByteCount{1 << 30},
                           .heartbeat = 1500ms,
                           .orphan_after = 10min,
                           .notice = 30s};
  const auto parsed = parseAgentConfig(toJson(config));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(toJson(*parsed), toJson(config));
  EXPECT_EQ(parsed->heartbeat, 1500ms);
  EXPECT_EQ(parsed->cache, "/m/cache");
  EXPECT_EQ(parsed->cache_limit, ByteCount{1 << 30});
  EXPECT_EQ(parsed->machine, MachineId{7});
}

TEST(AgentConfigs, RoundTripOfAPart) {
  AgentConfig config{.cluster = "c1",
                     .machine = MachineId{8},
                     .server = "unix:/s",
                     .token = "m8.secret",
                     .store = "file:///srv",
                     .directory = "/m/m7/parts/m8"};
  config.part = true;
  config.devices = {0, 3};
  const auto parsed = parseAgentConfig(toJson(config));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(parsed->part);
  EXPECT_EQ(parsed->devices, config.devices);
}

TEST(AgentConfigs, NeedWhatTheAgentCannotDoWithout) {
  EXPECT_THAT(parseAgentConfig("{}").error().message, HasSubstr("cluster: is required"));
  EXPECT_EQ(parseAgentConfig("{}").error().code, ErrorCode::invalid_argument);
}

TEST(Hellos, RoundTripAndIgnoreWhatTheyDoNotKnow) {
  const auto parsed =
      parseHello(R"({"machine":"m3","version":"9","address":"10.0.0.1","mood":{"good":[1]}})");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->machine, MachineId{3});
  EXPECT_EQ(toJson(*parsed), R"({"machine":"m3","version":"9","address":"10.0.0.1"})");
  EXPECT_FALSE(parseHello(R"({"version":"9"})"));
  EXPECT_THAT(parseHello(R"({"machine":"j3"})").error().message, HasSubstr("machine: must be an id like m7"));
}

TEST(DirectiveMessages, RoundTrip) {
  DirectiveMessage message;
  message.generation = 12;
  message.directive = {engine::Directive::Kind::run, JobId{4}, 2, 9, 1, {"10.0.0.1", "10.0.0.2"},
                       engine::StopReason::none,     30s,      3};
  message.saving.hazard = {{{0s, 1.5}, {12min, 0.25}}, 0.125};
  message.saving.machine_age = 90s;
  message.isolation = engine::Isolation::process;
  message.saving.last = {
      .bytes = 7, .sent = 5, .took = 2s, .wrote = 1s, .bytes_per_second = 3, .notice = 30s};
  message.spec = R"({"name":"x","run":"echo \"hi\""})";
  message.store_prefix = "c1/j4";
  const auto parsed = parseDirectiveMessage(toJson(message));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->generation, 12u);
  EXPECT_EQ(parsed->directive, message.directive);
  EXPECT_EQ(parsed->spec, message.spec);
  EXPECT_EQ(parsed->store_prefix, message.store_prefix);
  EXPECT_EQ(parsed->saving, message.saving);
}

TEST(DirectiveMessages, RoundTripTheParts) {
  using Close = engine::Directive::Part::Close;
  DirectiveMessage message;
  message.directive.parts = {
      {MachineId{8}, {.milli_cpus = 1500, .gpus = 2, .memory = ByteCount{1 << 30}}, {1, 3}, Close::no},
      {MachineId{9}, {.milli_cpus = 250}, {}, Close::when_done},
      {MachineId{10}, {}, {}, Close::by_force}};
  message.tokens = {"m8.a", "m9.b", "m10.c"};
  const auto parsed = parseDirectiveMessage(toJson(message));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->directive, message.directive);
  EXPECT_EQ(parsed->tokens, message.tokens);
  const auto with = [](const std::string& part) {
    return parseDirectiveMessage(R"({"generation":1,"directive":{"kind":"idle"},"parts":[)" + part + "]}");
  };
  EXPECT_TRUE(with(R"({"machine":"m8","devices":["0"]})"));
  EXPECT_FALSE(with(R"({"machine":"m8","devices":["-1"]})"));
  EXPECT_FALSE(with(R"({"machine":"m8","devices":["x"]})"));
  EXPECT_FALSE(with(R"({"machine":"m8","close":"perhaps"})"));
  EXPECT_FALSE(with(R"({"milli_cpus":1})"));
}

TEST(DirectiveMessages, RefuseRatesThatAreNone) {
  const auto with = [](const std::string& saving) {
    return parseDirectiveMessage(R"({"generation":1,"directive":{"kind":"run"},"saving":)" + saving + "}");
  };
  EXPECT_TRUE(with(R"({"hazard":[{"from":0,"per_hour":2}],"unnoticed":0})"));
  EXPECT_FALSE(with(R"({"hazard":[{"from":0,"per_hour":-2}]})"));
  EXPECT_FALSE(with(R"({"hazard":[{"from":0,"per_hour":"NaN"}]})"));
  EXPECT_FALSE(with(R"({"hazard":[],"unnoticed":1.5})"));
}

TEST(DirectiveMessages, RoundTripEveryKindAndReason) {
  using Kind = engine::Directive::Kind;
  using engine::StopReason;
  for (const Kind kind : {Kind::idle, Kind::run, Kind::stop, Kind::shutdown}) {
    for (const StopReason stop :
         {StopReason::none, StopReason::cancelled, StopReason::max_run, StopReason::max_wait,
          StopReason::peer_lost, StopReason::peer_failed, StopReason::notice}) {
      DirectiveMessage message;
      message.directive.kind = kind;
      message.directive.stop = stop;
      const auto parsed = parseDirectiveMessage(toJson(message));
      ASSERT_TRUE(parsed);
      EXPECT_EQ(parsed->directive, message.directive);
    }
  }
  EXPECT_FALSE(parseDirectiveMessage(R"({"generation":1})"));
  EXPECT_FALSE(parseDirectiveMessage(R"({"generation":1,"directive":{"kind":"dance"}})"));
  EXPECT_FALSE(parseDirectiveMessage(R"({"generation":-1,"directive":{"kind":"idle"}})"));
}

TEST(ReportMessages, RoundTrip) {
  ReportMessage message;
  message.machine = MachineId{7};
  message.job = JobId{4};
  message.epoch = 3;
  message.phases = {{engine::MemberPhase::preparing, 2s}, {engine::MemberPhase::running, 1250us}};
  message.committed_version = 5;
  message.committed_covers_age = 1s;
  message.result = engine::MemberResult{engine::MemberResult::Kind::setup_failed, -1, "no \"disk\"\n"};
  message.notice_in = 29'500ms;
  message.metrics = {{"loss", 0.125, 1s, 1}, {"loss", std::nan(""), 0s, 2}, {"up", HUGE_VAL, 0s, 3}};
  message.events = {"restored version 4", "\xFF"};
  message.events_from = 8;
  message.closed = {{MachineId{8}, "its agent ended with exit code 3"}, {MachineId{9}, ""}};
  const auto parsed = parseReportMessage(toJson(message));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->phases.size(), 2u);
  EXPECT_EQ(parsed->phases[1].age, 1250us);
  EXPECT_EQ(parsed->result->kind, engine::MemberResult::Kind::setup_failed);
  EXPECT_EQ(parsed->result->exit_code, -1);
  EXPECT_EQ(parsed->result->detail, "no \"disk\"\n");
  EXPECT_EQ(parsed->notice_in, 29'500ms);
  EXPECT_EQ(parsed->metrics[0].value, 0.125);
  EXPECT_TRUE(std::isnan(parsed->metrics[1].value));
  EXPECT_EQ(parsed->metrics[2].value, HUGE_VAL);
  EXPECT_EQ(parsed->events[1], "\xEF\xBF\xBD") << "JSON holds only UTF-8";
  EXPECT_EQ(toJson(*parsed), toJson([&] {
              message.events[1] = "\xEF\xBF\xBD";
              return message;
            }()));
}

TEST(ReportMessages, AreHeartbeatsWhenTheyHaveNoJob) {
  ReportMessage message;
  message.machine = MachineId{1};
  const auto parsed = parseReportMessage(toJson(message));
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->job);
  EXPECT_FALSE(parsed->result);
  EXPECT_FALSE(parsed->notice_in);
}

// A clock that jumped must not make an agent's reports invalid for ever.
TEST(ReportMessages, TakeAgesOfAnySizeAndSign) {
  ReportMessage message;
  message.machine = MachineId{1};
  message.committed_covers_age = std::chrono::hours{24 * 365 * 80};
  message.notice_in = -5s;
  const auto parsed = parseReportMessage(toJson(message));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->committed_covers_age, message.committed_covers_age);
  EXPECT_EQ(parsed->notice_in, -5s);
}

TEST(ReportMessages, NameTheFieldThatIsWrong) {
  EXPECT_THAT(parseReportMessage(R"({"machine":"m1","phases":[{"phase":"flying"}]})").error().message,
              HasSubstr("phases.phase: 'flying'"));
  EXPECT_THAT(parseReportMessage(R"({"machine":"m1","epoch":"1"})").error().message,
              HasSubstr("epoch: must be a whole number"));
  EXPECT_THAT(parseReportMessage("[]").error().message, HasSubstr("must be a map"));
  EXPECT_THAT(parseReportMessage("").error().message, HasSubstr("is not valid JSON"));
}

}  // namespace
}  // namespace buoy::api
