// buoy run: submit a job and stay with it to its end.
#include <memory>

#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/follow.h"
#include "cli/job_feed.h"
#include "cli/story.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct RunFlags {
  JobFlags job;
  bool detach = false;
  bool timestamps = false;
};

void sayHowToComeBack(const Context& context, const std::string& job) {
  context.note(strCat({"\n", job, " goes on. Come back:  buoy logs -f ", job, "\n",
                       "            or end it:  buoy cancel ", job, "\n"}));
}

int sayPaused(const Context& context, const api::JobView& job) {
  const std::string id = job.id.toString();
  context.note(
      strCat({"\n", paint(context.err, Color::yellow, id + " is paused"), ": ", cleaned(job.reason), "\n",
              "  its work is saved and it costs nothing now\n", "  let it go on:  buoy resume ", id,
              " --budget USD && buoy logs -f ", id, "\n", "     or end it:  buoy cancel ", id, "\n"}));
  return static_cast<int>(ExitCode::paused);
}

int runJob(const Context& context, const RunFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  // Before the first thread, so that Ctrl-C finds the follower and not the process.
  auto interrupts = os::InterruptWatch::create();
  if (!interrupts) return context.fail(interrupts.error());
  auto submitted = submit(context, **connection, flags.job);
  if (!submitted) return submitted.error();
  const std::string id = submitted->job.toString();
  if (flags.detach) {
    context.print(id + "\n");
    return 0;
  }
  context.note(paint(context.err, Color::bold, id) + " " + submitted->name +
               paint(context.err, Color::dim, "  (Ctrl-C leaves it running)") + "\n");

  auto job = fetchJob(**connection, id);
  if (!job) return context.fail(job.error());
  FollowOptions options;
  options.timestamps = flags.timestamps;
  options.until_paused = true;
  auto end = follow(context, (*connection)->address(), *job, options, *interrupts);
  if (!end) return context.fail(end.error());
  if (end->detached) {
    sayHowToComeBack(context, id);
    return static_cast<int>(ExitCode::cancelled);  // whoever waited for the end has not seen it
  }
  if (end->paused) return sayPaused(context, end->job);
  return printEnd(context, **connection, end->job);
}

}  // namespace

void addRun(Command& root) {
  auto flags = std::make_shared<RunFlags>();
  Command& command = root.add("run", "Run a job and follow it to its end");
  addJobFlags(command, flags->job);
  command.flag("--detach,-d", flags->detach, "submit only, and print the job's id");
  command.flag("--timestamps,-t", flags->timestamps, "begin each line of the log with its time");
  command.details =
      "Examples:\n"
      "  buoy run                                  the job in ./buoy.yaml\n"
      "  buoy run python3 train.py --epochs 30     a command\n"
      "  buoy run --checkpoint checkpoints --metric 'loss=loss=([0-9.]+)' -- python3 train.py\n"
      "  buoy run digits.yaml --machines 2         a job file, one thing changed\n"
      "\n"
      "The command begins at the first word that is no option, or after --. The exit code is the job's own\n"
      "(see: buoy help exit-codes). The job's lines go to standard output, Buoy's own to standard error.";
  command.action = [flags](Context& context) { return runJob(context, *flags); };
}

}  // namespace buoy::cli
