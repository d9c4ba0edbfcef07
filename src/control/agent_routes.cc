#include "api/agent_protocol.h"
#include "api/json_writer.h"
#include "control/answers.h"
#include "control/services.h"

namespace buoy::control {
namespace {

constexpr std::size_t kMaxSentence = 4096;
constexpr std::int64_t kLongestWait = 60;

// The machine that the call's token proves and that still exists. Without it the agent is told to end (401,
// 403).
Result<MachineId> callerOf(Services& services, const Call& call) {
  BUOY_TRY(const MachineId machine, services.access.checkMachine(call.request));
  if (!services.hub.knows(machine)) {
    return fail(ErrorCode::permission_denied,
                machine.toString() + " does not exist any more: save and shut down");
  }
  return machine;
}

void hello(Services& services, Call call, MachineId machine) {
  const auto message = api::parseHello(call.request.body);
  if (!message) return sendError(*call.responder, message.error());
  if (message->machine != machine) {
    return sendError(*call.responder,
                     {ErrorCode::permission_denied, "the token is of " + machine.toString(), false});
  }
  Submission submission;
  submission.events.emplace_back(engine::AgentConnected{machine, message->address});
  submission.done = [responder = call.responder, machine, &hub = services.hub](
                        const Result<engine::Reply>& reply, const engine::State&) {
    if (!reply) return sendError(*responder, reply.error());
    const auto directive = hub.current(machine);
    if (!directive)
      return sendError(*responder, {ErrorCode::permission_denied, "the machine is gone", false});
    sendJson(*responder, 200, api::toJson(*directive));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*call.responder, taken.error());
}

void directive(Services& services, Call call, MachineId machine) {
  const auto seen = numberParameter(call.request, "seen", 0, 0, INT64_MAX);
  if (!seen) return sendError(*call.responder, seen.error());
  const auto wait = numberParameter(call.request, "wait", 30, 0, kLongestWait);
  if (!wait) return sendError(*call.responder, wait.error());
  const std::chrono::seconds patience{*wait};
  services.hub.poll(machine, static_cast<std::uint64_t>(*seen), services.clock.now() + patience,
                    call.responder);
  services.timer.after(patience + std::chrono::milliseconds{10}, [&hub = services.hub] { hub.expire(); });
}

engine::AgentReport toEvent(const api::ReportMessage& message, Time now) {
  engine::AgentReport event;
  event.machine = message.machine;
  event.job = message.job;
  event.epoch = message.epoch;
  for (const auto& change : message.phases) event.phases.push_back({change.phase, now - change.age});
  event.committed_version = message.committed_version;
  event.committed_covers = now - message.committed_covers_age;
  event.save = message.save;
  event.result = message.result;
  return event;
}

// What the agent tells about its work beside what the engine decides on.
void attachHistory(Submission& submission, const api::ReportMessage& message, const engine::Directive& work,
                   Time now) {
  for (const auto& metric : message.metrics) {
    submission.metrics.push_back(
        {work.job, work.attempt, message.machine, metric.seq, metric.name, now - metric.age, metric.value});
  }
  std::uint64_t number = message.events_from;
  for (const std::string& sentence : message.events) {
    engine::Record record;
    record.at = now;
    record.job = work.job;
    record.machine = message.machine;
    record.attempt = work.attempt;
    const bool warns = sentence.starts_with(api::kWarning);
    record.kind = warns ? "warning" : "agent";
    record.detail = sentence.substr(warns ? api::kWarning.size() : 0, kMaxSentence);
    submission.agent_records.push_back({std::move(record), work.epoch, number++});
  }
}

void report(Services& services, Call call, MachineId machine) {
  const auto message = api::parseReportMessage(call.request.body);
  if (!message) return sendError(*call.responder, message.error());
  if (message->machine != machine) {
    return sendError(*call.responder,
                     {ErrorCode::permission_denied, "the token is of " + machine.toString(), false});
  }
  const Time now = services.clock.now();
  Submission submission;
  if (message->notice_in)
    submission.events.emplace_back(engine::NoticeReceived{machine, now + *message->notice_in});
  for (const auto& closed : message->closed)
    submission.events.emplace_back(
        engine::PartClosed{machine, closed.machine, closed.detail.substr(0, kMaxSentence)});
  if (message->job) {
    submission.events.emplace_back(toEvent(*message, now));
    const auto work = services.hub.lastWork(machine);
    if (work && work->job == message->job && work->epoch == message->epoch)
      attachHistory(submission, *message, *work, now);
  } else {
    submission.events.emplace_back(engine::LeaseRenewed{machine});
  }
  submission.done = [responder = call.responder, machine, &hub = services.hub](
                        const Result<engine::Reply>& reply, const engine::State&) {
    if (!reply) {
      const bool gone = reply.error().code == ErrorCode::not_found;
      return sendError(*responder, gone ? Error{ErrorCode::permission_denied, reply.error().message, false}
                                        : reply.error());
    }
    std::string json;
    api::JsonWriter(json).beginObject().field("generation", hub.generation(machine)).endObject();
    sendJson(*responder, 200, std::move(json));
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*call.responder, taken.error());
}

struct LogTarget {
  JobId job;
  LogStream stream;
  std::uint64_t offset = 0;
};

Result<LogTarget> logTargetOf(const net::Request& request) {
  const std::string word = request.queryValue("job");
  const auto job = JobId::parse(word);
  if (!job)
    return fail(ErrorCode::invalid_argument, "job: must be a job's id, such as j42, not '" + word + "'");
  BUOY_TRY(const std::int64_t attempt, numberParameter(request, "attempt", 0, 1, UINT32_MAX));
  BUOY_TRY(const std::int64_t rank, numberParameter(request, "rank", 0, 0, INT32_MAX));
  BUOY_TRY(const std::int64_t offset, numberParameter(request, "offset", 0, 0, INT64_MAX));
  return LogTarget{*job,
                   {static_cast<std::uint32_t>(attempt), static_cast<std::uint32_t>(rank)},
                   static_cast<std::uint64_t>(offset)};
}

// A machine writes only the logs of its own work: what it does now, or, after a restart of the control plane,
// anything that the history says it has worked on.
bool mayAppend(Services& services, MachineId machine, const LogTarget& target) {
  const auto work = services.hub.lastWork(machine);
  if (work && work->job == target.job && work->attempt == target.stream.attempt &&
      static_cast<std::uint32_t>(work->rank) == target.stream.rank) {
    return true;
  }
  const auto records = services.store.records(target.job, machine, 0, 1);
  return records && !records->empty();
}

void append(Services& services, const std::shared_ptr<net::Responder>& responder, const LogTarget& target,
            const std::string& bytes) {
  const auto size = services.logs.append(target.job, target.stream, target.offset, bytes);
  if (!size) {
    const bool full = size.error().code == ErrorCode::resource_exhausted;
    return sendError(*responder,
                     full ? Error{ErrorCode::unavailable, "storage is full: " + size.error().message, true}
                          : size.error());
  }
  std::string json;
  api::JsonWriter(json).beginObject().field("size", *size).endObject();
  sendJson(*responder, *size == target.offset + bytes.size() ? 200 : 409, std::move(json));
}

void logs(Services& services, Call call, MachineId machine) {
  const auto target = logTargetOf(call.request);
  if (!target) return sendError(*call.responder, target.error());
  if (!mayAppend(services, machine, *target)) {
    return sendError(*call.responder,
                     {ErrorCode::failed_precondition,
                      machine.toString() + " has not worked on attempt " +
                          std::to_string(target->stream.attempt) + " of " + target->job.toString(),
                      false});
  }
  const auto responder = call.responder;
  const bool taken = services.io.post(
      target->job.value, [&services, responder, target = *target, bytes = std::move(call.request.body)] {
        append(services, responder, target, bytes);
      });
  if (!taken) sendError(*responder, {ErrorCode::unavailable, "too many logs are waiting; try again", true});
}

}  // namespace

void addAgentRoutes(Router& router, Services& services) {
  const auto route = [&](std::string method, std::string_view path,
                         void (*answer)(Services&, Call, MachineId)) {
    router.add(std::move(method), path, [&services, answer](Call call) {
      const auto machine = callerOf(services, call);
      if (!machine) return sendError(*call.responder, machine.error());
      answer(services, std::move(call), *machine);
    });
  };
  route("POST", "/v1/agent/hello", hello);
  route("GET", "/v1/agent/directive", directive);
  route("POST", "/v1/agent/report", report);
  route("POST", "/v1/agent/logs", logs);
}

}  // namespace buoy::control
