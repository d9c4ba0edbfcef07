// buoy reclaim: take a machine away, as the market would.
#include <memory>

#include "api/views.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/job_feed.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct ReclaimFlags {
  std::string subject, notice;
};

// The machines meant: itself, or those of the job's current attempt.
Result<std::vector<MachineId>> machinesNamed(Connection& connection, const std::string& subject) {
  if (const auto machine = MachineId::parse(subject)) return std::vector<MachineId>{*machine};
  BUOY_TRY(api::JobView job, fetchJob(connection, subject));
  if (job.machines.empty()) {
    return fail(ErrorCode::failed_precondition,
                job.id.toString() + " has no machine now: it is " + std::string(engine::toString(job.phase)));
  }
  return std::move(job.machines);
}

int runReclaim(const Context& context, const ReclaimFlags& flags) {
  api::ReclaimRequest request;
  if (!flags.notice.empty() && flags.notice != "none") {
    auto notice = parseDuration(flags.notice);
    if (!notice) return context.fail(notice.error().wrap("--notice"));
    request.notice = *notice;
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto machines = machinesNamed(**connection, flags.subject);
  if (!machines) return context.fail(machines.error());
  for (const MachineId machine : *machines) {
    auto answer =
        (*connection)->post("/v1/machines/" + machine.toString() + "/reclaim", api::toJson(request));
    if (!answer) return context.fail(answer.error());
    context.print(machine.toString() +
                  (request.notice ? " will be reclaimed in " + formatDuration(*request.notice)
                                  : " is reclaimed without notice") +
                  "\n");
  }
  return 0;
}

}  // namespace

void addReclaim(Command& root) {
  auto flags = std::make_shared<ReclaimFlags>();
  Command& command = root.add("reclaim", "Take a job's machine away, as the spot market would");
  command.argument("JOB|MACHINE", flags->subject, "a job (all its machines) or one machine", Hint::job);
  command.option("--notice", "TIME", flags->notice,
                 "warn so long before; without it the machine is just gone");
  command.details =
      "Examples:\n  buoy reclaim digits               SIGKILL, no warning\n  buoy reclaim digits --notice "
      "30s  with a warning";
  command.action = [flags](Context& context) { return runReclaim(context, *flags); };
}

}  // namespace buoy::cli
