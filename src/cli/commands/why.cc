// buoy why: the decisions about a job or a machine, in order, with what they were based on.
#include <algorithm>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/follow.h"
#include "cli/job_feed.h"
#include "cli/render/history.h"
#include "cli/story.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

struct WhyFlags {
  std::string subject;
  bool json = false;
};

std::string render(const Look& look, const std::vector<api::RecordView>& records) {
  std::string text;
  const api::RecordView* last_decision = nullptr;
  for (const api::RecordView& record : records) {
    text += renderRecord(look, record, Telling::full, clockTime(record.record.at));
    const std::string candidates = renderCandidates(look, record);
    // The same table again says nothing new.
    if (!candidates.empty() &&
        (last_decision == nullptr || renderCandidates(look, *last_decision) != candidates))
      text += candidates;
    if (!candidates.empty()) last_decision = &record;
  }
  return text;
}

// The job whose history tells of the subject: itself, or the machine's job.
Result<JobId> jobOf(Connection& connection, const std::string& subject) {
  if (!MachineId::parse(subject)) {
    BUOY_TRY(const api::JobView job, fetchJob(connection, subject));
    return job.id;
  }
  BUOY_TRY(const std::string body, connection.get("/v1/machines/" + pathPart(subject)));
  BUOY_TRY(const api::MachineView machine, api::parseMachine(body));
  if (!machine.job) return fail(ErrorCode::not_found, subject + " has worked for no job");
  return machine.job;
}

int run(const Context& context, const WhyFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto job = jobOf(**connection, flags.subject);
  if (!job) return context.fail(job.error());
  if (flags.json) {
    auto body = (*connection)->get("/v1/jobs/" + job->toString() + "/events?after=0");
    if (!body) return context.fail(body.error());
    context.print(*body);
    return 0;
  }
  auto records = fetchRecords(**connection, *job);
  if (!records) return context.fail(records.error());
  if (const auto machine = MachineId::parse(flags.subject)) {
    const auto elsewhere = [&](const api::RecordView& view) {
      return view.record.machine && view.record.machine != *machine;
    };
    records->erase(std::remove_if(records->begin(), records->end(), elsewhere), records->end());
  }
  context.print(render(context.out, *records));
  return 0;
}

}  // namespace

void addWhy(Command& root) {
  auto flags = std::make_shared<WhyFlags>();
  Command& command = root.add("why", "Explain every decision about a job or machine");
  command.argument("JOB|MACHINE", flags->subject, "a job's id or name, or a machine's id", Hint::job);
  command.flag("--json", flags->json, "one JSON object a line, as the server sends them");
  command.action = [flags](Context& context) { return run(context, *flags); };
}

}  // namespace buoy::cli
