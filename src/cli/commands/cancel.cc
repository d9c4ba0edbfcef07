// buoy cancel: let a job save and end.
#include <memory>

#include "cli/commands/commands.h"
#include "cli/job_feed.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct CancelFlags {
  std::string job;
  bool json = false;
};

int runCancel(const Context& context, const CancelFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto answer = (*connection)->post("/v1/jobs/" + pathPart(flags.job) + "/cancel", "{}");
  if (!answer) return context.fail(answer.error());
  if (flags.json) {
    context.print(*answer + "\n");
    return 0;
  }
  auto job = fetchJob(**connection, flags.job);
  if (!job) return context.fail(job.error());
  const std::string id = job->id.toString();
  if (engine::isTerminal(job->phase)) {
    context.print(id + " has ended: " + std::string(engine::toString(job->phase)) + "\n");
  } else {
    context.print(id + " is told to save and stop\n");
  }
  return 0;
}

}  // namespace

void addCancel(Command& root) {
  auto flags = std::make_shared<CancelFlags>();
  Command& command = root.add("cancel", "Let a job save and end");
  command.argument("JOB", flags->job, "a job's id or name", Hint::job);
  command.flag("--json", flags->json, "print the server's answer");
  command.details =
      "The job gets its signal and its stop grace; what it saves is committed. A job that has ended is left "
      "alone.";
  command.action = [flags](Context& context) { return runCancel(context, *flags); };
}

}  // namespace buoy::cli
