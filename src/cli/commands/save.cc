// buoy save: ask a running job to save now.
#include <memory>

#include "base/pause.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/job_feed.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

constexpr Duration kLookEvery = std::chrono::milliseconds{200};
constexpr const char* kUsualTimeout = "10m";

struct SaveFlags {
  std::string job, timeout = kUsualTimeout;
  bool wait = false, json = false;
};

// The job when the save is committed, or when it can be no more.
Result<api::JobView> waitForSave(Connection& connection, const std::string& id, Time until) {
  for (;;) {
    BUOY_TRY(api::JobView job, fetchJob(connection, id));
    if (!job.save_pending || engine::isTerminal(job.phase) || wallClock() >= until) return job;
    (void)pauseFor(kLookEvery, {});
  }
}

int runSave(const Context& context, const SaveFlags& flags) {
  const auto timeout = parseDuration(flags.timeout);
  if (!timeout)
    return context.fail({ErrorCode::invalid_argument, "--timeout: " + timeout.error().message, false});
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto answer = (*connection)->post("/v1/jobs/" + pathPart(flags.job) + "/save", "{}");
  if (!answer) return context.fail(answer.error());
  auto job = api::parseJob(*answer);
  if (!job) return context.fail(job.error());
  const std::string id = job->id.toString();
  if (!flags.wait) {
    context.print(flags.json ? *answer + "\n" : id + " is asked to save\n");
    return 0;
  }
  job = waitForSave(**connection, id, wallClock() + *timeout);
  if (!job) return context.fail(job.error());
  if (flags.json) context.print(api::toJson(*job) + "\n");
  if (engine::isTerminal(job->phase)) {
    return context.fail({ErrorCode::failed_precondition,
                         strCat({id, " has ended before it saved: ", engine::toString(job->phase)}), false});
  }
  if (job->save_pending) {
    context.note(
        strCat({paint(context.err, Color::bold, "error"), ": ", id, " has not saved within ",
                formatDuration(*timeout),
                "; does it look at $BUOY_CHECKPOINT_CONTROL, or has its checkpoint a save_signal?\n"}));
    return static_cast<int>(ExitCode::timed_out);
  }
  if (!flags.json) context.print(strCat({id, " saved version ", std::to_string(job->last_version), "\n"}));
  return 0;
}

}  // namespace

void addSave(Command& root) {
  auto flags = std::make_shared<SaveFlags>();
  Command& command = root.add("save", "Ask a running job to save now");
  command.argument("JOB", flags->job, "a job's id or name", Hint::job);
  command.flag("--wait,-w", flags->wait, "until a version that was written since then is committed");
  command.option("--timeout", "TIME", flags->timeout,
                 strCat({"how long to wait (", kUsualTimeout, "); then 124"}));
  command.flag("--json", flags->json, "print the job, as the server answers");
  command.details =
      "The job learns it from the file $BUOY_CHECKPOINT_CONTROL, and by its checkpoint's save_signal if it\n"
      "names one. A job that looks at neither goes on as it is.";
  command.action = [flags](Context& context) { return runSave(context, *flags); };
}

}  // namespace buoy::cli
