#include "cloud/aws/caller.h"

#include <algorithm>
#include <chrono>

#include "aws/endpoint.h"
#include "aws/service_call.h"
#include "base/backoff.h"
#include "base/pause.h"
#include "base/strings.h"
#include "cloud/aws/answers.h"
#include "objstore/s3/verdict.h"
#include "objstore/sha256.h"

namespace buoy::cloud::aws {
namespace {

constexpr Duration kFirstWait = std::chrono::milliseconds{100};
constexpr Duration kLongestWait = std::chrono::seconds{10};
constexpr Duration kLongestSlice = std::chrono::seconds{30};
constexpr int kOtherWays = 3;  // new credentials, corrections of the clock
constexpr std::size_t kMostIdle = 32;

std::string upper(std::string_view service) {
  std::string text(service);
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

Refusal stopped(const ServiceCall& call) {
  return refusalOf(call.action, Error{ErrorCode::cancelled, "stopped", false});
}

}  // namespace

Time steadyNow() {
  return Time{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())};
}

ServiceCall queryCall(std::string service, std::string version, std::string action, Parameters parameters) {
  ServiceCall call;
  call.service = std::move(service);
  call.action = std::move(action);
  parameters.emplace_back("Action", call.action);
  parameters.emplace_back("Version", std::move(version));
  call.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  call.body = buoy::aws::canonicalQuery(parameters);
  return call;
}

ServiceCall jsonCall(std::string service, std::string target, std::string body) {
  ServiceCall call;
  call.service = std::move(service);
  call.action = target.substr(target.find('.') + 1);
  call.headers = {{"Content-Type", "application/x-amz-json-1.1"}, {"X-Amz-Target", std::move(target)}};
  call.body = std::move(body);
  return call;
}

ServiceCall restCall(std::string service, std::string action, std::string method, std::string path,
                     buoy::aws::NameValues query, std::string body) {
  ServiceCall call;
  call.service = std::move(service);
  call.action = std::move(action);
  call.method = std::move(method);
  call.path = std::move(path);
  call.query = std::move(query);
  if (!body.empty()) call.headers = {{"Content-Type", "application/json"}};
  call.body = std::move(body);
  return call;
}

Result<CallerOptions> callerOptions(const buoy::aws::Environment& environment, const std::string& profile,
                                    const std::string& region, const Clock& clock) {
  BUOY_TRY(buoy::aws::Settings settings, buoy::aws::loadSettings(environment, profile));
  if (!region.empty()) settings.region = region;
  BUOY_TRY(auto endpoints,
           buoy::aws::loadEndpoints(environment, settings, {"ec2", "efs", "iam", "pricing", "ssm", "sts"}));
  BUOY_TRY(auto credentials, buoy::aws::defaultCredentials(environment, settings, clock));
  return CallerOptions{.settings = std::move(settings),
                       .endpoints = std::move(endpoints),
                       .credentials = std::move(credentials),
                       .clock = clock};
}

// How often and how long one call is tried.
class Caller::Tries {
 public:
  explicit Tries(const Caller& caller) : caller_(caller) {}

  // Whether it is worth another try after this: waits before it says yes.
  bool again(RefusalKind kind, const std::stop_token& stop) {
    switch (kind) {
      case RefusalKind::throttled:
      case RefusalKind::trouble:
        return waitOnce(stop);
      case RefusalKind::credentials:
      case RefusalKind::clock:
        return ++other_ways_ <= kOtherWays && renewed_;
      case RefusalKind::capacity:
      case RefusalKind::price:
      case RefusalKind::quota:
      case RefusalKind::unsupported:
      case RefusalKind::permission:
      case RefusalKind::bad_request:
      case RefusalKind::not_found:
      case RefusalKind::exists:
      case RefusalKind::mismatch:
      case RefusalKind::cancelled:
        return false;
    }
    return false;
  }
  void renewed(bool something) { renewed_ = something; }

 private:
  bool waitOnce(const std::stop_token& stop) {
    return backoff_.wait(caller_.ever_answered_ ? caller_.options_.patience : caller_.options_.first_patience,
                         stop);
  }

  const Caller& caller_;
  int other_ways_ = 0;
  bool renewed_ = false;
  Backoff backoff_{kFirstWait, kLongestWait};
};

Caller::Caller(CallerOptions options)
    : options_(std::move(options)),
      connections_({.ca_file = options_.settings.ca_bundle, .max_response = 64u << 20}, kMostIdle) {}

bool Caller::waitForTurn(const std::string& action, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const Duration turn = limits_.withLock([&](auto& limits) { return limits[action].take(steadyNow()); });
    if (turn == Duration{0}) return true;
    if (!pauseFor(std::min(turn, kLongestSlice), stop)) return false;
  }
  return false;
}

