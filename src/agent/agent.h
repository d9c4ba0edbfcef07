#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/assignment.h"
#include "agent/log_archive.h"
#include "agent/notice.h"
#include "agent/parts.h"
#include "agent/uplink.h"
#include "agent/worker.h"

namespace buoy::agent {

// How the agent's life on a machine ended; also the program's exit code (0 to 4, see apps/buoy_agent.cc).
enum class AgentEnd : int {
  shutdown = 0,  // as told by the control plane, or by SIGTERM
  failed = 1,    // could not start
  orphaned =
      3,  // the control plane was away for too long, or does not know this machine: ended after a last save
  machine_lost = 4,  // the machine's directory is gone
};

// The whole agent: follows the directives of the control plane, one assignment after the other. Made and run
// on one thread, with the signals of blockSignals() blocked.
class Agent {
 public:
  struct Options {
    AssignmentOptions assignment;
    Uplink::Options uplink;
    LogArchive::Options archive;
    Parts::Options parts;
    Duration drain =
        std::chrono::seconds{10};  // at the end, for what the control plane and the store do not have
  };

  // invalid_argument: the configuration is wrong.
  static Result<std::unique_ptr<Agent>> create(const api::AgentConfig& config, const Clock& clock,
                                               Options options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  AgentEnd run();
  // Any thread: as by SIGTERM, save and end.
  void terminate();

 private:
  Agent(const api::AgentConfig& config, const Clock& clock, Options options, net::Endpoint endpoint,
        std::unique_ptr<objstore::ObjectStore> store);
  void follow(api::DirectiveMessage message);
  void reconcile();
  void runJob();
  void stopJob();
  void refuse();
  void assignmentDone();
  void noticed(Time deadline);
  void end(AgentEnd how);
  void logsStored();
  void leaveIfDone();
  void watchForOrphaning(Duration delay);
  void watchMetadataService();
  void watchSignals();
  bool busy() const { return assignment_ != nullptr && !assignment_->done(); }

  api::AgentConfig config_;
  const Clock& clock_;
  Options options_;
  std::map<std::string, std::string> environment_;
  os::EventLoop loop_;
  std::unique_ptr<objstore::ObjectStore> store_;
  os::Fd signals_;
  std::optional<api::DirectiveMessage> wanted_;
  JobId ended_job_;  // the last assignment that ended, so that an old directive does not start it again
  Epoch ended_epoch_ = 0;
  std::optional<Time> notice_;
  std::optional<AgentEnd> ending_;
  bool suspect_orphaned_ = false;
  std::optional<Time> drain_until_;
  // Ended in this order's reverse: the assignment uses all of them, the worker and the archive the store.
  std::unique_ptr<LogArchive> archive_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Uplink> uplink_;
  std::unique_ptr<Parts> parts_;
  std::unique_ptr<NoticeSource> notice_source_;
  std::unique_ptr<Assignment> assignment_;
};

}  // namespace buoy::agent
