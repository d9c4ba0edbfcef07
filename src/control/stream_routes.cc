#include "api/views.h"
#include "control/answers.h"
#include "control/job_stream.h"
#include "control/services.h"
#include "store/codec.h"

namespace buoy::control {
namespace {

constexpr std::uint64_t kLogPiece = 256u << 10;
constexpr int kRecordPiece = 500;

JobStream::Produce logProducer(LogStore& logs, JobId job, LogCursor cursor) {
  return [&logs, job, cursor = std::move(cursor)]() mutable -> Result<std::string> {
    BUOY_TRY(std::vector<LogLine> lines, logs.read(job, cursor, kLogPiece));
    std::string out;
    for (LogLine& line : lines) {
      cursor.advance(line);
      api::LogLineView view;
      view.cursor = cursor.toString();
      view.at = line.at;
      view.attempt = line.stream.attempt;
      view.rank = static_cast<std::int32_t>(line.stream.rank);
      view.is_stderr = line.standard_error;
      view.partial = !line.complete;
      view.text = std::move(line.text);
      out += api::toJson(view);
      out += '\n';
    }
    return out;
  };
}

JobStream::Produce recordProducer(store::Store& store, JobId job, std::int64_t after) {
  return [&store, job, after]() mutable -> Result<std::string> {
    BUOY_TRY(const std::vector<store::RecordRow> rows, store.records(job, {}, after, kRecordPiece));
    std::string out;
    for (const store::RecordRow& row : rows) {
      after = row.seq;
      out += api::toJson(api::RecordView{row.seq, row.record});
      out += '\n';
    }
    return out;
  };
}

struct Target {
  JobId job;
  bool follow = false;
};

Result<Target> targetOf(Services& services, const Call& call) {
  BUOY_TRY(const store::JobRow row, findJob(services.store, call.captured[0]));
  BUOY_TRY(const auto follow, flagParameter(call.request, "follow"));
  return Target{row.id, follow.value_or(false)};
}

// A stream that wakes when something about the job is committed, and ends when the job has.
void startStream(Services& services, const Target& target, JobStream::Produce produce, bool wake_on_logs,
                 std::shared_ptr<net::Responder> responder) {
  const auto stream =
      JobStream::create(services.io, target.job, target.follow, std::move(produce), std::move(responder));
  if (target.follow) {
    std::vector<std::shared_ptr<void>> handles;
    const std::weak_ptr<JobStream> weak = stream;
    const auto wake = [weak](bool finished) {
      if (const auto alive = weak.lock()) alive->wake(finished);
    };
    handles.push_back(services.feed.watch(target.job, wake));
    if (wake_on_logs) handles.push_back(services.logs.watch(target.job, [wake] { wake(false); }));
    stream->keep(std::move(handles));
  }
  stream->begin();
  // After the watch has begun: an end that was committed before it is found here.
  const auto row = services.store.job(target.job);
  const auto job = row ? store::decodeJob(row->record) : Result<engine::Job>(tl::unexpect, row.error());
  if (!job || engine::isTerminal(job->phase)) stream->wake(true);
}

void logs(Services& services, Call call) {
  const auto target = targetOf(services, call);
  if (!target) return sendError(*call.responder, target.error());
  auto cursor = LogCursor::parse(call.request.queryValue("from"));
  if (!cursor) return sendError(*call.responder, cursor.error());
  const auto tail = numberParameter(call.request, "tail", -1, 0, 1'000'000'000);
  if (!tail) return sendError(*call.responder, tail.error());
  if (*tail < 0 || !cursor->offsets.empty()) {
    return startStream(services, *target, logProducer(services.logs, target->job, std::move(*cursor)), true,
                       std::move(call.responder));
  }
  const auto responder = call.responder;
  const bool taken = services.io.post(target->job.value, [&services, target = *target, tail = *tail,
                                                          responder] {
    auto from = services.logs.tail(target.job, static_cast<std::size_t>(tail));
    if (!from) return sendError(*responder, from.error());
    startStream(services, target, logProducer(services.logs, target.job, std::move(*from)), true, responder);
  });
  if (!taken)
    sendError(*responder, {ErrorCode::unavailable, "too many streams are waiting; try again", true});
}

void events(Services& services, Call call) {
  const auto target = targetOf(services, call);
  if (!target) return sendError(*call.responder, target.error());
  const auto after = numberParameter(call.request, "after", 0, 0, INT64_MAX);
  if (!after) return sendError(*call.responder, after.error());
  startStream(services, *target, recordProducer(services.store, target->job, *after), false,
              std::move(call.responder));
}

}  // namespace

void addStreamRoutes(Router& router, Services& services) {
  router.add("GET", "/v1/jobs/{}/logs", [&](Call call) { logs(services, std::move(call)); });
  router.add("GET", "/v1/jobs/{}/events", [&](Call call) { events(services, std::move(call)); });
}

}  // namespace buoy::control
