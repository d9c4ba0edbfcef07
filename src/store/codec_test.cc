#include "store/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "store/ordered_decoder.h"

namespace buoy::store {
namespace {

using namespace engine;

Time anyTime() {
  return Time{Duration{*rc::gen::arbitrary<std::int64_t>()}};
}
Duration anyDuration() {
  return Duration{*rc::gen::arbitrary<std::int64_t>()};
}
PricePerHour anyPrice() {
  return {*rc::gen::arbitrary<std::int64_t>()};
}
std::string anyText() {
  return *rc::gen::string<std::string>() + "\"\\\n\x01 é ✓";
}
template <class T>
T any() {
  return *rc::gen::arbitrary<T>();
}
template <class T>
T oneOf(int last) {
  return static_cast<T>(*rc::gen::inRange(0, last + 1));
}
std::string validText() {
  std::string text;
  for (const char c : anyText()) {
    if (static_cast<unsigned char>(c) < 0x80) text += c;
  }
  return text + " é ✓";
}

Resources anyResources() {
  return {any<std::int32_t>(), any<std::int32_t>(), ByteCount{any<std::uint64_t>()}};
}

std::unique_ptr<Attempt> anyAttempt() {
  if (any<bool>()) return nullptr;
  auto attempt = std::make_unique<Attempt>();
  attempt->number = any<std::uint32_t>();
  attempt->epoch = any<std::uint64_t>();
  attempt->created = anyTime();
  attempt->directed = any<bool>();
  attempt->interrupted = any<bool>();
  attempt->failed = any<bool>();
  attempt->verify_until = anyTime();
  attempt->vacant_since = anyTime();
  for (int n = *rc::gen::inRange(0, 3); n > 0; --n) {
    Member& member = attempt->members.emplace_back();
    member.machine = MachineId{any<std::uint64_t>()};
    member.phase = oneOf<MemberPhase>(5);
    member.phase_since = anyTime();
    if (any<bool>())
      member.result = MemberResult{oneOf<MemberResult::Kind>(4), any<std::int32_t>(), validText()};
    member.committed_version = any<std::uint64_t>();
    member.running_since = anyTime();
    member.accounted_until = anyTime();
    member.stop = oneOf<StopReason>(6);
    member.stop_since = anyTime();
    member.verified = any<bool>();
    if (any<bool>()) member.held.push_back({anyTime(), anyTime(), anyPrice(), anyPrice()});
  }
  return attempt;
}

Job anyJob() {
  Job job;
  job.id = JobId{any<std::uint64_t>()};
  job.request = {validText(),         validText(),          {validText()},
                 any<std::int32_t>(), anyResources(),       oneOf<SpotPreference>(2),
                 any<std::int32_t>(), validText(),          any<std::int32_t>(),
                 anyDuration(),       anyDuration(),        anyDuration(),
                 oneOf<SpotRule>(4),  anyDuration(),        anyTime(),
                 anyDuration(),       {any<std::int64_t>()}};
  job.request.begins_again = any<bool>();
  job.request.main_decides = any<bool>();
  job.phase = oneOf<JobPhase>(8);
  job.stop = oneOf<StopReason>(6);
  job.submitted = anyTime();
  job.phase_since = anyTime();
  job.waiting_since = anyTime();
  job.ran = anyDuration();
  job.attempts = any<std::uint32_t>();
  job.failures = any<std::uint32_t>();
  job.epoch = any<std::uint64_t>();
  if (any<bool>()) job.exit_code = any<std::int32_t>();
  job.reason = validText();
  job.current = anyAttempt();
  job.next = anyAttempt();
  if (any<bool>()) {
    job.ledger = std::make_unique<Ledger>();
    for (Duration& time : job.ledger->time) time = anyDuration();
    for (Money& cost : job.ledger->cost) cost = {any<std::int64_t>()};
    job.ledger->queued = anyDuration();
    job.ledger->on_demand_cost = {any<std::int64_t>()};
    job.ledger->reclaims_noticed = any<std::uint32_t>();
    job.ledger->reclaims_unnoticed = any<std::uint32_t>();
  }
  job.last_version = any<std::uint64_t>();
  return job;
}

// Every field is in the text (describe.h's bindings see to that), so equal texts mean equal values.
RC_GTEST_PROP(CodecTest, JobsSurviveExactly, ()) {
  const Job job = anyJob();
  const std::string text = encodeJob(job);
  const auto decoded = decodeJob(text);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(encodeJob(*decoded) == text);
  RC_ASSERT(decoded->id == job.id);
  RC_ASSERT(decoded->request.name == job.request.name);
  RC_ASSERT(decoded->request.stop_grace == job.request.stop_grace);
  RC_ASSERT(decoded->request.begins_again == job.request.begins_again);
  RC_ASSERT(decoded->request.main_decides == job.request.main_decides);
  RC_ASSERT(decoded->submitted == job.submitted);
  RC_ASSERT(decoded->exit_code == job.exit_code);
  RC_ASSERT((decoded->current == nullptr) == (job.current == nullptr));
  if (job.ledger) RC_ASSERT(decoded->ledger->cost == job.ledger->cost);
}

RC_GTEST_PROP(CodecTest, MachinesSurviveExactly, ()) {
  Machine machine;
  machine.id = MachineId{any<std::uint64_t>()};
  machine.pool = validText();
  machine.type = validText();
  machine.market = oneOf<Market>(1);
  machine.price = anyPrice();
  machine.on_demand_price = anyPrice();
  machine.phase = oneOf<MachinePhase>(5);
  machine.job = JobId{any<std::uint64_t>()};
  machine.epoch = any<std::uint64_t>();
  machine.rank = any<std::int32_t>();
  machine.holder = validText();
  machine.billed_from = anyTime();
  machine.use = oneOf<Use>(5);
  machine.unreachable = any<bool>();
  if (any<bool>()) machine.notice_deadline = anyTime();
  if (any<bool>()) {
    machine.host = MachineId{1 + any<std::uint32_t>()};
    machine.part = anyResources();
    machine.devices = {any<std::int32_t>(), any<std::int32_t>()};
  }
  const std::string text = encodeMachine(machine);
  const auto decoded = decodeMachine(text);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(encodeMachine(*decoded) == text);
  RC_ASSERT(decoded->notice_deadline == machine.notice_deadline);
  RC_ASSERT(decoded->host == machine.host && decoded->part == machine.part);
  RC_ASSERT(decoded->devices == machine.devices);
}

TEST(CodecTest, PoolsAndQueuesSurviveExactly) {
  Pool pool;
  pool.name = "local";
  pool.provider = "local";
  pool.types = {{"small", {500, 1, ByteCount{1ull << 40}}, {1'000'000'000}, {300'000'001}},
                {"large", {}, {}, {}}};
  pool.max_machines = 8;
  pool.max_milli_cpus = 64'000;
  pool.min_machines = 2;
  pool.spot = false;
  pool.paused = true;
  pool.provider_config = R"({"script": [1, 2]})";
  pool.retry_at = Time{Duration{7}};
  const auto decoded = decodePool(encodePool(pool));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(encodePool(*decoded), encodePool(pool));
  EXPECT_EQ(decoded->provider_config, pool.provider_config);
  EXPECT_FALSE(decoded->spot);
  Queue queue{"default", -3, {"a", "b"}, true};
  queue.fair = engine::FairShare{std::chrono::hours{1}, 20, {{"team*", 0.125}, {"ada", 3}}};
  queue.stuck_limits = {{engine::StuckFor::too_large, std::chrono::minutes{10}, "no"}};
  queue.used = {{"ada", 1234.5}};
  queue.used_at = Time{Duration{9}};
  const auto queue_decoded = decodeQueue(encodeQueue(queue));
  ASSERT_TRUE(queue_decoded);
  EXPECT_EQ(queue_decoded->pools, queue.pools);
  EXPECT_EQ(queue_decoded->priority, -3);
  EXPECT_EQ(queue_decoded->fair, queue.fair);
  EXPECT_EQ(queue_decoded->stuck_limits, queue.stuck_limits);
  EXPECT_EQ(queue_decoded->used, queue.used);
  EXPECT_EQ(encodeQueue(*queue_decoded), encodeQueue(queue));
}

TEST(CodecTest, ScoresThatAreNoNumbersSurvive) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto decoded = decodeCandidates(encodeCandidates({{"a", "t", Market::spot, {5}, 0.1, ""},
                                                          {"b", "t", Market::on_demand, {}, -infinity, "no"},
                                                          {"c", "", {}, {}, NAN, ""}}));
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->size(), 3u);
  EXPECT_EQ((*decoded)[0].score, 0.1);
  EXPECT_EQ((*decoded)[1].score, -infinity);
  EXPECT_EQ((*decoded)[1].rejected, "no");
  EXPECT_TRUE(std::isnan((*decoded)[2].score));
}

TEST(CodecTest, BadBytesBecomeReplacementCharacters) {
  Queue queue;
  queue.name =
      "a\xFF"
      "b\xC3";
  const auto decoded = decodeQueue(encodeQueue(queue));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->name,
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD");
}

// White space is what the encoder never writes: the same text by way of the other decoder.
std::string spaced(const std::string& text) {
  return text.empty() ? text : text.substr(0, 1) + " " + text.substr(1);
}

RC_GTEST_PROP(CodecTest, WhatIsWrittenIsReadInOnePassAndAsTheDocumentSays, ()) {
  const std::string text = encodeJob(anyJob());
  Job job;
  RC_ASSERT(OrderedDecoder(text).whole(R"({"v":1)", job));
  RC_ASSERT(encodeJob(job) == text);
  const auto document = decodeJob(spaced(text));
  RC_ASSERT(document.has_value());
  RC_ASSERT(encodeJob(*document) == text);
}

RC_GTEST_PROP(CodecTest, DamagedTextIsReadInOnePassOnlyAsTheDocumentSays, ()) {
  std::string text = encodeJob(anyJob());
  for (int n = *rc::gen::inRange(1, 4); n > 0; --n) {
    const auto at = *rc::gen::inRange<std::size_t>(1, text.size());
    if (any<bool>()) {
      text.erase(at, *rc::gen::inRange<std::size_t>(1, 5));
    } else {
      text.insert(at, 1, *rc::gen::elementOf(std::string("0-.e,:\"\\{}[]un\x01\x80")));
    }
  }
  const auto decoded = decodeJob(text), document = decodeJob(spaced(text));
  RC_ASSERT(decoded.has_value() == document.has_value());
  if (decoded) RC_ASSERT(encodeJob(*decoded) == encodeJob(*document));
  if (!decoded) RC_ASSERT(decoded.error().code == document.error().code);
}

TEST(CodecTest, DamageIsDataLossAndNamesThePlace) {
  EXPECT_EQ(decodeJob("{").error().code, ErrorCode::data_loss);
  EXPECT_EQ(decodeJob("[]").error().code, ErrorCode::data_loss);
  EXPECT_EQ(decodeQueue(R"({"v":1,"pools":7})").error().code, ErrorCode::data_loss);
  EXPECT_EQ(decodeQueue(R"({"v":1,"priority":99999999999})").error().code, ErrorCode::data_loss);
  EXPECT_THAT(decodeJob(R"({"v":1,"request":{"spot":"perhaps"}})").error().message,
              testing::HasSubstr("request: spot: unknown value 'perhaps'"));
}

TEST(CodecTest, NewerVersionsAreRefusedAndUnknownFieldsIgnored) {
  EXPECT_EQ(decodeQueue(R"({"v":2,"name":"q"})").error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(decodeQueue(R"({"v":1,"name":"q","colour":{"r":1}})")->name, "q");
}

}  // namespace
}  // namespace buoy::store
