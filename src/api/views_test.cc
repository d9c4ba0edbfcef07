#include "api/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "api/config.h"
#include "api/json_writer.h"
#include "api/reader.h"

namespace buoy::api {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr Time kNow{1'795'224'123'123'456us};

LedgerView someLedger() {
  LedgerView ledger;
  for (std::size_t i = 0; i < engine::kUseCount; ++i) {
    ledger.time[i] = Duration{static_cast<std::int64_t>(i) * 1'000'001};
    ledger.cost[i] = Money{static_cast<std::int64_t>(i) * 123'456'789};
  }
  ledger.queued = 1500ms;
  ledger.on_demand_cost = Money{10'000'000'001};
  ledger.reclaims_noticed = 2;
  ledger.reclaims_unnoticed = 1;
  return ledger;
}

SpanView someSpan() {
  return SpanView{MachineId{7},
                  JobId{4},
                  2,
                  engine::Use::redone,
                  kNow,
                  kNow + 90s,
                  PricePerHour{300'000'000},
                  PricePerHour{1'000'000'000}};
}

JobView someJob() {
  JobView job;
  job.id = JobId{42};
  job.request.name = "dig\"its";
  job.request.queue = "night";
  job.request.machines = 2;
  job.request.resources = {500, 1, ByteCount{1u << 30}};
  job.request.pools = {"a", "b"};
  job.request.spot = engine::SpotPreference::only;
  job.request.priority = -3;
  job.request.retry_failures = 2;
  job.request.max_run = 2h;
  job.phase = engine::JobPhase::recovering;
  job.reason = "lost m7";
  job.exit_code = 137;
  job.submitted = kNow;
  job.phase_since = kNow + 1s;
  job.ran = 90s;
  job.attempts = 3;
  job.failures = 1;
  job.machines = {MachineId{7}, MachineId{8}};
  job.members = {{MachineId{7}, 0, engine::MemberPhase::running, kNow},
                 {MachineId{8}, 1, engine::MemberPhase::restoring, kNow}};
  job.ledger = someLedger();
  job.last_version = 9;
  job.spec = toJson(JobSpec{.name = "x", .run = "a\nb"});
  job.spans = {someSpan()};
  job.metrics = {{"loss", 12, 2.5, 0.5, 0.25, 3}};
  return job;
}

TEST(JobViews, RoundTrip) {
  for (const JobView& job : {someJob(), [] {
                               JobView plain;
                               plain.id = JobId{1};
                               return plain;
                             }()}) {
    const auto parsed = parseJob(toJson(job));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(toJson(*parsed), toJson(job));
  }
  const JobView parsed = parseJob(toJson(someJob())).value();
  EXPECT_EQ(parsed.submitted, kNow) << "to the microsecond";
  EXPECT_EQ(parsed.ledger->cost, someLedger().cost) << "to the nano-dollar";
  EXPECT_EQ(parsed.ledger->time, someLedger().time);
  EXPECT_EQ(parsed.spec, someJob().spec);
  EXPECT_EQ(parsed.members[1].phase, engine::MemberPhase::restoring);
  EXPECT_EQ(parsed.request.resources, someJob().request.resources);
}

TEST(JobViews, HaveTheKeysOfTheApi) {
  const std::string json = toJson(someJob());
  for (const char* part :
       {R"("id":"j42")", R"("name":"dig\"its")", R"("phase":"recovering")", R"("exit_code":137)",
        R"("machines":["m7","m8"])", R"("submitted":"2026-11-21T01:22:03.123456Z")", R"("ran":90)",
        R"("total_seconds":15.000015)", R"("savings_percent":)"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
  EXPECT_THAT(toJson(JobView{}), HasSubstr(R"("exit_code":null)"));
  EXPECT_THAT(toJson(JobView{}), HasSubstr(R"("ledger":null)"));
}

TEST(JobViews, ListsRoundTrip) {
  const JobListView list{{someJob(), someJob()}, 2, 98};
  const auto parsed = parseJobList(toJson(list));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(toJson(*parsed), toJson(list));
  EXPECT_THAT(toJson(list), HasSubstr(R"("counts":{"unfinished":2,"finished":98})"));
  EXPECT_EQ(toJson(JobListView{}), R"({"jobs":[],"counts":{"unfinished":0,"finished":0}})");
  EXPECT_FALSE(parseJobList("{}"));
  EXPECT_FALSE(parseJobList(R"({"jobs":[{"id":"j1"}]})")) << "without a phase";
}

TEST(JobViews, ShowTheEnginesJob) {
  engine::Job job;
  job.id = JobId{3};
  job.request.name = "n";
  job.phase = engine::JobPhase::running;
  job.ledger = std::make_unique<engine::Ledger>();
  job.ledger->reclaims_noticed = 4;
  job.current = std::make_unique<engine::Attempt>();
  job.current->members.resize(3);
  job.current->members[0].machine = MachineId{5};
  job.current->members[2].machine = MachineId{6};
  const JobView view = viewOf(job);
  EXPECT_EQ(view.machines, (std::vector<MachineId>{MachineId{5}, MachineId{6}})) << "rank 1 is vacant";
  EXPECT_EQ(view.members[1].rank, 2);
  EXPECT_EQ(view.ledger->reclaims_noticed, 4u);
  EXPECT_EQ(view.request.name, "n");
}

TEST(LedgerViews, AddUp) {
  LedgerView ledger;
  ledger.time = {60s, 10s, 5s, 5s, 15s, 5s};
  ledger.cost = {Money{60}, Money{10}, Money{5}, Money{5}, Money{15}, Money{5}};
  ledger.on_demand_cost = Money{400};
  EXPECT_EQ(ledger.totalTime(), 100s);
  EXPECT_EQ(ledger.totalCost(), Money{100});
  EXPECT_DOUBLE_EQ(ledger.savingsPercent(), 75);
  EXPECT_EQ(ledger.timeOf(engine::Use::starting), 15s);
  EXPECT_EQ(ledger.costOf(engine::Use::waiting), Money{5});
  EXPECT_EQ(LedgerView{}.savingsPercent(), 0);
  EXPECT_EQ(toJson(*parseLedger(toJson(ledger))), toJson(ledger));
}

TEST(MachineViews, RoundTrip) {
  engine::Machine machine;
  machine.id = MachineId{7};
  machine.pool = "local";
  machine.type = "small";
  machine.market = engine::Market::on_demand;
  machine.price = PricePerHour{300'000'001};
  machine.phase = engine::MachinePhase::assigned;
  machine.job = JobId{4};
  machine.epoch = 3;
  machine.rank = 1;
  machine.requested = kNow;
  machine.billed_from = kNow + 5ms;
  machine.use = engine::Use::useful;
  machine.notice_deadline = kNow + 30s;
  const MachineView view = viewOf(machine);
  const auto parsed = parseMachine(toJson(view));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(toJson(*parsed), toJson(view));
  EXPECT_EQ(parsed->price, machine.price);
  EXPECT_EQ(parsed->notice_deadline, machine.notice_deadline);
  const MachineView fresh = viewOf(engine::Machine{});
  EXPECT_EQ(fresh.billed_from, std::nullopt);
  const std::vector<MachineView> both{view, view};
  EXPECT_EQ(toJson(*parseMachines(toJson(both))), toJson(both));
}

TEST(PoolViews, RoundTripAndCanBePutBack) {
  engine::Pool pool = defaultServerConfig(4, ByteCount{std::uint64_t{8} << 30}).pools.front();
  pool.consecutive_failures = 3;
  pool.retry_at = kNow;
  pool.spot_failures = 1;
  const PoolView view = viewOf(pool, 2);
  const auto parsed = parsePool(toJson(view));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(toJson(*parsed), toJson(view));
  EXPECT_EQ(parsed->in_use, 2);
  EXPECT_EQ(parsed->pool.retry_at, kNow);
  const auto put = parsePoolJson(toJson(view));
  ASSERT_TRUE(put) << put.error().front().toString();
  EXPECT_EQ(put->consecutive_failures, 0u) << "shown, not settable";
  const std::vector<PoolView> list{view};
  EXPECT_EQ(toJson(*parsePools(toJson(list))), toJson(list));
}

TEST(QueueViews, RoundTripAndCanBePutBack) {
  const QueueView view = viewOf(engine::Queue{"default", 5, {"local"}, false}, 17);
  EXPECT_EQ(toJson(*parseQueue(toJson(view))), toJson(view));
  EXPECT_TRUE(parseQueueJson(toJson(view)));
  const std::vector<QueueView> list{view};
  EXPECT_EQ(toJson(*parseQueues(toJson(list))), toJson(list));
}

TEST(HistoryViews, RoundTrip) {
  RecordView record{17, {kNow, JobId{4}, MachineId{7}, 2, "placed", "on m7", {}}};
  record.record.candidates = {
      {"local", "small", engine::Market::spot, PricePerHour{300'000'000}, 0.5, ""},
      {"local", "large", engine::Market::on_demand, PricePerHour{1}, HUGE_VAL, "too dear"}};
  EXPECT_EQ(toJson(*parseRecord(toJson(record))), toJson(record));
  const RecordView bare{1, {kNow, {}, {}, 0, "started", "", {}}};
  EXPECT_EQ(toJson(*parseRecord(toJson(bare))), toJson(bare));
  auto decision = std::make_shared<engine::Record::Decision>();
  engine::Pool pool = defaultServerConfig(4, ByteCount{std::uint64_t{8} << 30}).pools.front();
  pool.provider = "aws";  // whose section, required in a configuration, decisions leave out
  pool.provider_config.clear();
  decision->pools.emplace_back().pool = std::make_shared<const engine::Pool>(pool);
  record.record.decision = decision;
  const auto parsed = parseRecord(toJson(record));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(toJson(*parsed), toJson(record));
  EXPECT_EQ(toJson(*parseSpan(toJson(someSpan()))), toJson(someSpan()));
  EXPECT_THAT(toJson(someSpan()), HasSubstr(R"("seconds":90)"));
  EXPECT_THAT(toJson(someSpan()), HasSubstr(R"("cost":0.0075)"));
}

TEST(LogLines, AreOneLineEachWhateverTheyHold) {
  const LogLineView line{"1.0:128", kNow, 1, 0, true, true, "a\tb\x1b[0m\xFF\"\\\r\n"};
  const std::string json = toJson(line);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  const auto parsed = parseLogLine(json);
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->text, "a\tb\x1b[0m\xEF\xBF\xBD\"\\\r\n");
  EXPECT_TRUE(parsed->is_stderr);
  EXPECT_TRUE(parsed->partial);
  EXPECT_EQ(parsed->cursor, line.cursor);
  EXPECT_FALSE(parseLogLine(R"({"cursor":"x","stream":"stdlog"})"));
}

TEST(Metrics, RoundTripAndSumUp) {
  const MetricSeriesView series{"loss", {{1, kNow, 2.5}, {1, kNow + 1s, std::nan("")}, {2, kNow + 2s, 0.1}}};
  EXPECT_EQ(toJson(*parseMetricSeries(toJson(series))), toJson(series));
  const std::vector<MetricSeriesView> list{series, series};
  EXPECT_EQ(toJson(*parseMetrics(toJson(list))), toJson(list));
  const MetricSummaryView summary = summaryOf(series);
  EXPECT_EQ(summary.points, 3u);
  EXPECT_EQ(summary.first, 2.5);
  EXPECT_EQ(summary.last, 0.1);
  EXPECT_EQ(summary.min, 0.1);
  EXPECT_EQ(summary.max, 2.5);
  EXPECT_EQ(summaryOf({}).points, 0u);
}

TEST(Outputs, RoundTrip) {
  const std::vector<OutputView> outputs{{"model.pt", 1ull << 40}, {"a/b c", 0}};
  EXPECT_EQ(toJson(*parseOutputs(toJson(outputs))), toJson(outputs));
}

TEST(ServerViews, RoundTrip) {
  const ServerView server{
      "0.1.0",           4711, kNow, "/s", {"unix:/s/server.sock", "https://0.0.0.0:7433"}, "c1",
      "file:///s/store", 3,    9};
  EXPECT_EQ(toJson(*parseServer(toJson(server))), toJson(server));
}

TEST(Errors, RoundTripAndMapToHttp) {
  const ErrorView error = viewOf(std::vector<Problem>{
      {"buoy.yaml", 7, 9, "checkpoint.keep", "must be at least 1, not 0"}, {"", 0, 0, "run", "is required"}});
  EXPECT_EQ(toJson(*parseError(toJson(error))), toJson(error));
  EXPECT_EQ(error.message, "buoy.yaml:7:9: checkpoint.keep: must be at least 1, not 0");
  EXPECT_EQ(httpStatus(ErrorCode::invalid_argument), 400);
  EXPECT_EQ(httpStatus(ErrorCode::failed_precondition), 409);
  EXPECT_EQ(httpStatus(ErrorCode::resource_exhausted), 429);
  const Error known =
      errorFromAnswer(409, toJson(viewOf(Error{ErrorCode::failed_precondition, "it has ended"})));
  EXPECT_EQ(known.code, ErrorCode::failed_precondition);
  EXPECT_EQ(known.message, "it has ended");
  const Error proxy = errorFromAnswer(503, "<html>");
  EXPECT_EQ(proxy.code, ErrorCode::unavailable);
  EXPECT_TRUE(proxy.retryable);
  EXPECT_EQ(errorFromAnswer(418, "").code, ErrorCode::invalid_argument);
  EXPECT_EQ(parseError(R"({"error":{"code":"brand_new","message":"m"}})")->code, ErrorCode::internal);
}

TEST(Requests, Submit) {
  SubmitRequest request{JobSpec{.name = "x", .run = "a", .inputs = {{"d", {.from = "/data"}}}}, "id-1"};
  const auto parsed = parseSubmitRequest(toJson(request));
  ASSERT_TRUE(parsed) << parsed.error().front().toString();
  EXPECT_EQ(parsed->spec, request.spec);
  EXPECT_EQ(parsed->request_id, "id-1");
  const auto problem = [](std::string_view json) {
    const auto bad = parseSubmitRequest(json);
    return bad ? "none" : bad.error().front().toString();
  };
  EXPECT_EQ(problem(R"({"spec":{"name":"x","run":"a","machines":0}})"),
            "machines: must be at least 1, not 0");
  EXPECT_THAT(problem(R"({"spec":{"name":"x","run":"a","inputs":{"d":"./data"}}})"),
              HasSubstr("inputs.d: must be an absolute path"));
  EXPECT_EQ(problem(R"({"request_id":"x"})"), "spec: is required");
  EXPECT_THAT(problem(R"({"spec":{"name":"x","run":"a"},"requestid":"x"})"),
              HasSubstr("did you mean 'request_id'?"));
  EXPECT_THAT(problem(R"({"spec":{"name":"x","run":"a"},"request_id":")" + std::string(200, 'x') + "\"}"),
              HasSubstr("at most 128"));
  EXPECT_EQ(parseSubmitAnswer(toJson(SubmitAnswer{JobId{3}, "x"}))->job, JobId{3});
}

TEST(Requests, OpenAndReclaim) {
  const OpenMachineRequest open{"local", engine::Market::on_demand, {2000, 0, ByteCount{1u << 20}}, "ann"};
  EXPECT_EQ(toJson(*parseOpenMachineRequest(toJson(open))), toJson(open));
  EXPECT_FALSE(parseOpenMachineRequest(R"({"pool":"local"})")) << "nobody holds it";
  EXPECT_FALSE(parseOpenMachineRequest(R"({"pool":"local","holder":"a","resources":{"cpus":0}})"));
  EXPECT_EQ(parseReclaimRequest(R"({"notice":"30s"})")->notice, 30s);
  EXPECT_EQ(parseReclaimRequest(R"({"notice":null})")->notice, std::nullopt);
  EXPECT_EQ(parseReclaimRequest("{}")->notice, std::nullopt);
  EXPECT_FALSE(parseReclaimRequest(R"({"notice":"-1s"})"));
  EXPECT_EQ(toJson(ReclaimRequest{250ms}), R"({"notice":0.25})");
  EXPECT_EQ(parseResumeRequest(toJson(ResumeRequest{Money{20'500'000'000}}))->budget, Money{20'500'000'000});
  EXPECT_EQ(parseResumeRequest("{}")->budget, Money{});
  EXPECT_FALSE(parseResumeRequest(R"({"budget":-1})"));
}

TEST(Requests, Hashes) {
  const std::vector<std::string> hashes{std::string(64, 'a'), std::string(64, '0')};
  EXPECT_EQ(parseHashes("hashes", hashesToJson("hashes", hashes)), hashes);
  EXPECT_EQ(parseHashes("missing", R"({"missing":[]})"), std::vector<std::string>{});
  EXPECT_FALSE(parseHashes("hashes", "{}"));
  EXPECT_FALSE(parseHashes("hashes", R"({"hashes":["../../etc/passwd"]})"));
}

std::string written(std::string_view text) {
  std::string out;
  appendJsonString(out, text);
  return out;
}

RC_GTEST_PROP(JsonStrings, AreReadBackByAnotherParser, (const std::string& text)) {
  const auto tree = parseJsonTree(written(text), kMessageLimits);
  RC_ASSERT(tree.has_value());
  if (isValidUtf8(text)) RC_ASSERT(tree->text == text);
}

RC_GTEST_PROP(JsonNumbers, KeepEveryDigit, (std::int64_t units, double number)) {
  std::string out;
  JsonWriter(out).beginArray().decimal(units, 9).decimal(units, 6).value(number).endArray();
  const auto tree = parseJsonTree(out, kMessageLimits);
  RC_ASSERT(tree.has_value());
  // The lowest int64 has no positive counterpart to be read back through.
  if (units != std::numeric_limits<std::int64_t>::min()) {
    RC_ASSERT(parseDecimal(tree->items[0].text, 9) == units);
    RC_ASSERT(parseDecimal(tree->items[1].text, 6) == units);
  }
  RC_ASSERT(std::stod(tree->items[2].text) == number);
}

RC_GTEST_PROP(JsonTimes, KeepEveryMicrosecond, ()) {
  const Time time{
      Duration{*rc::gen::inRange<std::int64_t>(-62'167'219'200'000'000, 253'402'300'800'000'000)}};
  std::string out;
  JsonWriter(out).value(time);
  RC_ASSERT(parseTime(std::string_view(out).substr(1, out.size() - 2)).value() == time);
}

TEST(Decimals, AreExactOrRefused) {
  EXPECT_EQ(parseDecimal("1.5", 3), 1500);
  EXPECT_EQ(parseDecimal("-0.0005", 3), -1) << "rounds away from zero at the half";
  EXPECT_EQ(parseDecimal("1e3", 3), 1'000'000);
  EXPECT_EQ(parseDecimal("9223372036.854775807", 9), std::numeric_limits<std::int64_t>::max());
  for (const char* text : {"9223372036.854775808", "1e40", "", "x", "1.", "01", "NaN"})
    EXPECT_EQ(parseDecimal(text, 9), std::nullopt) << text;
}

}  // namespace
}  // namespace buoy::api
