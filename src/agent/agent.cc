#include "agent/agent.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/ec2_notice.h"
#include "aws/shared_files.h"
#include "os/environment.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

using engine::Directive;

// Before it gives up on the control plane the agent waits a little longer: it may itself have been stopped
// for hours (a suspended machine), and must have a chance to be heard first.
constexpr Duration kMaxSecondChance = std::chrono::seconds{30};

}  // namespace

Result<std::unique_ptr<Agent>> Agent::create(const api::AgentConfig& config, const Clock& clock,
                                             Options options) {
  BUOY_TRY(net::Endpoint endpoint, net::parseEndpoint(config.server));
  BUOY_TRY(auto store, objstore::openStore(config.store));
  return std::unique_ptr<Agent>(
      new Agent(config, clock, std::move(options), std::move(endpoint), std::move(store)));
}

Agent::Agent(const api::AgentConfig& config, const Clock& clock, Options options, net::Endpoint endpoint,
             std::unique_ptr<objstore::ObjectStore> store)
    : config_(config),
      clock_(clock),
      options_(std::move(options)),
      environment_(os::processEnvironment()),
      loop_(clock),
      store_(std::move(store)),
      archive_(std::make_unique<LogArchive>(*store_, options_.archive,
                                            [this] { loop_.post([this] { logsStored(); }); })),
      worker_(std::make_unique<Worker>()) {
  uplink_ = std::make_unique<Uplink>(
      config_, std::move(endpoint), clock_, loop_, options_.uplink,
      Uplink::Callbacks{
          .on_directive = [this](api::DirectiveMessage message) { follow(std::move(message)); },
          .on_rejected = [this] { end(AgentEnd::orphaned); },
          .on_acknowledged = [this] { leaveIfDone(); },
      });
  parts_ = std::make_unique<Parts>(loop_, *worker_, config_, options_.parts,
                                   [this](Parts::Closed closed) { uplink_->closed(std::move(closed)); });
  parts_->on_closed = [this] { leaveIfDone(); };
  if (!config_.notice_file.empty()) {
    notice_source_ = std::make_unique<FileNoticeSource>(
        loop_, config_.notice_file, [this](Time deadline) { noticed(deadline); },
        [this] { end(AgentEnd::machine_lost); });
  } else if (config_.notice_service == "ec2") {
    watchMetadataService();
  }
  watchSignals();
  watchForOrphaning(config_.orphan_after);
}

void Agent::watchMetadataService() {
  const auto files = aws::loadSharedFiles(environment_);
  auto service = files ? aws::metadataOptions(environment_, *files, "default")
                       : Result<aws::MetadataOptions>(fail(files.error()));
  if (!service) {
    os::log(os::LogLevel::error, "metadata_service_unusable", {{"error", service.error().message}});
    return;
  }
  service->allow_v1 = false;
  notice_source_ = std::make_unique<Ec2NoticeSource>(
      loop_, Ec2NoticeSource::Options{.service = std::move(*service)},
      [this](Time deadline) { noticed(deadline); },
      [this] {
        os::log(os::LogLevel::info, "rebalance_recommended");
        if (!busy()) return;
        uplink_->event(
            "EC2 says that this machine is likelier to be reclaimed than before: the job is asked to save");
        assignment_->atRisk();
      });
}

Agent::~Agent() {
  assignment_.reset();
  loop_.unwatch(signals_.get());
}

AgentEnd Agent::run() {
  loop_.run();
  return ending_.value_or(AgentEnd::failed);
}

void Agent::terminate() {
  loop_.post([this] { end(AgentEnd::shutdown); });
}

void Agent::watchSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT}) ::sigaddset(&set, number);
  signals_ = os::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  BUOY_CHECK(signals_);
  loop_.watch(signals_.get(), [this] {
    std::array<signalfd_siginfo, 4> received{};
    while (::read(signals_.get(), received.data(), sizeof received) > 0) {
    }
    end(AgentEnd::shutdown);
  });
}

// ---- directives

void Agent::follow(api::DirectiveMessage message) {
  if (!wanted_ || wanted_->generation != message.generation) {
    os::log(os::LogLevel::info, "directive",
            {{"kind", static_cast<int>(message.directive.kind)},
             {"job", message.directive.job.toString()},
             {"epoch", message.directive.epoch},
             {"generation", message.generation}});
  }
  wanted_ = std::move(message);
  reconcile();
}

