// buoy wait: until jobs have ended.
#include <memory>
#include <thread>

#include "base/pause.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/job_feed.h"
#include "cli/render/summary.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct WaitFlags {
  std::vector<std::string> jobs;
  std::string timeout;
  bool json = false;
};

// Breaks off what waits on a connection when the time is over.
class Alarm {
 public:
  Alarm(Connection& connection, std::optional<Duration> after) {
    if (!after) return;
    thread_ = std::jthread([this, &connection, after = *after](std::stop_token stop) {
      if (!pauseFor(after, stop)) return;
      rung_.request_stop();
      connection.cancel();
    });
  }
  std::stop_token rung() const { return rung_.get_token(); }

 private:
  std::stop_source rung_;
  std::jthread thread_;  // last: it uses the others
};

// The job when it has ended; as it is when the alarm rang before.
Result<api::JobView> waitForEnd(Connection& connection, Connection& asking, JobId job,
                                const std::stop_token& rung) {
  const FeedSource events = eventSource(job, [](const api::RecordView&) {});
  BUOY_TRY_VOID(readFeed(
      connection, job, events, [](bool) {}, rung));
  return fetchJob(asking, job.toString());
}

int runWait(const Context& context, const WaitFlags& flags) {
  std::optional<Duration> timeout;
  if (!flags.timeout.empty()) {
    auto read = parseDuration(flags.timeout);
    if (!read)
      return context.fail({ErrorCode::invalid_argument, "--timeout: " + read.error().message, false});
    timeout = *read;
  }
  auto asking = connect(context);
  if (!asking) return asking.error();
  std::vector<JobId> jobs;
  for (const std::string& word : flags.jobs) {
    auto job = fetchJob(**asking, word);
    if (!job) return context.fail(job.error());
    jobs.push_back(job->id);
  }
  Connection waiting((*asking)->address(), Connection::Start::never);
  const Alarm alarm(waiting, timeout);
  int code = 0;
  for (const JobId id : jobs) {
    const auto job = waitForEnd(waiting, **asking, id, alarm.rung());
    if (!job) return context.fail(job.error());
    if (!engine::isTerminal(job->phase)) {
      context.note(
          strCat({paint(context.err, Color::bold, "error"), ": ", id.toString(), " has not ended within ",
                  formatDuration(*timeout), "; it is ", engine::toString(job->phase), "\n"}));
      return static_cast<int>(ExitCode::timed_out);
    }
    context.print(flags.json ? api::toJson(*job) + "\n" : renderHeadline(context.out, *job, wallClock()));
    if (code == 0) code = exitCodeOf(job->phase, job->exit_code);
  }
  return code;
}

}  // namespace

void addWait(Command& root) {
  auto flags = std::make_shared<WaitFlags>();
  Command& command = root.add("wait", "Wait until jobs have ended");
  command.listArgument("JOB", flags->jobs, "a job's id or name", Hint::job);
  command.option("--timeout", "TIME", flags->timeout, "at most so long, such as 2h; then 124");
  command.flag("--json", flags->json, "print each job, as the server answers");
  command.details =
      "Goes on waiting while the server is away. The exit code is that of the first of them that did not\n"
      "succeed, or 0.";
  command.action = [flags](Context& context) { return runWait(context, *flags); };
}

}  // namespace buoy::cli
