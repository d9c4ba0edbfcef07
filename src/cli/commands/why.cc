// buoy why: the decisions about a job or a machine, in order, with what they were based on.
#include <memory>

#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/job_feed.h"
#include "cli/render/history.h"
#include "cli/render/times.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct WhyFlags {
  std::string subject;
  bool json = false;
};

struct Told {
  std::uint64_t decisions = 0, otherwise = 0, planless = 0;
};

std::string renderDecision(const Look& look, const api::RecordView& record, const api::RecordView* last) {
  const std::string known = renderKnown(look, record), candidates = renderCandidates(look, record);
  // The same again says nothing new.
  if (last != nullptr && renderKnown(look, *last) == known && renderCandidates(look, *last) == candidates)
    return {};
  return known + candidates;
}

// Once a plan was made where it was asked for, and not kept with the answer that followed from it.
bool isPlanless(const api::RecordView& record) {
  const auto& steered = record.record.decision->steered;
  return steered && steered->question.rule == engine::SpotRule::buoy && !steered->question.plan &&
         steered->reason != "its plan is being made";
}

std::string render(const Look& look, const std::vector<api::RecordView>& records) {
  std::string text;
  Told told;
  const api::RecordView* last = nullptr;
  for (const api::RecordView& record : records) {
    text += renderRecord(look, record, Telling::full, clockTime(record.record.at));
    const bool steered = record.record.decision && record.record.decision->steered;
    if (record.record.candidates.empty() && !steered) continue;
    if (steered) {
      text += renderSteered(look, *record.record.decision->steered);
    } else {
      text += renderDecision(look, record, last);
      last = &record;
    }
    if (!record.rederived) continue;
    if (!*record.rederived && isPlanless(record)) {
      ++told.planless;
      text += "           " +
              paint(look, Color::dim,
                    "decided by an earlier version, which did not keep its plan: it cannot be found again") +
              "\n";
      continue;
    }
    ++told.decisions;
    if (*record.rederived) continue;
    ++told.otherwise;
    text += "           " +
            paint(look, Color::yellow, "the policy of this server decides otherwise when it is shown that") +
            "\n";
  }
  if (told.planless > 0)
    text += "\n" +
            paint(look, Color::dim,
                  counted(told.planless, "decision") +
                      " of an earlier version cannot be found again: the plan is not kept") +
            "\n";
  if (told.decisions == 0) return text;
  std::string end = counted(told.decisions, "decision") +
                    ", found again from what was known then by the policy's own code: ";
  end += told.otherwise == 0 ? "the same" : std::to_string(told.otherwise) + " not the same";
  return text + "\n" + paint(look, Color::dim, end) + "\n";
}

int runWhy(const Context& context, const WhyFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  const bool machine = MachineId::parse(flags.subject).has_value();
  const std::string target =
      strCat({machine ? "/v1/machines/" : "/v1/jobs/", pathPart(flags.subject), "/why"});
  auto body = (*connection)->get(target);
  if (!body) return context.fail(body.error());
  if (flags.json) {
    context.print(*body);
    return 0;
  }
  std::vector<api::RecordView> records;
  for (const std::string_view line : split(*body, '\n')) {
    if (line.empty()) continue;
    auto record = api::parseRecord(line);
    if (!record) return context.fail(record.error().wrap("the server's answer"));
    records.push_back(std::move(*record));
  }
  context.print(render(context.out, records));
  return 0;
}

}  // namespace

void addWhy(Command& root) {
  auto flags = std::make_shared<WhyFlags>();
  Command& command = root.add("why", "Explain every decision about a job or machine");
  command.argument("JOB|MACHINE", flags->subject, "a job's id or name, or a machine's id", Hint::job);
  command.flag("--json", flags->json, "one JSON object a line, as the server sends them");
  command.details =
      "Of each decision: what was known of the pools, every candidate with its price and score, and why it\n"
      "was rejected. What was known is kept with the decision, and shown to the policy again: its answer "
      "must\n"
      "be the one that was given.";
  command.action = [flags](Context& context) { return runWhy(context, *flags); };
}

}  // namespace buoy::cli
