#include "base/strings.h"
#include "gateways/batch/jobs.h"
#include "store/codec.h"

// CancelJob and TerminateJob.
namespace buoy::gateways::batch {
namespace {

struct WantedStop {
  engine::Job job;
  std::int32_t index = -1;  // of an array: this task alone
  std::string reason;
};

Result<WantedStop> readStop(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::string id;
  WantedStop wanted;
  fields.get("jobId", id);
  fields.get("reason", wanted.reason);
  BUOY_TRY_VOID(body.check());
  if (id.empty()) return fail(ErrorCode::invalid_argument, "jobId is required");
  if (wanted.reason.empty()) return fail(ErrorCode::invalid_argument, "reason is required");
  BUOY_TRY(const JobReference reference, parseJobReference(id));
  BUOY_TRY(const store::JobRow row, desk.backend.store().job(reference.job));
  BUOY_TRY(wanted.job, store::decodeJob(row.record));
  if (reference.index) wanted.index = static_cast<std::int32_t>(*reference.index);
  return wanted;
}

Order stop(WantedStop wanted, bool only_waiting) {
  Order made;
  if (!engine::isTerminal(wanted.job.phase))
    made.change.events.emplace_back(
        engine::CancelJob{wanted.job.id, only_waiting, std::move(wanted.reason), wanted.index});
  made.answer = [](const engine::Reply&) { return std::string("{}"); };
  // It has ended meanwhile, or runs and is not to be cancelled: nothing to do, and that is no error.
  made.refused = [](const Error& error) -> Result<std::string> {
    if (error.code == ErrorCode::not_found || error.code == ErrorCode::failed_precondition)
      return std::string("{}");
    return fail(error);
  };
  return made;
}

}  // namespace

Result<Order> cancelJob(const Desk& desk, const front::Call& call) {
  BUOY_TRY(WantedStop wanted, readStop(desk, call));
  return stop(std::move(wanted), true);
}

Result<Order> terminateJob(const Desk& desk, const front::Call& call) {
  BUOY_TRY(WantedStop wanted, readStop(desk, call));
  return stop(std::move(wanted), false);
}

}  // namespace buoy::gateways::batch
