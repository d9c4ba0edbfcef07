// buoy ps: what runs, what waits.
#include <algorithm>
#include <memory>

#include "api/views.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/render/summary.h"
#include "cli/render/table.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

constexpr int kShown = 50;
constexpr int kRecent = 5;  // finished jobs shown without --all
constexpr int kMost = 100'000;

struct PsFlags {
  bool all = false;
  bool json = false;
  std::string limit;
};

std::string machinesOf(const api::JobView& job) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(job.machines.size(), 3); ++i)
    text += (i > 0 ? "," : "") + job.machines[i].toString();
  if (job.machines.size() > 3) text += "+" + std::to_string(job.machines.size() - 3);
  return text;
}

// The phase that it runs in now is counted in at its end only.
Duration ranSoFar(const api::JobView& job, Time now) {
  if (job.phase != engine::JobPhase::running) return job.ran;
  return job.ran + std::max(now - job.phase_since, Duration{});
}

std::vector<Cell> jobRow(const api::JobView& job, Time now) {
  const bool ended = engine::isTerminal(job.phase);
  std::string phase(engine::toString(job.phase));
  if (job.exit_code && *job.exit_code != 0) phase += " (" + std::to_string(*job.exit_code) + ")";
  const bool explain = job.phase != engine::JobPhase::succeeded && job.phase != engine::JobPhase::running;
  const Color quiet = ended ? Color::dim : Color::plain;
  const Duration ran = ranSoFar(job, now);
  return {Cell(job.id.toString(), ended ? Color::dim : Color::bold),
          Cell(cleaned(job.request.name), quiet),
          Cell(phase, colorOf(job.phase)),
          Cell(job.request.queue == "default" ? "" : cleaned(job.request.queue), quiet),
          Cell(machinesOf(job), quiet),
          Cell(job.attempts > 1 ? std::to_string(job.attempts) : "", quiet),
          Cell(age(job.submitted, now), quiet),
          Cell(ran > Duration{} ? formatDuration(ran) : "", quiet),
          Cell(job.ledger ? formatMoney(job.ledger->totalCost()) : "", quiet),
          Cell(explain ? cleaned(job.reason) : "", Color::dim)};
}

std::string render(const Look& look, const std::vector<api::JobView>& jobs) {
  const Time now = wallClock();
  Table table{{{"JOB"},
               {"NAME", Align::left, true},
               {"STATE"},
               {"QUEUE"},
               {"MACHINES"},
               {"ATTEMPTS", Align::right},
               {"AGE", Align::right},
               {"RAN", Align::right},
               {"COST", Align::right},
               {"WHY", Align::left, true}},
              {}};
  for (const api::JobView& job : jobs) table.rows.push_back(jobRow(job, now));
  return renderTable(look, table);
}

Result<api::JobListView> listJobs(Connection& connection, bool finished, int limit) {
  BUOY_TRY(
      const std::string body,
      connection.get(strCat({"/v1/jobs?finished=", finished ? "1" : "0", "&limit=", std::to_string(limit)})));
  return api::parseJobList(body);
}

int printJson(const Context& context, Connection& connection, const PsFlags& flags, int limit) {
  auto body =
      connection.get(strCat({"/v1/jobs?", flags.all ? "" : "finished=0&", "limit=", std::to_string(limit)}));
  if (!body) return context.fail(body.error());
  context.print(*body + "\n");
  return 0;
}

int printTable(const Context& context, Connection& connection, const PsFlags& flags, int limit) {
  auto unfinished = listJobs(connection, false, limit);
  if (!unfinished) return context.fail(unfinished.error());
  std::vector<api::JobView> jobs = std::move(unfinished->jobs);
  const int shown = static_cast<int>(jobs.size());
  const int room = std::min(flags.all ? limit : kRecent, limit - shown);
  if (room > 0 && unfinished->finished > 0) {
    auto finished = listJobs(connection, true, room);
    if (!finished) return context.fail(finished.error());
    std::move(finished->jobs.begin(), finished->jobs.end(), std::back_inserter(jobs));
  }
  if (jobs.empty()) {
    context.print("No jobs yet. Run one: buoy run python3 train.py\n");
    return 0;
  }
  std::string text = render(context.out, jobs);
  const std::int64_t total = unfinished->unfinished + unfinished->finished;
  if (const std::int64_t more = total - static_cast<std::int64_t>(jobs.size()); more > 0) {
    text += paint(context.out, Color::dim,
                  strCat({context.out.unicode ? "… and " : "... and ", std::to_string(more),
                          " more: buoy ps -a --limit N"})) +
            "\n";
  }
  context.print(text);
  return 0;
}

int runPs(const Context& context, const PsFlags& flags) {
  const auto limit = flags.limit.empty() ? kShown : parseNumber<int>(flags.limit);
  if (!limit || *limit < 1 || *limit > kMost) {
    return context.fail({ErrorCode::invalid_argument,
                         "--limit must be a number from 1 to 100000, not '" + flags.limit + "'", false});
  }
  auto connection = connect(context);
  if (!connection) return connection.error();
  return flags.json ? printJson(context, **connection, flags, *limit)
                    : printTable(context, **connection, flags, *limit);
}

}  // namespace

void addPs(Command& root) {
  auto flags = std::make_shared<PsFlags>();
  Command& command = root.add("ps", "List jobs: unfinished ones, and those that have just finished");
  command.flag("--all,-a", flags->all, "finished ones as well");
  command.option("--limit", "N", flags->limit, "at most so many, the newest (50)");
  command.flag("--json", flags->json, "print the server's answer");
  command.action = [flags](Context& context) { return runPs(context, *flags); };
}

}  // namespace buoy::cli
