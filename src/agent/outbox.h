#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/log_spool.h"
#include "api/agent_protocol.h"

namespace buoy::agent {

// What waits to be told to the control plane. A value without threads: the uplink guards it with its mutex.
// Reports are cumulative, so a lost one is repaired by the next; metrics and events stay
// until they are acknowledged.
class Outbox {
 public:
  static constexpr std::size_t kMaxMetrics = 20'000;  // waiting; the oldest are dropped then
  static constexpr std::size_t kMetricsAReport = 1'000;
  static constexpr std::size_t kMaxEvents = 200;

  struct LogStream {
    JobId job;
    std::uint32_t attempt = 0;
    std::int32_t rank = 0;
    std::shared_ptr<const LogSpool> spool;
    std::uint64_t size = 0;   // written
    std::uint64_t acked = 0;  // the control plane has it
    bool ended = false;       // no more will be written
  };
  // A report and what of the outbox it holds.
  struct Draft {
    api::ReportMessage message;
    std::uint64_t revision = 0;
    std::uint64_t last_metric = 0;
    std::uint64_t events_end = 0;
    bool held_back = false;  // a result is ready and waits for the log
  };

  explicit Outbox(MachineId machine) : machine_(machine) {}

  void begin(const engine::Directive& directive, std::shared_ptr<const LogSpool> spool);
  void phase(engine::MemberPhase phase, Time at);
  void committed(std::uint64_t version, Time covers, const engine::SaveMeasure& save);
  void metric(const std::string& name, double value, Time at);
  void event(std::string sentence);
  // A result waits for the log until `hold_until`.
  void result(engine::MemberResult result, Time at, Time hold_until);
  void notice(Time deadline);
  void closed(std::vector<api::ReportMessage::Closed> parts);  // all of them that are to be told of
  void logGrew(std::uint64_t size);

  Draft draft(Time now) const;
  void acknowledged(const Draft& draft);
  // Anything to say that no acknowledged report has said? A result that is held back does not count.
  bool reportDue(Time now) const;
  // The result and the whole log have been acknowledged, and nothing else waits.
  bool drained() const;

  // The log to ship next; nullopt: none waits.
  std::optional<LogStream> nextLog();
  // The control plane has `size` bytes of it.
  void logAcknowledged(const LogStream& stream, std::uint64_t size);
  void logRefused(const LogStream& stream);  // for good: nobody wants it any more
  std::uint64_t unshipped() const;           // bytes of the current log

 private:
  bool heldBack(Time now) const;

  MachineId machine_;
  JobId job_;
  Epoch epoch_ = 0;
  std::vector<std::pair<engine::MemberPhase, Time>> phases_;
  std::uint64_t committed_version_ = 0;
  engine::SaveMeasure save_;
  Time covers_{};
  std::optional<engine::MemberResult> result_;
  Time result_at_{};
  Time hold_until_{};
  std::optional<Time> notice_;
  std::vector<api::ReportMessage::Closed> closed_;
  struct Metric {
    std::string name;
    double value;
    Time at;
    std::uint64_t seq;
  };
  std::deque<Metric> metrics_;
  std::uint64_t last_metric_ = 0;
  std::deque<std::string> events_;
  std::uint64_t events_from_ = 0;
  std::uint64_t revision_ = 1;  // goes up with every change; the first report says that the agent is here
  std::uint64_t acknowledged_ = 0;
  bool result_acknowledged_ = true;
  std::deque<LogStream> logs_;
};

}  // namespace buoy::agent
