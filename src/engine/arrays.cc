#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// Arrays: many tasks that wait as one job. The array stands in a bucket like any job; what it is given a
// machine for becomes a job of its own, a task, and leads its own life from there.
namespace buoy::engine {
namespace {

constexpr char kWaiting = '.', kBegun = 'r', kSucceeded = 's', kFailed = 'f';

std::string progress(const ArrayState& array) {
  const std::uint32_t ended = array.succeeded + array.failed;
  return strCat({std::to_string(array.begun - ended), " of ", std::to_string(array.tasks.size()),
                 " tasks run, ", std::to_string(ended), " have ended", array.failed > 0 ? ", " : "",
                 array.failed > 0 ? std::to_string(array.failed) + " without success" : ""});
}

}  // namespace

char State::Impl::gateOf(const Job& array, std::uint32_t index) const {
  const auto& tasks = array.array->tasks;
  if (array.request.sequential && index > 0 && tasks[index - 1] != kSucceeded) return tasks[index - 1];
  for (const Dependency& dependency : array.request.depends_on) {
    const JobSlot* const other = dependency.same_index ? findJob(dependency.job) : nullptr;
    if (!other || !other->job.array || index >= other->job.array->tasks.size()) continue;
    if (const char state = other->job.array->tasks[index]; state != kSucceeded) return state;
  }
  return kSucceeded;
}

std::optional<std::uint32_t> State::Impl::nextTask(const Job& job) const {
  const auto& tasks = job.array->tasks;
  for (std::uint32_t i = job.array->first; i < tasks.size(); ++i) {
    if (tasks[i] == kWaiting && gateOf(job, i) == kSucceeded) return i;
    if (job.request.sequential && tasks[i] != kSucceeded) return std::nullopt;
  }
  return std::nullopt;
}

JobSlot& Stepper::makeTask(JobSlot& parent, std::uint32_t index) {
  Job& array = parent.job;
  const JobId id = taskOf(array.id, index);
  JobSlot& slot = s_.jobs.make(id.value);
  slot.timer.id = id.value;
  slot.queue = parent.queue;
  Job& task = slot.job;
  task.id = id;
  task.request = array.request;
  task.request.array = 0;
  task.request.sequential = false;
  task.request.depends_on.clear();
  task.request.name += "." + std::to_string(index);
  task.parent = array.id;
  task.index = static_cast<std::int32_t>(index);
  task.submitted = array.submitted;
  task.phase_since = task.waiting_since = now_;
  ArrayState& state = *array.array;
  state.tasks[index] = kBegun;
  ++state.begun;
  while (state.first < state.tasks.size() && state.tasks[state.first] != kWaiting) ++state.first;
  touch(slot);
  touch(parent);
  return slot;
}

// The task of the array at the head of its bucket that may begin now; the array leaves the bucket when it is
// the last.
JobSlot& Stepper::takeTask(JobSlot& parent) {
  JobSlot& task = makeTask(parent, *s_.nextTask(parent.job));
  if (!s_.nextTask(parent.job)) {
    s_.dequeue(parent);
    parent.job.reason = progress(*parent.job.array);
  }
  return task;
}

void Stepper::failTask(JobSlot& parent, std::uint32_t index, JobPhase phase, std::string why) {
  if (parent.job.array->tasks[index] != kWaiting) return;
  JobSlot& task = makeTask(parent, index);
  if (!s_.nextTask(parent.job)) s_.dequeue(parent);
  finish(task, phase, std::move(why));
}

// A task has ended: the array counts it, and those that waited for it go on or fail.
void Stepper::noteTask(const Job& task) {
  JobSlot* const parent = s_.findJob(task.parent);
  if (!parent || isTerminal(parent->job.phase)) return;
  Job& job = parent->job;
  ArrayState& array = *job.array;
  const auto index = static_cast<std::uint32_t>(task.index);
  const bool good = task.phase == JobPhase::succeeded;
  array.tasks[index] = good ? kSucceeded : kFailed;
  ++(good ? array.succeeded : array.failed);
  touch(*parent);
  const std::string why = strCat({task.id.toString(), ", which it waited for, has not succeeded"});
  if (job.request.sequential && !good && index + 1 < array.tasks.size())
    failTask(*parent, index + 1, JobPhase::failed, why);
  for (const JobId id : dependentsOf(job.id)) {
    JobSlot* const other = s_.findJob(id);
    if (!other || !other->job.array || isTerminal(other->job.phase)) continue;
    if (!good && index < other->job.array->tasks.size()) failTask(*other, index, JobPhase::failed, why);
    waitForPlacement(*other);
  }
  if (!s_.nextTask(job)) job.reason = progress(array);  // else it says what it waits for
  if (array.succeeded + array.failed < array.tasks.size()) return waitForPlacement(*parent);
  if (array.failed == 0) return finish(*parent, JobPhase::succeeded, "all of its tasks have succeeded");
  finish(*parent, job.stop == StopReason::cancelled ? JobPhase::cancelled : JobPhase::failed,
         strCat({std::to_string(array.failed), " of its ", std::to_string(array.tasks.size()),
                 " tasks have not succeeded"}));
}

void Stepper::stopTasks(JobSlot& parent, StopReason reason, const std::string& why) {
  const auto& tasks = parent.job.array->tasks;
  for (std::uint32_t i = 0; i < tasks.size(); ++i) {
    JobSlot* const task = tasks[i] == kBegun ? s_.findJob(taskOf(parent.job.id, i)) : nullptr;
    if (task && !isTerminal(task->job.phase) && task->job.stop == StopReason::none)
      stopJob(*task, reason, why);
  }
}

void Stepper::cancelTask(JobSlot& parent, const CancelJob& event) {
  const auto index = static_cast<std::uint32_t>(event.index);
  if (!parent.job.array || index >= parent.job.array->tasks.size())
    return refuse(ErrorCode::not_found,
                  strCat({parent.job.id.toString(), " has no task ", std::to_string(index)}));
  out_.reply.job = taskOf(parent.job.id, index);
  const std::string why = event.why.empty() ? "cancelled" : event.why;
  failTask(parent, index, JobPhase::cancelled, why);
  JobSlot* const task = s_.findJob(out_.reply.job);
  if (!task || isTerminal(task->job.phase)) return;
  on(CancelJob{task->job.id, event.only_waiting, event.why, -1});
}

}  // namespace buoy::engine
