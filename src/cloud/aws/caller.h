#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "aws/credentials.h"
#include "aws/settings.h"
#include "aws/sigv4.h"
#include "base/clock.h"
#include "base/synchronized.h"
#include "cloud/aws/rate_limit.h"
#include "cloud/aws/refusal.h"
#include "objstore/s3/connections.h"

namespace buoy::cloud::aws {

// For waiting: whatever is done to the wall clock.
Time steadyNow();

// The parameters of a call of the Query API ("InstanceId.1" and so on), without Action and Version.
using Parameters = buoy::aws::NameValues;

// One request of a service that speaks AWS's Query protocol (EC2, IAM, STS) or its JSON one (SSM, Pricing,
// EFS).
struct ServiceCall {
  std::string service;  // as aws::serviceEndpoint has it
  std::string action;   // for messages and for the limit of its rate
  std::string method = "POST";
  std::string path = "/";
  buoy::aws::NameValues query;
  buoy::aws::NameValues headers;
  std::string body;
};
ServiceCall queryCall(std::string service, std::string version, std::string action, Parameters parameters);
// `target`: "AmazonSSM.GetParameter".
ServiceCall jsonCall(std::string service, std::string target, std::string body);
// For services whose operations are methods and paths (EFS). `action`: for messages.
ServiceCall restCall(std::string service, std::string action, std::string method, std::string path,
                     buoy::aws::NameValues query, std::string body);

struct CallerOptions {
  buoy::aws::Settings settings;
  std::map<std::string, std::string> endpoints;  // by service, where they are not AWS's own
  std::shared_ptr<buoy::aws::CredentialsProvider> credentials;
  const Clock& clock;
  // How long trouble that may pass (throttling, 5xx, broken connections) is waited out. A server that has
  // never answered is given up much sooner, as it probably is the wrong one.
  Duration patience = std::chrono::minutes{3};
  Duration first_patience = std::chrono::seconds{5};
  Duration timeout = std::chrono::seconds{60};  // of one request
};

// As AWS's own tools find settings, endpoints and keys; empty `region`: theirs, too. `clock` must outlive it.
Result<CallerOptions> callerOptions(const buoy::aws::Environment& environment, const std::string& profile,
                                    const std::string& region, const Clock& clock);

// Signs, sends, judges, waits and tries again: with jitter, at the rate that the server takes, with new
// credentials or another clock where that is what it says. A request may have had its effect when its answer
// is lost, and is then sent again as it was: it must be one that AWS knows again, by its client token or by
// what it says. Threads: any.
class Caller {
 public:
  explicit Caller(CallerOptions options);

  // The body of a 200 answer. `stop` ends every wait: RefusalKind::cancelled.
  Answer<std::string> call(const ServiceCall& call, const std::stop_token& stop);

  const buoy::aws::Settings& settings() const { return options_.settings; }
  buoy::aws::CredentialsProvider& credentials() const { return *options_.credentials; }
  const Clock& clock() const { return options_.clock; }
  std::uint64_t sent() const { return sent_; }  // requests so far, repeats included

 private:
  class Tries;
  struct Reply {
    int status = 0;
    std::string body;
    std::optional<Time> date;
  };
  Answer<Reply> send(const ServiceCall& call, const std::stop_token& stop);
  Refusal judge(const ServiceCall& call, const Reply& reply) const;
  bool waitForTurn(const std::string& action, const std::stop_token& stop);

  const CallerOptions options_;
  objstore::s3::Connections connections_;
  std::atomic<Duration::rep> clock_offset_{0};
  std::atomic<bool> ever_answered_{false};
  std::atomic<std::uint64_t> sent_{0};
  Synchronized<std::map<std::string, RateLimit>> limits_;  // by service and action
};

}  // namespace buoy::cloud::aws
