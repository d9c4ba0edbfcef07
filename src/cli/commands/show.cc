// buoy show: one job, with what became of its time and money.
#include <memory>

#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/job_feed.h"
#include "cli/render/size.h"
#include "cli/render/times.h"
#include "cli/story.h"
#include "cli/submission.h"
#include "engine/engine.h"

namespace buoy::cli {
namespace {

struct ShowFlags {
  std::string job;
  bool json = false;
};

std::string machinesLine(const api::JobView& job) {
  std::string text;
  for (const api::MemberView& member : job.members) {
    if (!text.empty()) text += ", ";
    text += member.machine.toString();
    if (job.members.size() > 1) text += " (rank " + std::to_string(member.rank) + ")";
    text += strCat({" ", engine::toString(member.phase)});
  }
  return text;
}

std::string resourcesLine(const engine::JobRequest& request) {
  std::string text = request.machines > 1 ? std::to_string(request.machines) + " machines of " : "";
  return strCat({text, sizeText(request.resources), ", spot: ", engine::toString(request.spot)});
}

// ", 1.0 GiB in 3.1s (52 MiB sent)"
std::string saveLine(const engine::SaveMeasure& save) {
  if (save.took == Duration{}) return "";
  std::string text = ", " + formatByteCount({save.bytes}) + " in " + formatDuration(save.took);
  if (save.sent < save.bytes)
    text += " (" + formatByteCount({save.sent}) + " sent, the rest was stored already)";
  return text;
}

std::string fitLine(const engine::SaveMeasure& save) {
  if (save.fitsInNotice() == 0) return "";
  return "up to " + formatByteCount({save.fitsInNotice()}) + " could be saved in the notice of " +
         formatDuration(save.notice) + " (" + formatByteCount({save.bytes_per_second}) + "/s measured)";
}

// "a save every 4m 10s (auto), as the job was told after that version"
std::string intervalLine(const api::JobView& job) {
  const Duration interval = job.last_save.interval;
  if (interval == Duration{}) return "";
  const auto spec = api::parseJobJson(job.spec);
  const bool fixed = spec && spec->checkpoint && spec->checkpoint->interval;
  return strCat({"a save every ", formatDuration(interval), fixed ? " (the job's)" : " (auto)",
                 ", as the job was told after that version"});
}

// "in 2h 3m (2026-11-21 18:00:00), 8h of work, policy buoy"
std::string deadlineLine(const api::JobView& job) {
  const auto deadline = engine::deadlineOf(job.request, job.submitted);
  if (!deadline) return "";
  const Duration left = *deadline - wallClock();
  const std::string when = engine::isTerminal(job.phase) ? localTime(*deadline)
                           : left > Duration{}
                               ? strCat({"in ", formatDuration(left), " (", localTime(*deadline), ")"})
                               : strCat({formatDuration(-left), " ago (", localTime(*deadline), ")"});
  return strCat({when, ", ", formatDuration(job.request.work), " of work, policy ",
                 engine::toString(job.request.policy)});
}

std::string budgetLine(const api::JobView& job) {
  if (job.request.budget == Money{}) return "";
  const Money spent = job.ledger ? job.ledger->totalCost() : Money{};
  std::string text = strCat({formatMoney(job.request.budget), ", ", formatMoney(spent), " booked"});
  if (job.phase == engine::JobPhase::paused)
    text += "; it goes on with 'buoy resume " + job.id.toString() + " --budget USD'";
  return text;
}

std::string facts(const Look& look, const api::JobView& job) {
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += "  " + paint(look, Color::dim, pad(name, 11)) + cleaned(value) + "\n";
  };
  if (const auto spec = api::parseJobJson(job.spec); spec) line("run", spec->run);
  line("submitted", localTime(job.submitted));
  line("queue", job.request.queue +
                    (job.request.priority != 0 ? ", priority " + std::to_string(job.request.priority) : "") +
                    (job.request.share.empty() ? "" : ", share " + job.request.share));
  line("needs", resourcesLine(job.request));
  line("deadline", deadlineLine(job));
  line("budget", budgetLine(job));
  line("machines", machinesLine(job));
  line("attempts", job.attempts > 0
                       ? std::to_string(job.attempts) +
                             (job.failures > 0 ? ", " + counted(job.failures, "failure") + " forgiven" : "")
                       : "");
  line("checkpoint",
       job.last_version > 0 ? "version " + std::to_string(job.last_version) + saveLine(job.last_save) : "");
  line("", intervalLine(job));
  line("", fitLine(job.last_save));
  return text;
}

int runShow(const Context& context, const ShowFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  if (flags.json) {
    auto body = (*connection)->get("/v1/jobs/" + pathPart(flags.job));
    if (!body) return context.fail(body.error());
    context.print(*body + "\n");
    return 0;
  }
  auto job = fetchJob(**connection, flags.job);
  if (!job) return context.fail(job.error());
  auto story = fetchStory(**connection, std::move(*job));
  if (!story) return context.fail(story.error());
  context.print(renderHeadline(context.out, story->job, wallClock()) + facts(context.out, story->job) +
                renderStory(context.out, *story));
  return 0;
}

}  // namespace

void addShow(Command& root) {
  auto flags = std::make_shared<ShowFlags>();
  Command& command = root.add("show", "Show a job: state, curves, timeline, ledger, savings");
  command.argument("JOB", flags->job, "a job's id or name", Hint::job);
  command.flag("--json", flags->json, "print the server's answer");
  command.action = [flags](Context& context) { return runShow(context, *flags); };
}

}  // namespace buoy::cli
