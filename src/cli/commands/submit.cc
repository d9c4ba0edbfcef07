// buoy submit: hand a job over and return.
#include <memory>

#include "cli/commands/commands.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct SubmitFlags {
  JobFlags job;
  bool json = false;
};

int runSubmit(const Context& context, const SubmitFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto submitted = submit(context, **connection, flags.job);
  if (!submitted) return submitted.error();
  const std::string id = submitted->job.toString();
  context.print(flags.json ? submitted->answer + "\n" : id + "\n");
  if (!flags.json && context.err_terminal)
    context.note(paint(context.err, Color::dim, "follow it: buoy logs -f " + id) + "\n");
  return 0;
}

}  // namespace

void addSubmit(Command& root) {
  auto flags = std::make_shared<SubmitFlags>();
  Command& command = root.add("submit", "Submit a job and return at once");
  addJobFlags(command, flags->job);
  command.flag("--json", flags->json, "print the server's answer");
  command.details = "Prints the job's id. The flags are those of `buoy run`.";
  command.action = [flags](Context& context) { return runSubmit(context, *flags); };
}

}  // namespace buoy::cli
