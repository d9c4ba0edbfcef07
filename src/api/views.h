#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/job_spec.h"
#include "base/result.h"
#include "base/units.h"
#include "engine/events.h"
#include "engine/types.h"

// The resources that GET /v1/… answers with, as the control plane writes them and the command line reads
// them.
//
// In JSON: times are RFC 3339 in UTC, durations seconds, money and prices USD, sizes bytes; an absent
// optional is null or left out. Numbers lose nothing (microseconds, nano-dollars). Numbers that JSON has no
// word for are the strings "NaN", "Infinity" and "-Infinity". Bytes that are not UTF-8 become U+FFFD.
//
// toJson never fails. parse… gives invalid_argument naming the field; unknown fields are ignored, so that a
// newer server can say more. All functions are pure and may be called from any thread.
namespace buoy::api {

// ---- jobs

struct LedgerView {
  std::array<Duration, engine::kUseCount> time{};  // by engine::Use
  std::array<Money, engine::kUseCount> cost{};
  Duration queued{};
  Money on_demand_cost{};
  std::uint32_t reclaims_noticed = 0;
  std::uint32_t reclaims_unnoticed = 0;

  Duration timeOf(engine::Use use) const { return time[static_cast<std::size_t>(use)]; }
  Money costOf(engine::Use use) const { return cost[static_cast<std::size_t>(use)]; }
  Duration totalTime() const;  // billable machine time
  Money totalCost() const;
  double savingsPercent()
      const;  // against on_demand_cost; 0 when nothing was billed, negative when it cost more
};
std::string toJson(const LedgerView& ledger);
Result<LedgerView> parseLedger(std::string_view json);

// One member (rank) of a job's attempt.
struct MemberView {
  MachineId machine;
  std::int32_t rank = 0;
  engine::MemberPhase phase = engine::MemberPhase::assigned;
  Time since{};
};

using SpanView = engine::Span;  // JSON adds "seconds" and "cost"

// A metric in short: what `buoy show` prints without fetching every point.
struct MetricSummaryView {
  std::string name;
  std::uint64_t points = 0;
  double first = 0, last = 0, min = 0, max = 0;
};

struct JobView {
  JobId id;
  engine::JobRequest request;  // request.name and request.queue stand at the top of the JSON: "name", "queue"
  engine::JobPhase phase = engine::JobPhase::queued;
  std::string reason;
  std::optional<std::int32_t> exit_code;
  Time submitted{};
  Time phase_since{};
  Duration ran{};
  std::uint32_t attempts = 0;
  std::uint32_t failures = 0;
  std::vector<MachineId> machines;   // of the current attempt, by rank
  std::vector<MemberView> members;   // of the current attempt
  std::optional<LedgerView> ledger;  // none until it had a machine
  std::uint64_t last_version = 0;
  engine::SaveMeasure last_save;  // of that version
  bool save_pending = false;      // a save was asked for and is not yet committed
  // Only in GET /v1/jobs/{id}:
  std::string spec;  // JSON text, for parseJobJson; empty: not given
  std::vector<SpanView> spans;
  std::vector<MetricSummaryView> metrics;
};
// Fast path for listings: appends one object, without building a document.
void appendJson(std::string& out, const JobView& job);
std::string toJson(const JobView& job);
Result<JobView> parseJob(std::string_view json);

// GET /v1/jobs
struct JobListView {
  std::vector<JobView> jobs;  // newest first
  std::int64_t unfinished = 0;
  std::int64_t finished = 0;
};
std::string toJson(const JobListView& list);
Result<JobListView> parseJobList(std::string_view json);

// ---- machines, pools, queues

struct MachineView {
  MachineId id;
  std::string pool;
  std::string type;
  engine::Market market = engine::Market::spot;
  PricePerHour price;
  PricePerHour on_demand_price;
  engine::MachinePhase phase = engine::MachinePhase::requested;
  JobId job;  // none: no job
  Epoch epoch = 0;
  std::int32_t rank = 0;
  std::string holder;  // held open by a person
  std::string provider_ref;
  std::string address;
  Time requested{};
  std::optional<Time> billed_from;  // none until the provider says it exists
  engine::Use use = engine::Use::starting;
  bool unreachable = false;
  std::optional<Time> notice_deadline;
  std::uint32_t launch_failures = 0;
  std::optional<Time> ended;   // since when it is gone
  bool taken = false;          // it was reclaimed without notice, or vanished; not given back
  bool reclaim_asked = false;  // by a person: its end says nothing of the market
  MachineId host;              // whose part it is; none: it is a machine of its own
  engine::Resources part;      // with host: what of it it has
};
std::string toJson(const MachineView& machine);
Result<MachineView> parseMachine(std::string_view json);
std::string toJson(std::span<const MachineView> machines);  // {"machines": […]}
Result<std::vector<MachineView>> parseMachines(std::string_view json);

struct PoolView {
  engine::Pool pool;        // JSON: as toJson(engine::Pool), "market" included, plus the fields below
  std::int32_t in_use = 0;  // machines not gone
};
std::string toJson(const PoolView& pool);
Result<PoolView> parsePool(std::string_view json);
std::string toJson(std::span<const PoolView> pools);  // {"pools": […]}
Result<std::vector<PoolView>> parsePools(std::string_view json);

// {"events": […]}: what happened to a pool's spot capacity, oldest first.
std::string toJson(std::span<const engine::MarketEvent> events);
Result<std::vector<engine::MarketEvent>> parseMarketEvents(std::string_view json);

struct QueueView {
  engine::Queue queue;
  std::int64_t unfinished = 0;  // jobs in it
};
std::string toJson(const QueueView& queue);
Result<QueueView> parseQueue(std::string_view json);
std::string toJson(std::span<const QueueView> queues);  // {"queues": […]}
Result<std::vector<QueueView>> parseQueues(std::string_view json);

// ---- history, logs, metrics, outputs

// A line of GET /v1/jobs/{id}/events. `seq` goes up; ?after=SEQ continues behind it.
struct RecordView {
  std::int64_t seq = 0;
  engine::Record record;
  // Of GET /v1/jobs/{id}/why and /v1/machines/{id}/why, for a decision with its inputs: whether the policy
  // gave the same answer when it was shown them again. JSON: with it goes record.decision.
  std::optional<bool> rederived;
};
std::string toJson(const RecordView& record);  // one line, without newline
Result<RecordView> parseRecord(std::string_view json);
std::string toJson(const SpanView& span);
Result<SpanView> parseSpan(std::string_view json);

// A line of GET /v1/jobs/{id}/logs. `cursor` is opaque: ?from=CURSOR continues behind this line.
struct LogLineView {
  std::string cursor;
  Time at{};
  std::uint32_t attempt = 0;
  std::int32_t rank = 0;
  bool is_stderr = false;  // JSON: "stream": "stdout" | "stderr"
  bool partial = false;    // the job wrote no newline after it (over-long line, end of stream)
  std::string text;
};
std::string toJson(const LogLineView& line);  // one line, without newline
Result<LogLineView> parseLogLine(std::string_view json);

struct MetricSeriesView {
  struct Point {
    std::uint32_t attempt = 0;
    Time at{};
    double value = 0;
  };
  std::string name;
  std::vector<Point> points;
};
std::string toJson(const MetricSeriesView& series);
Result<MetricSeriesView> parseMetricSeries(std::string_view json);
std::string toJson(std::span<const MetricSeriesView> series);  // {"metrics": […]}
Result<std::vector<MetricSeriesView>> parseMetrics(std::string_view json);
MetricSummaryView summaryOf(const MetricSeriesView& series);

struct OutputView {
  std::string path;
  std::uint64_t size = 0;
};
std::string toJson(std::span<const OutputView> outputs);  // {"outputs": […]}
Result<std::vector<OutputView>> parseOutputs(std::string_view json);

// ---- the server, errors

struct ServerView {
  std::string version;
  std::int64_t pid = 0;
  Time started{};
  std::string state_dir;
  std::vector<std::string> endpoints;
  std::string cluster;
  std::string store;
  std::int64_t unfinished = 0;  // jobs
  std::int64_t finished = 0;
};
std::string toJson(const ServerView& server);
Result<ServerView> parseServer(std::string_view json);

// The body of every answer that is not 2xx: {"error": {"code", "message", "problems": [{file, line, column,
// field, message}]}}
struct ErrorView {
  ErrorCode code = ErrorCode::internal;
  std::string message;
  std::vector<Problem> problems;  // of a specification; may be empty
};
std::string toJson(const ErrorView& error);
Result<ErrorView> parseError(std::string_view json);
ErrorView viewOf(const Error& error);
ErrorView viewOf(std::vector<Problem> problems);  // invalid_argument; the message is the first problem
// invalid_argument 400, unauthenticated 401, permission_denied 403, not_found 404, already_exists and
// failed_precondition 409, resource_exhausted 429, unavailable 503, deadline_exceeded 504, others 500.
int httpStatus(ErrorCode code);
// The error a client returns for an answer: the body's if it is an ErrorView, else one made from the status.
Error errorFromAnswer(int http_status, std::string_view body);

// ---- requests

struct SubmitRequest {
  JobSpec spec;
  std::string request_id;  // makes a repeated submit harmless; at most 128 characters, empty: none
};
std::string toJson(const SubmitRequest& request);
Parsed<SubmitRequest> parseSubmitRequest(std::string_view json);
struct SubmitAnswer {
  JobId job;
  std::string name;
};
std::string toJson(const SubmitAnswer& answer);
Result<SubmitAnswer> parseSubmitAnswer(std::string_view json);

struct OpenMachineRequest {
  std::string pool;
  engine::Market market = engine::Market::spot;
  engine::Resources resources;
  std::string holder;
};
std::string toJson(const OpenMachineRequest& request);
Result<OpenMachineRequest> parseOpenMachineRequest(std::string_view json);

struct ReclaimRequest {
  std::optional<Duration> notice;  // none: without a word
};
std::string toJson(const ReclaimRequest& request);
Result<ReclaimRequest> parseReclaimRequest(std::string_view json);

struct ResumeRequest {
  Money budget;  // zero: as it was
};
std::string toJson(const ResumeRequest& request);
Result<ResumeRequest> parseResumeRequest(std::string_view json);

// POST /v1/blobs/missing: {"hashes": […]} → {"missing": […]}; each isSha256.
std::string hashesToJson(std::string_view key, std::span<const std::string> hashes);
Result<std::vector<std::string>> parseHashes(std::string_view key, std::string_view json);

// ---- from the engine's values

LedgerView viewOf(const engine::Ledger& ledger);
JobView viewOf(const engine::Job& job);  // without spec, spans and metrics
MachineView viewOf(const engine::Machine& machine);
PoolView viewOf(const engine::Pool& pool, std::int32_t in_use);
QueueView viewOf(const engine::Queue& queue, std::int64_t unfinished);

}  // namespace buoy::api
