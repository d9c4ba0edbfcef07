#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/config.h"
#include "base/clock.h"
#include "base/result.h"
#include "cloud/provider.h"
#include "engine/engine.h"
#include "net/http.h"

namespace buoy::control {

// What a provider needs to know of the control plane that it works for. Everything outlives the provider.
struct ProviderContext {
  std::string state_dir;
  std::string cluster;
  const Clock& clock;
  cloud::Provider::EventSink sink;
  cloud::Provider::JobTeller tell_job;
};
// By the names that pools use ("local"). Called once, at the start.
using ProviderFactory =
    std::function<Result<std::map<std::string, std::unique_ptr<cloud::Provider>>>(const ProviderContext&)>;

struct ControlOptions {
  std::string state_dir;
  api::ServerConfig config;  // pools, queues (api::withDefaults has been applied) and the store
  ProviderFactory providers;
  // Outlives the control plane; null: schedule::Scheduler, learning from what this control plane has seen.
  const engine::PlacementPolicy* policy = nullptr;
  engine::Settings settings;
  std::function<std::unique_ptr<Clock>(Time not_before)> clock;  // default: os::SystemClock
  struct Listen {
    std::string host;
    std::uint16_t port = 0;
  };
  std::vector<Listen> listen;        // TCP, beside the Unix socket, which is always there
  std::optional<net::TlsFiles> tls;  // nullopt: a self-signed certificate under <state>/tls
  bool insecure = false;             // TCP without TLS
  bool unsigned_aws = false;  // AWS-shaped requests need no signature: only where all of `listen` is loopback
  int http_threads = 2;
  // How often providers are asked for machines that nobody knows of; sooner when one did not answer.
  Duration reap_every = std::chrono::minutes{5}, reap_retry = std::chrono::seconds{20};
  Duration orphan_after = std::chrono::minutes{30};  // agents end without any answer for so long
  std::function<void()> on_stop_requested;           // POST /v1/server/stop; from any thread, must not block
};

// A running control plane. Destroying or stopping it ends no job: machines go on, and the next control plane
// on the same state directory finds them again. start and stop from one thread.
class ControlPlane {
 public:
  // failed_precondition: another server uses the state directory (the message names its process).
  static Result<std::unique_ptr<ControlPlane>> start(ControlOptions options);
  ~ControlPlane();
  void stop();

  std::vector<std::string> endpoints() const;  // as in GET /v1/server: "unix:…", "https://host:port"
  std::string fingerprint() const;             // of the TLS certificate, "sha256:HEX"; empty without TLS
  void wake();                                 // the clock was moved by hand (tests)

  struct Impl;  // public for its own file only

 private:
  explicit ControlPlane(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace buoy::control
