#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// Jobs that wait for others. Who waits for whom can be found again from the jobs, so it is only an index;
// what a job still waits for is kept with it.
namespace buoy::engine {
namespace {

std::string namesOf(const std::vector<JobId>& jobs) {
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(jobs.size(), 3); ++i)
    names += (i == 0 ? "" : ", ") + jobs[i].toString();
  return jobs.size() > 3 ? names + " and " + std::to_string(jobs.size() - 3) + " more" : names;
}

}  // namespace

void State::Impl::indexDependencies(const Job& job) {
  for (const Dependency& dependency : job.request.depends_on)
    if (findJob(dependency.job)) dependents[dependency.job].push_back(job.id);
}

std::vector<JobId> Stepper::dependentsOf(JobId job) const {
  const auto found = s_.dependents.find(job);
  return found == s_.dependents.end() ? std::vector<JobId>() : found->second;
}

// What of its dependencies is not over yet. The engine forgets what has succeeded.
void Stepper::beginWaiting(JobSlot& slot, JobId failed_dependency) {
  Job& job = slot.job;
  JobId failed = failed_dependency;
  for (const Dependency& dependency : job.request.depends_on) {
    const JobSlot* const other = s_.findJob(dependency.job);
    if (!other) continue;
    const bool over = isTerminal(other->job.phase);
    if (over && other->job.phase != JobPhase::succeeded) failed = other->job.id;
    const bool each = dependency.same_index && job.array && other->job.array;
    if (!over && !each) job.waits_for.push_back(dependency.job);
  }
  s_.indexDependencies(job);
  if (failed)
    return finish(slot, JobPhase::failed,
                  strCat({failed.toString(), ", which it depends on, has not succeeded"}));
  if (!job.waits_for.empty()) job.reason = "waits for " + namesOf(job.waits_for);
  if (job.array && job.waits_for.empty()) failGated(slot);
  waitForPlacement(slot);
}

// Tasks whose counterparts have failed already.
void Stepper::failGated(JobSlot& slot) {
  for (std::uint32_t i = 0; i < slot.job.array->tasks.size() && !isTerminal(slot.job.phase); ++i) {
    if (s_.gateOf(slot.job, i) == 'f')
      failTask(slot, i, JobPhase::failed, "its counterpart has not succeeded");
  }
}

// `ended` is over: called once for each job, in the step in which it ended.
void Stepper::release(const Job& ended) {
  if (ended.parent) noteTask(ended);
  for (const JobId id : dependentsOf(ended.id)) {
    JobSlot* const slot = s_.findJob(id);
    if (!slot || isTerminal(slot->job.phase)) continue;
    Job& job = slot->job;
    if (std::erase(job.waits_for, ended.id) == 0) {
      // Task by task: what the other array never came to.
      for (std::uint32_t i = 0; job.array && ended.array && i < job.array->tasks.size(); ++i) {
        if (i < ended.array->tasks.size() && ended.array->tasks[i] != 's')
          failTask(*slot, i, JobPhase::failed, strCat({ended.id.toString(), " has ended without its task"}));
      }
      continue;
    }
    touch(*slot);
    if (ended.phase != JobPhase::succeeded) {
      finish(*slot, JobPhase::failed,
             strCat({ended.id.toString(), ", which it depends on, has not succeeded"}));
    } else if (job.waits_for.empty()) {
      job.reason = "waiting its turn";
      if (job.array) failGated(*slot);
      waitForPlacement(*slot);
    } else {
      job.reason = "waits for " + namesOf(job.waits_for);
    }
  }
  s_.dependents.erase(ended.id);
}

}  // namespace buoy::engine