void Agent::reconcile() {
  if (!wanted_ || ending_) return;
  const Directive& directive = wanted_->directive;
  switch (directive.kind) {
    case Directive::Kind::idle:
      if (busy()) assignment_->abandon();
      if (!assignment_) parts_->follow(*wanted_);  // else when it has ended
      return;
    case Directive::Kind::run:
      return runJob();
    case Directive::Kind::stop:
      return stopJob();
    case Directive::Kind::shutdown:
      return end(AgentEnd::shutdown);
  }
}

void Agent::runJob() {
  const Directive& directive = wanted_->directive;
  if (directive.job == ended_job_ && directive.epoch == ended_epoch_) return;
  if (assignment_) {
    if (busy() && !assignment_->is(directive.job, directive.epoch)) {
      assignment_->abandon();
    } else if (busy()) {
      assignment_->saveRequested(directive.save);
    }
    return;  // assignmentDone() comes back here
  }
  if (notice_) return refuse();
  const Machine machine{loop_, clock_, *worker_, *store_, *archive_, *uplink_, config_, environment_};
  assignment_ = std::make_unique<Assignment>(machine, *wanted_, options_.assignment,
                                             [this] { loop_.post([this] { assignmentDone(); }); });
  assignment_->begin();
}

void Agent::stopJob() {
  const Directive& directive = wanted_->directive;
  if (directive.job == ended_job_ && directive.epoch == ended_epoch_) return;
  if (!assignment_) return refuse();
  if (!busy()) return;
  if (assignment_->is(directive.job, directive.epoch)) {
    assignment_->stop(directive.grace);
  } else {
    assignment_->abandon();
  }
}

// What never began here is over at once.
void Agent::refuse() {
  const Directive& directive = wanted_->directive;
  uplink_->begin(directive, nullptr);
  uplink_->result({engine::MemberResult::Kind::stopped, 0, ""}, clock_.now());
  ended_job_ = directive.job;
  ended_epoch_ = directive.epoch;
}

void Agent::assignmentDone() {
  ended_job_ = assignment_->job();
  ended_epoch_ = assignment_->epoch();
  assignment_.reset();
  reconcile();
  leaveIfDone();
}

void Agent::noticed(Time deadline) {
  os::log(os::LogLevel::info, "notice", {{"deadline", formatTime(deadline)}});
  notice_ = deadline;
  uplink_->notice(deadline);
  if (busy()) assignment_->notice(deadline);
}

// ---- the end

void Agent::end(AgentEnd how) {
  const bool again = ending_.has_value();
  if (!again) {
    os::log(os::LogLevel::info, "ending", {{"code", static_cast<int>(how)}});
    ending_ = how;
  }
  if (how == AgentEnd::machine_lost) {
    parts_->killAll();
  } else {
    parts_->endAll();
  }
  if (busy()) {
    if (how == AgentEnd::machine_lost) {
      assignment_->machineLost("the machine's directory is gone");
    } else {
      // A second SIGTERM does not wait for the job, only for the save.
      assignment_->stop(again && how == AgentEnd::shutdown ? Duration{0} : assignment_->stopGrace());
    }
  }
  leaveIfDone();
}

void Agent::logsStored() {
  if (assignment_) assignment_->logsStored();
  leaveIfDone();
}

void Agent::leaveIfDone() {
  if (!ending_ || assignment_ || !parts_->empty()) return;
  const Time now = clock_.now();
  if (!drain_until_) {
    drain_until_ = now + options_.drain;
    loop_.after(options_.drain, [this] { leaveIfDone(); });
  }
  // Whoever does not know this machine, or does not answer, takes nothing from it; the store may.
  const bool told = *ending_ == AgentEnd::orphaned || uplink_->drained();
  if (now >= *drain_until_ || (told && archive_->drained())) loop_.stop();
}

void Agent::watchForOrphaning(Duration delay) {
  loop_.after(delay, [this] {
    const Duration silent = clock_.now() - uplink_->lastAnswer();
    if (silent < config_.orphan_after) {
      suspect_orphaned_ = false;
      return watchForOrphaning(config_.orphan_after - silent);
    }
    if (!suspect_orphaned_) {
      suspect_orphaned_ = true;
      return watchForOrphaning(std::min(config_.orphan_after / 10, kMaxSecondChance));
    }
    os::log(os::LogLevel::error, "orphaned", {{"silent", formatDuration(silent)}});
    end(AgentEnd::orphaned);
  });
}

}  // namespace buoy::agent
