// buoy logs: what a job has printed.
#include <memory>

#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/follow.h"
#include "cli/job_feed.h"
#include "cli/story.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct LogsFlags {
  std::string job, rank, tail, since;
  bool follow = false, timestamps = false, json = false;
};

Result<std::optional<std::int32_t>> wholeNumber(const char* flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto value = parseNumber<std::int32_t>(text);
  if (value && *value >= 0) return value;
  return fail(ErrorCode::invalid_argument,
              strCat({flag, " must be a whole number from 0 on, not '", text, "'"}));
}

// "10m": so long ago; or an instant.
Result<Time> sinceOf(const std::string& text) {
  if (text.empty()) return Time{};
  if (const auto ago = parseDuration(text)) return wallClock() - *ago;
  if (auto at = parseTime(text)) return at;
  return fail(ErrorCode::invalid_argument,
              strCat({"--since must be a time such as 10m or 2026-11-21T09:30:00Z, not '", text, "'"}));
}

// Everything there is now.
int printNow(const Context& context, Connection& connection, const api::JobView& job, const LogsFlags& flags,
             const FollowOptions& options) {
  LogPrinter printer(context, options.timestamps, job.request.machines > 1);
  std::optional<Error> broken;
  const auto print = [&](std::string_view text) {
    const auto line = api::parseLogLine(text);
    if (!line) {
      broken = line.error();
    } else if (options.wants(*line)) {
      flags.json ? context.print(strCat({text, "\n"})) : printer.print(*line);
    }
  };
  const FeedSource source = logSource(job.id, options.tail, [](const api::LogLineView&) {});
  std::string rest;
  const Status status =
      connection.stream(source.target("", false), std::chrono::seconds{60}, [&](std::string_view chunk) {
        rest += chunk;
        std::size_t begin = 0;
        for (std::size_t end; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
          if (end > begin) print(std::string_view(rest).substr(begin, end - begin));
        }
        rest.erase(0, begin);
        return !broken;
      });
  printer.finish();
  if (broken) return context.fail(*broken);
  return status ? 0 : context.fail(status.error());
}

int followOn(const Context& context, Connection& connection, const api::JobView& job,
             const FollowOptions& options, os::InterruptWatch& interrupts) {
  auto end = follow(context, connection.address(), job, options, interrupts);
  if (!end) return context.fail(end.error());
  if (end->detached) {
    context.note("\n");
    return static_cast<int>(ExitCode::cancelled);
  }
  return printEnd(context, connection, end->job);
}

int runLogs(const Context& context, const LogsFlags& flags) {
  FollowOptions options;
  const auto rank = wholeNumber("--rank", flags.rank);
  const auto tail = wholeNumber("--tail", flags.tail);
  const auto since = sinceOf(flags.since);
  if (!rank || !tail) return context.fail(rank ? tail.error() : rank.error());
  if (!since) return context.fail(since.error());
  options.since = *since;
  options.rank = *rank;
  options.tail = *tail;
  options.timestamps = flags.timestamps;
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto interrupts =
      flags.follow ? os::InterruptWatch::create() : Result<os::InterruptWatch>(tl::unexpect, Error{});
  auto job = fetchJob(**connection, flags.job);
  if (!job) return context.fail(job.error());
  if (!flags.follow || flags.json) return printNow(context, **connection, *job, flags, options);
  if (!interrupts) return context.fail(interrupts.error());
  return followOn(context, **connection, *job, options, *interrupts);
}

}  // namespace

void addLogs(Command& root) {
  auto flags = std::make_shared<LogsFlags>();
  Command& command = root.add("logs", "Print what a job has printed");
  command.argument("JOB", flags->job, "a job's id or name", Hint::job);
  command.flag("--follow,-f", flags->follow,
               "go on until the job has ended; the exit code is then the job's");
  command.flag("--timestamps,-t", flags->timestamps, "begin each line with its time");
  command.option("--rank", "N", flags->rank, "only the lines of this member of the gang");
  command.option("--tail", "N", flags->tail, "begin with the last N lines");
  command.option("--since", "TIME", flags->since, "only lines of the last 10m, say, or from an instant on");
  command.flag("--json", flags->json, "one JSON object a line, as the server sends them");
  command.action = [flags](Context& context) { return runLogs(context, *flags); };
}

}  // namespace buoy::cli
