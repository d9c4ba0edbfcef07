// buoy resume: let a job that is paused for want of budget go on.
#include <memory>

#include "api/views.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct ResumeFlags {
  std::string job, budget;
  bool json = false;
};

int runResume(const Context& context, const ResumeFlags& flags) {
  api::ResumeRequest request;
  if (!flags.budget.empty()) {
    const auto budget = api::parseBudget(flags.budget);
    if (!budget) return context.fail(budget.error().wrap("--budget"));
    request.budget = *budget;
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto answer = (*connection)->post("/v1/jobs/" + pathPart(flags.job) + "/resume", api::toJson(request));
  if (!answer) return context.fail(answer.error());
  auto job = api::parseJob(*answer);
  if (!job) return context.fail(job.error());
  context.print(flags.json ? *answer + "\n"
                           : strCat({job->id.toString(), " goes on, with a budget of ",
                                     formatMoney(job->request.budget), "\n"}));
  return 0;
}

}  // namespace

void addResume(Command& root) {
  auto flags = std::make_shared<ResumeFlags>();
  Command& command = root.add("resume", "Let a job that is paused go on, with a larger budget");
  command.argument("JOB", flags->job, "a job's id or name", Hint::job);
  command.option("--budget", "USD", flags->budget, "of the whole job, with what is spent already");
  command.flag("--json", flags->json, "print the job, as the server answers");
  command.details =
      "A job whose budget is used up has saved and given its machines back. It goes on from its last\n"
      "checkpoint. The budget of a job that still runs can be changed in the same way.";
  command.action = [flags](Context& context) { return runResume(context, *flags); };
}

}  // namespace buoy::cli