Answer<Caller::Reply> Caller::send(const ServiceCall& call, const std::stop_token& stop) {
  const auto wrong = [&](const Error& error) { return tl::unexpected(refusalOf(call.action, error)); };
  const auto own = options_.endpoints.find(call.service);
  const auto endpoint = buoy::aws::serviceEndpoint(options_.settings, call.service,
                                                   own == options_.endpoints.end() ? "" : own->second);
  auto url = buoy::aws::parseServiceUrl(endpoint.url);
  if (!url) return wrong(url.error().wrap("the endpoint of " + upper(call.service)));
  auto credentials = options_.credentials->get();
  if (!credentials) return wrong(credentials.error());

  while (url->target.ends_with('/')) url->target.pop_back();
  buoy::aws::SignableRequest signable;
  signable.method = call.method;
  signable.path = url->target + call.path;
  signable.query = call.query;
  signable.headers = call.headers;
  signable.headers.insert(signable.headers.begin(), {"Host", url->hostHeader()});
  signable.payload_sha256 = objstore::sha256Hex(call.body);

  auto connection = connections_.take(url->endpoint);
  const std::string name = call.service == "efs" ? "elasticfilesystem" : call.service;
  if (connection.signer == nullptr || connection.signer->scope().region != endpoint.signing_region ||
      connection.signer->scope().service != name) {
    connection.signer = std::make_unique<buoy::aws::Signer>(
        buoy::aws::SigningScope{.region = endpoint.signing_region, .service = name});
  }
  net::Request request;
  request.method = call.method;
  request.target = buoy::aws::uriEncode(signable.path, true);
  if (!call.query.empty()) request.target += "?" + buoy::aws::canonicalQuery(call.query);
  request.body = call.body;
  request.headers =
      connection.signer->sign(signable, *credentials, options_.clock.now() + Duration{clock_offset_});
  ++sent_;
  Result<net::Response> response;
  {
    const std::stop_callback on_stop(stop, [&] { connection.http->cancel(); });
    response = connection.http->send(request, options_.timeout);
  }
  if (stop.stop_requested()) return tl::unexpected(stopped(call));  // the connection is cancelled for good
  if (!response) return wrong(response.error());
  connections_.giveBack(url->endpoint, std::move(connection));
  Reply reply{response->status, std::move(response->body),
              objstore::s3::parseHttpDate(objstore::s3::headerOf(*response, "date"))};
  if (reply.status / 100 != 2 && judge(call, reply).kind == RefusalKind::credentials)
    options_.credentials->reject(*credentials);
  return reply;
}

Refusal Caller::judge(const ServiceCall& call, const Reply& reply) const {
  const ErrorAnswer said = parseError(reply.body);
  Refusal refusal = refusalOf(upper(call.service), call.action, said.code, said.message, reply.status);
  // What EC2 calls AuthFailure and what any service calls a wrong signature may be a matter of the clock.
  const bool doubtful = refusal.kind == RefusalKind::credentials || refusal.kind == RefusalKind::clock;
  if (!doubtful) return refusal;
  constexpr Duration kAllowed = std::chrono::minutes{4};
  const bool skewed =
      reply.date && std::chrono::abs(*reply.date - options_.clock.now() - Duration{clock_offset_}) > kAllowed;
  if (skewed) refusal.kind = RefusalKind::clock;
  if (!skewed && refusal.kind == RefusalKind::clock) refusal.kind = RefusalKind::credentials;
  return refusal;
}

Answer<std::string> Caller::call(const ServiceCall& call, const std::stop_token& stop) {
  Tries tries(*this);
  const std::string limited = call.service + "." + call.action;
  for (;;) {
    if (stop.stop_requested() || !waitForTurn(limited, stop)) return tl::unexpected(stopped(call));
    auto reply = send(call, stop);
    Refusal refusal;
    if (reply) {
      ever_answered_ = true;
      if (reply->status / 100 == 2) {
        limits_.withLock([&](auto& limits) { limits[limited].accepted(steadyNow()); });
        return std::move(reply->body);
      }
      refusal = judge(call, *reply);
      if (refusal.kind == RefusalKind::throttled)
        limits_.withLock([&](auto& limits) { limits[limited].refused(steadyNow()); });
      if (refusal.kind == RefusalKind::clock) clock_offset_ = (*reply->date - options_.clock.now()).count();
      tries.renewed(refusal.kind == RefusalKind::clock || refusal.code.starts_with("Expired") ||
                    refusal.code == "RequestExpired");
    } else {
      refusal = std::move(reply.error());
    }
    if (!tries.again(refusal.kind, stop)) {
      if (stop.stop_requested()) return tl::unexpected(stopped(call));
      return tl::unexpected(std::move(refusal));
    }
  }
}

}  // namespace buoy::cloud::aws
