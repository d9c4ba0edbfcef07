#include "cli/rehearse/runner.h"

#include <optional>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/rehearse/judge.h"
#include "cli/rehearse/save_watch.h"

namespace buoy::cli {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds{20};
constexpr int kLastLines = 12;
constexpr std::size_t kMostPoints = 20'000;  // that the server answers with

class Runner {
 public:
  Runner(RehearsalStage& stage, const api::JobSpec& spec, Striker* striker, const RunnerOptions& options)
      : stage_(stage), connection_(stage.connection()), spec_(spec), striker_(striker), options_(options) {}

  Result<RehearsedRun> run(const api::SubmitRequest& request) {
    BUOY_TRY(const std::string answer, connection_.post("/v1/jobs", api::toJson(request)));
    BUOY_TRY(const api::SubmitAnswer submitted, api::parseSubmitAnswer(answer));
    run_.id = submitted.job;
    for (;;) {
      BUOY_TRY(const api::JobView job, look());
      run_.phase = job.phase;
      run_.last_version = job.last_version;
      options_.progress(run_, job.phase);
      if (engine::isTerminal(job.phase)) return finish(job);
      if (options_.interrupts->take() != 0) return fail(ErrorCode::cancelled, "interrupted");
      if (wallClock() >= options_.until)
        return fail(ErrorCode::deadline_exceeded, "the job did not end in time");
      BUOY_TRY_VOID(strike(job));
    }
  }

 private:
  // The only job that is not finished is the newest; a listing costs less than the job with all its points.
  Result<api::JobView> look() {
    BUOY_TRY(const std::string body, connection_.get("/v1/jobs?limit=1"));
    BUOY_TRY(api::JobListView list, api::parseJobList(body));
    if (list.jobs.empty() || list.jobs.front().id != run_.id)
      return fail(ErrorCode::internal, "the rehearsal's server has lost the job");
    BUOY_TRY_VOID(readHistory());
    const api::JobView& job = list.jobs.front();
    for (std::size_t rank = 0; rank < job.machines.size(); ++rank)
      ranks_[{job.attempts, job.machines[rank]}] = rank;
    return std::move(list.jobs.front());
  }

  Status readHistory() {
    BUOY_TRY(
        const std::string body,
        connection_.get(strCat({"/v1/jobs/", run_.id.toString(), "/events?after=", std::to_string(seen_)})));
    for (const std::string_view line : split(body, '\n')) {
      if (line.empty()) continue;
      BUOY_TRY(const api::RecordView view, api::parseRecord(line));
      seen_ = std::max(seen_, view.seq);
      learn(view.record);
    }
    return {};
  }

  void learn(const engine::Record& record) {
    if (record.attempt == 0) return;
    if (record.kind == "committed") return run_.commits.push_back(record.at);
    if (record.kind != "running" && record.kind != "restored") return;
    if (run_.attempts.empty() || run_.attempts.back().number != record.attempt)
      run_.attempts.push_back({record.attempt, Time{}, false});
    RehearsedRun::Attempt& attempt = run_.attempts.back();
    if (record.kind == "running") attempt.running = record.at;
    if (record.kind == "restored") attempt.restored = true;
  }

  Status strike(const api::JobView& job) {
    if (striker_ == nullptr || job.machines.empty()) return wait();
    const bool awaits = striker_->awaitsSave(run_, job.phase, wallClock());
    if (awaits && !saves_ && spec_.checkpoint) {
      auto watch = SaveWatch::create(stage_.workOf(job.machines.front()) + "/" + spec_.checkpoint->dir);
      if (watch) saves_ = std::move(*watch);
    }
    const bool saving = awaits && saves_ && saves_->saving(kLookEvery);
    const auto order = striker_->next(run_, job.phase, wallClock(), saving);
    if (!order) return awaits && saves_ ? Status{} : wait();
    const MachineId machine = job.machines.front();
    api::ReclaimRequest request;
    if (order->notice > Duration{}) request.notice = order->notice;
    run_.strikes.push_back({job.attempts, wallClock(), order->notice, job.last_version, order->mid_save});
    return connection_.post(strCat({"/v1/machines/", machine.toString(), "/reclaim"}), api::toJson(request))
        .map([](const std::string&) {});
  }

  Status wait() {
    os::waitReadable(options_.interrupts->fd(), kLookEvery);
    return {};
  }

  Result<RehearsedRun> finish(const api::JobView& job) {
    run_.ended = job.phase_since;
    run_.exit_code = job.exit_code;
    run_.reason = job.reason;
    if (job.ledger) run_.ledger = *job.ledger;
    stage_.waitForMachines();
    const std::string base = "/v1/jobs/" + run_.id.toString();
    BUOY_TRY(const std::string metrics,
             connection_.get(base + "/metrics" + (spec_.machines > 1 ? "?by=machine" : "")));
    BUOY_TRY(run_.metrics, api::parseMetrics(metrics));
    std::size_t points = 0;
    for (const api::MetricSeriesView& series : run_.metrics) points += series.points.size();
    if (points >= kMostPoints) {
      return fail(ErrorCode::failed_precondition,
                  "the job prints more than 20,000 metrics, and the server keeps only the newest: rehearse "
                  "fewer steps, "
                  "or without metrics");
    }
    if (spec_.machines > 1) run_.metrics = byRank(run_.metrics, ranks_);
    BUOY_TRY(const std::string outputs, connection_.get(base + "/outputs"));
    BUOY_TRY(run_.outputs, api::parseOutputs(outputs));
    if (!run_.succeeded()) BUOY_TRY_VOID(readLastLines());
    return std::move(run_);
  }

  Status readLastLines() {
    BUOY_TRY(const std::string body, connection_.get(strCat({"/v1/jobs/", run_.id.toString(),
                                                             "/logs?tail=", std::to_string(kLastLines)})));
    for (const std::string_view line : split(body, '\n')) {
      if (line.empty()) continue;
      BUOY_TRY(const api::LogLineView view, api::parseLogLine(line));
      run_.last_lines += view.text + "\n";
    }
    return {};
  }

  RehearsalStage& stage_;
  Connection& connection_;
  const api::JobSpec& spec_;
  Striker* const striker_;
  const RunnerOptions& options_;
  RehearsedRun run_;
  std::int64_t seen_ = 0;
  Ranks ranks_;  // as far as they were seen
  std::optional<SaveWatch> saves_;
};

}  // namespace

Result<RehearsedRun> runOnce(RehearsalStage& stage, const api::SubmitRequest& request, Striker* striker,
                             const RunnerOptions& options) {
  return Runner(stage, request.spec, striker, options).run(request);
}

}  // namespace buoy::cli
