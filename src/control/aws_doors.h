#pragma once

#include <memory>
#include <optional>

#include "control/access_keys.h"
#include "control/services.h"
#include "gateways/backend.h"
#include "gateways/batch/door.h"
#include "gateways/front/signature_gate.h"
#include "gateways/logs/door.h"
#include "net/http.h"

namespace buoy::control {

// The doors that AWS's clients knock at, on the same port as everything else: which requests are theirs, who
// may pass, and what of the control plane they get to see. On the Unix socket no signature is asked for.
// Threads: any.
class AwsDoors final : private gateways::Backend {
 public:
  // `unsigned_too`: elsewhere neither. `services` and `keys` outlive it.
  static Result<std::unique_ptr<AwsDoors>> open(Services& services, AccessKeys& keys, bool unsigned_too);

  static bool concerns(const net::Request& request);
  // By the header alone, before the body is read: the refusal of a request that concerns AWS.
  std::optional<net::Response> admit(const net::Request& request) const;
  void handle(net::Request request, std::shared_ptr<net::Responder> responder);

  static constexpr std::uint64_t kMostBody = 1u << 20;

 private:
  AwsDoors(Services& services, AccessKeys& keys, bool unsigned_too);
  bool signatureNeeded(const net::Request& request) const;

  Time now() const override;
  store::Store& store() override;
  std::shared_ptr<const gateways::Places> places() override;
  std::vector<api::Problem> admit(const engine::JobRequest& request, const cloud::Storage& storage) override;
  void apply(gateways::Change change, gateways::ChangeDone done) override;
  bool background(std::function<void()> work) override;
  Result<std::vector<gateways::LogPlace>> logs(JobId job) override;
  Result<gateways::LogPiece> readLog(const gateways::LogPlace& place, std::optional<std::uint64_t> offset,
                                     bool backward, std::size_t lines) override;

  Services& services_;
  gateways::front::SignatureGate gate_;
  const bool unsigned_too_;
  std::unique_ptr<gateways::batch::Door> batch_;
  gateways::logs::Door logs_;
  std::atomic<std::uint64_t> requests_ = 0;
};

}  // namespace buoy::control
