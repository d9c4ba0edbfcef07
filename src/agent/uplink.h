#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include "agent/outbox.h"
#include "agent/reporter.h"
#include "base/clock.h"
#include "net/http.h"
#include "os/event_loop.h"

namespace buoy::agent {

// The connection to the control plane: one thread waits for directives, another sends reports and the log.
// Whatever happens to the control plane, nothing here fails: it is tried again until it works. Loop thread
// only, except where noted; the callbacks come on the loop's thread.
class Uplink final : public Reporter {
 public:
  struct Options {
    Duration poll = std::chrono::seconds{20};  // one long poll
    Duration backoff_min = std::chrono::milliseconds{20};
    Duration backoff_max_local = std::chrono::milliseconds{250};  // Unix socket: trying costs next to nothing
    Duration backoff_max = std::chrono::seconds{1};
    Duration request_timeout = std::chrono::seconds{15};
    Duration log_interval =
        std::chrono::milliseconds{20};  // between two pieces of log, so that they are worth sending
    std::size_t log_piece = 256 * 1024;
    Duration hold_result = std::chrono::seconds{10};  // how long a result waits for the log to arrive first
  };
  struct Callbacks {
    std::function<void(api::DirectiveMessage)> on_directive;
    std::function<void()> on_rejected;      // the control plane does not know this machine (401, 403)
    std::function<void()> on_acknowledged;  // something was: drained() and unshipped() may have changed
  };

  Uplink(const api::AgentConfig& config, net::Endpoint endpoint, const Clock& clock, os::EventLoop& loop,
         Options options, Callbacks callbacks);
  ~Uplink() override;  // cuts running requests
  Uplink(const Uplink&) = delete;
  Uplink& operator=(const Uplink&) = delete;

  void begin(const engine::Directive& directive, std::shared_ptr<const LogSpool> log) override;
  void phase(engine::MemberPhase phase, Time at) override;
  void committed(std::uint64_t version, Time covers, const engine::SaveMeasure& save) override;
  void metric(const std::string& name, double value, Time at) override;
  void event(std::string sentence) override;
  void logGrew(std::uint64_t size) override;
  std::uint64_t unshippedLog() const override;
  void result(engine::MemberResult result, Time at) override;
  void notice(Time deadline) override;
  void closed(std::vector<api::ReportMessage::Closed> parts);

  // Any thread. When the control plane last answered anything; the start, if it never did.
  Time lastAnswer() const { return Time{Duration{last_answer_.load(std::memory_order_relaxed)}}; }
  // Everything has been acknowledged.
  bool drained() const;

 private:
  // How often to try again; one for each thread.
  class Backoff {
   public:
    Backoff(Duration min, Duration max) : min_(min), max_(max), next_(min) {}
    Duration next();
    void reset() { next_ = min_; }

   private:
    Duration min_, max_, next_;
    std::minstd_rand random_{std::random_device{}()};
  };

  void pollDirectives(const std::stop_token& stop);
  Result<api::DirectiveMessage> hello();
  // nullopt: nothing new.
  Result<std::optional<api::DirectiveMessage>> poll(std::uint64_t seen);
  void sendAll(const std::stop_token& stop);
  Status sendReport();
  Status sendLog(const Outbox::LogStream& stream);
  // Success is any answer that is not about authentication or the server's own trouble.
  Result<net::Response> send(net::Client& client, const net::Request& request, Duration timeout);
  bool sleep(const std::stop_token& stop, Duration duration);
  void wake();
  template <class F>
  void change(F&& f);

  api::AgentConfig config_;
  const Clock& clock_;
  os::EventLoop& loop_;
  Options options_;
  Callbacks callbacks_;
  std::atomic<Duration::rep> last_answer_;
  std::unique_ptr<net::Client> directive_client_;
  std::unique_ptr<net::Client> report_client_;
  Duration backoff_max_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  Outbox outbox_;
  bool greeted_ = false;  // hello has been answered: reports make sense

  std::shared_ptr<std::atomic<bool>> alive_;  // posts that arrive after the end do nothing
  std::jthread directives_;
  std::jthread reports_;
};

}  // namespace buoy::agent
