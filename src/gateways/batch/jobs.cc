#include "gateways/batch/jobs.h"

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::gateways::batch {

Result<JobReference> parseJobReference(std::string_view text) {
  const std::string word = nameIn(text, Thing::job);
  const auto cut = word.find_first_of(":#");
  const auto id = JobId::parse(std::string_view(word).substr(0, cut));
  JobReference reference;
  bool good = id.has_value();
  if (good) reference.job = *id;
  if (good && cut != std::string::npos) {
    const auto number = parseNumber<std::uint32_t>(std::string_view(word).substr(cut + 1));
    good = number.has_value();
    (word[cut] == ':' ? reference.index : reference.node) = number;
  }
  if (!good) return fail(ErrorCode::invalid_argument, strCat({"there is no job ", inQuotes(text)}));
  return reference;
}

Result<front::Body> doorOf(std::string_view spec) {
  BUOY_TRY(const front::Body whole, front::Body::parse(spec));
  return front::Body::partOf(whole, "door");
}

std::string idOf(const engine::Job& job) {
  if (!job.parent) return job.id.toString();
  return strCat({job.parent.toString(), ":", std::to_string(job.index)});
}

std::string nameOf(const engine::Job& job) {
  const std::string& name = job.request.name;
  return job.parent ? name.substr(0, name.rfind('.')) : name;
}

std::string_view statusOf(const engine::Job& job) {
  using engine::JobPhase;
  const bool waits = !job.waits_for.empty() || (job.array && job.array->begun > 0);
  if (waits && !engine::isTerminal(job.phase)) return "PENDING";
  switch (job.phase) {
    case JobPhase::queued:
    case JobPhase::recovering:
    case JobPhase::paused:
      return "RUNNABLE";
    case JobPhase::starting:
      return "STARTING";
    case JobPhase::running:
    case JobPhase::stopping:
      return "RUNNING";
    case JobPhase::succeeded:
      return "SUCCEEDED";
    case JobPhase::failed:
    case JobPhase::cancelled:
    case JobPhase::timed_out:
      return "FAILED";
  }
  return "FAILED";
}

Time startedAt(const engine::Job& job) {
  if (job.current && !job.current->members.empty() && job.current->members[0].running_since != Time{})
    return job.current->members[0].running_since;
  for (auto it = job.past.rbegin(); it != job.past.rend(); ++it) {
    if (it->started != Time{}) return it->started;
  }
  return Time{};
}

Time stoppedAt(const engine::Job& job) {
  return engine::isTerminal(job.phase) ? job.phase_since : Time{};
}

std::string statusReason(const engine::Job& job) {
  if (job.phase == engine::JobPhase::succeeded || (job.phase == engine::JobPhase::failed && job.exit_code))
    return "Essential container in task exited";
  if (job.phase == engine::JobPhase::recovering && !job.past.empty() && job.past.back().interrupted)
    return strCat({"Host EC2 (instance ", job.past.back().machine.toString(), ") terminated."});
  if (job.phase == engine::JobPhase::timed_out && job.request.attempt_timeout > Duration{} &&
      job.stop == engine::StopReason::max_run)
    return "Job attempt duration exceeded timeout";
  return job.reason;
}

std::string logStreamName(std::string_view definition, JobId job, std::uint32_t attempt, std::uint32_t rank) {
  std::string name = strCat({definition.substr(0, definition.find(':')), "/default/", job.toString(), ".",
                             std::to_string(attempt)});
  if (rank > 0) name += "." + std::to_string(rank);
  return name;
}

}  // namespace buoy::gateways::batch
