// buoy cancel: let a job save and end.
#include <memory>

#include "cli/commands/commands.h"
#include "cli/job_feed.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct CancelFlags {
  std::vector<std::string> jobs;
  bool json = false;
};

int cancelOne(const Context& context, Connection& connection, const std::string& word, bool json) {
  auto answer = connection.post("/v1/jobs/" + pathPart(word) + "/cancel", "{}");
  if (!answer) return context.fail(answer.error());
  if (json) {
    context.print(*answer + "\n");
    return 0;
  }
  auto job = fetchJob(connection, word);
  if (!job) return context.fail(job.error());
  const std::string id = job->id.toString();
  if (engine::isTerminal(job->phase)) {
    context.print(id + " has ended: " + std::string(engine::toString(job->phase)) + "\n");
  } else {
    context.print(id + " is told to save and stop\n");
  }
  return 0;
}

// One that cannot be cancelled is no reason to let the others run.
int runCancel(const Context& context, const CancelFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  int code = 0;
  for (const std::string& job : flags.jobs) {
    const int ended = cancelOne(context, **connection, job, flags.json);
    if (code == 0) code = ended;
  }
  return code;
}

}  // namespace

void addCancel(Command& root) {
  auto flags = std::make_shared<CancelFlags>();
  Command& command = root.add("cancel", "Let jobs save and end");
  command.listArgument("JOB", flags->jobs, "a job's id or name", Hint::job);
  command.flag("--json", flags->json, "print the server's answer");
  command.details =
      "A job gets its signal and its stop grace; what it saves is committed. One that has ended is left "
      "alone.";
  command.action = [flags](Context& context) { return runCancel(context, *flags); };
}

}  // namespace buoy::cli
