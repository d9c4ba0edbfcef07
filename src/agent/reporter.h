#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/log_spool.h"
#include "api/agent_protocol.h"

namespace buoy::agent {

// What an assignment has to tell the control plane. It only records: nothing here waits or fails, and what
// cannot be delivered now is delivered later. Loop thread only.
class Reporter {
 public:
  virtual ~Reporter() = default;
  // A new assignment begins; all that follows is about it, and what was not delivered about the last one is
  // dropped (its log excepted).
  virtual void begin(const engine::Directive& directive, std::shared_ptr<const LogSpool> log) = 0;
  virtual void phase(engine::MemberPhase phase, Time at) = 0;
  virtual void committed(std::uint64_t version, Time covers, const engine::SaveMeasure& save) = 0;
  virtual void metric(const std::string& name, double value, Time at) = 0;
  virtual void event(std::string sentence) = 0;  // for people
  // The same, and shown where a person looks: something that was asked for was not done.
  void warn(std::string_view sentence) { event(std::string(api::kWarning).append(sentence)); }
  virtual void logGrew(std::uint64_t size) = 0;
  virtual std::uint64_t unshippedLog() const = 0;  // bytes that the control plane does not have yet
  // With it goes phase done; held back for a while so that the log arrives first.
  virtual void result(engine::MemberResult result, Time at) = 0;
  // About the machine, not the assignment.
  virtual void notice(Time deadline) = 0;
};

}  // namespace buoy::agent
