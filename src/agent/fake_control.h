#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/agent_protocol.h"
#include "net/http.h"

namespace buoy::agent {

// A control plane for tests: the agent's side of the protocol on a Unix socket, with what was said kept for
// inspection. It can go away, come back, and refuse. Threads: any.
class FakeControl {
 public:
  explicit FakeControl(std::string socket);
  ~FakeControl();

  void goAway();                               // nobody listens; what was received stays
  void comeBack();                             // with all that was received, and the same directive
  void direct(api::DirectiveMessage message);  // with the next generation
  void reject();                               // from now on 401
  void loseLogAnswers(int count);              // takes the next pieces of log and answers 500

  // Waits until `condition` holds for what was received; false after 30 seconds.
  struct Received {
    int hellos = 0;
    int reports = 0;
    std::map<std::pair<JobId, Epoch>, api::ReportMessage> last;  // the newest about each assignment
    api::ReportMessage newest;
    std::map<std::string, std::string> logs;  // "j1.1.0" → bytes
    std::map<std::uint64_t, double> metrics;  // of any job, by seq
    std::vector<std::string> events;
    const engine::MemberResult* result(JobId job, Epoch epoch) const;
    bool reached(JobId job, engine::MemberPhase phase) const;
  };
  bool waitFor(const std::function<bool(const Received&)>& condition);
  Received received();
  void trimLog(const std::string& name, std::size_t size);  // as if it had received less

 private:
  void handle(net::Request request, std::shared_ptr<net::Responder> responder);
  net::Response report(const std::string& body);
  net::Response log(const net::Request& request);
  void answerPolls();

  std::string socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Received received_;
  api::DirectiveMessage directive_;
  std::vector<std::pair<std::uint64_t, std::shared_ptr<net::Responder>>> polls_;
  bool rejecting_ = false;
  int lose_log_answers_ = 0;
  std::unique_ptr<net::Server> server_;
};

}  // namespace buoy::agent
