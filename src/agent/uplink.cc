#include "agent/uplink.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

net::ClientOptions clientOptions(const api::AgentConfig& config) {
  net::ClientOptions options;
  options.bearer_token = config.token;
  options.pinned_fingerprint = config.server_fingerprint;
  options.max_response = 16u << 20;
  return options;
}

net::Request post(std::string path, std::string body, std::string_view content_type) {
  net::Request request;
  request.method = "POST";
  request.path = std::move(path);
  request.headers = {{"Content-Type", std::string(content_type)}};
  request.body = std::move(body);
  return request;
}

// An answer that nothing but a mistake on one of the two sides explains; its text names the mistake.
Error refused(const net::Response& response) {
  return {ErrorCode::internal,
          strCat({"the control plane answered ", std::to_string(response.status), ": ",
                  response.body.substr(0, 500)}),
          true};
}

Result<std::uint64_t> sizeIn(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("size") || !json["size"].is_number_unsigned()) {
    return fail(ErrorCode::internal, "the control plane's answer has no size", true);
  }
  return json["size"].get<std::uint64_t>();
}

}  // namespace

Duration Uplink::Backoff::next() {
  const Duration base = next_;
  next_ = std::min(next_ * 2, max_);
  // Jitter over the upper half, so that many agents do not come back at the same instant.
  return base / 2 + Duration{std::uniform_int_distribution<Duration::rep>(0, base.count() / 2)(random_)};
}

Uplink::Uplink(const api::AgentConfig& config, net::Endpoint endpoint, const Clock& clock,
               os::EventLoop& loop, Options options, Callbacks callbacks)
    : config_(config),
      clock_(clock),
      loop_(loop),
      options_(options),
      callbacks_(std::move(callbacks)),
      last_answer_(clock.now().time_since_epoch().count()),
      directive_client_(net::makeClient(endpoint, clientOptions(config))),
      report_client_(net::makeClient(endpoint, clientOptions(config))),
      backoff_max_(endpoint.kind == net::Endpoint::Kind::unix_socket ? options.backoff_max_local
                                                                     : options.backoff_max),
      outbox_(config.machine),
      alive_(std::make_shared<std::atomic<bool>>(true)),
      directives_([this](const std::stop_token& stop) { pollDirectives(stop); }),
      reports_([this](const std::stop_token& stop) { sendAll(stop); }) {}

Uplink::~Uplink() {
  *alive_ = false;
  directives_.request_stop();
  reports_.request_stop();
  directive_client_->cancel();
  report_client_->cancel();
  wake();
  directives_.join();
  reports_.join();
}

template <class F>
void Uplink::change(F&& f) {
  {
    const std::lock_guard guard(mutex_);
    f(outbox_);
  }
  wake_.notify_all();
}

void Uplink::begin(const engine::Directive& directive, std::shared_ptr<const LogSpool> log) {
  change([&](Outbox& outbox) { outbox.begin(directive, std::move(log)); });
}
void Uplink::phase(engine::MemberPhase phase, Time at) {
  change([&](Outbox& outbox) { outbox.phase(phase, at); });
}
void Uplink::committed(std::uint64_t version, Time covers, const engine::SaveMeasure& save) {
  change([&](Outbox& outbox) { outbox.committed(version, covers, save); });
}
void Uplink::metric(const std::string& name, double value, Time at) {
  change([&](Outbox& outbox) { outbox.metric(name, value, at); });
}
void Uplink::event(std::string sentence) {
  change([&](Outbox& outbox) { outbox.event(std::move(sentence)); });
}
void Uplink::logGrew(std::uint64_t size) {
  change([&](Outbox& outbox) { outbox.logGrew(size); });
}
void Uplink::notice(Time deadline) {
  change([&](Outbox& outbox) { outbox.notice(deadline); });
}
void Uplink::closed(std::vector<api::ReportMessage::Closed> parts) {
  change([&](Outbox& outbox) { outbox.closed(std::move(parts)); });
}
void Uplink::result(engine::MemberResult result, Time at) {
  change([&](Outbox& outbox) { outbox.result(std::move(result), at, at + options_.hold_result); });
}

std::uint64_t Uplink::unshippedLog() const {
  const std::lock_guard guard(mutex_);
  return outbox_.unshipped();
}

bool Uplink::drained() const {
  const std::lock_guard guard(mutex_);
  return outbox_.drained();
}

void Uplink::wake() {
  wake_.notify_all();
}

// False when it is time to stop.
bool Uplink::sleep(const std::stop_token& stop, Duration duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

// ---- the thread that waits for directives

void Uplink::pollDirectives(const std::stop_token& stop) {
  Backoff backoff(options_.backoff_min, backoff_max_);
  std::optional<std::uint64_t> seen;  // nullopt: not greeted, or the connection was lost since
  bool told = false;                  // that it is not reached
  while (!stop.stop_requested()) {
    Result<std::optional<api::DirectiveMessage>> answer = std::nullopt;
    if (seen) {
      answer = poll(*seen);
    } else {
      answer = hello().map([](api::DirectiveMessage message) { return std::optional(std::move(message)); });
    }
    if (!answer) {
      if (!told) {
        os::log(os::LogLevel::info, seen ? "control_plane_lost" : "control_plane_unreached",
                {{"error", answer.error().message}});
      }
      told = true;
      seen.reset();
      if (!sleep(stop, backoff.next())) return;
      continue;
    }
    backoff.reset();
    told = false;
    if (!*answer) continue;
    seen = (*answer)->generation;
    loop_.post([this, alive = alive_, message = std::move(**answer)] {
      if (*alive) callbacks_.on_directive(message);
    });
  }
}

Result<api::DirectiveMessage> Uplink::hello() {
  const std::string body = api::toJson(api::Hello{config_.machine, BUOY_VERSION, config_.address});
  BUOY_TRY(
      const net::Response response,
      send(*directive_client_, post("/v1/agent/hello", body, "application/json"), options_.request_timeout));
  if (response.status != 200) return fail(refused(response));
  BUOY_TRY(api::DirectiveMessage message, api::parseDirectiveMessage(response.body));
  {
    const std::lock_guard guard(mutex_);
    greeted_ = true;
  }
  wake();
  return message;
}

Result<std::optional<api::DirectiveMessage>> Uplink::poll(std::uint64_t seen) {
  net::Request request;
  request.method = "GET";
  request.path = "/v1/agent/directive";
  const auto wait = std::chrono::ceil<std::chrono::seconds>(options_.poll).count();
  request.query = {{"seen", std::to_string(seen)}, {"wait", std::to_string(wait)}};
  BUOY_TRY(const net::Response response,
           send(*directive_client_, request, options_.poll + options_.request_timeout));
  if (response.status == 204) return std::nullopt;
  if (response.status != 200) return fail(refused(response));
  BUOY_TRY(api::DirectiveMessage message, api::parseDirectiveMessage(response.body));
  return message;
}

// ---- the thread that reports

void Uplink::sendAll(const std::stop_token& stop) {
  Backoff backoff(options_.backoff_min, backoff_max_);
  Time next_log{};
  Time next_beat{};
  while (!stop.stop_requested()) {
    Status sent;
    {
      std::unique_lock lock(mutex_);
      // What could become due: a change, the log's next turn, the heartbeat.
      const auto ready = [&] {
        const Time now = clock_.now();
        return greeted_ &&
               (outbox_.reportDue(now) || now >= next_beat || (now >= next_log && outbox_.nextLog()));
      };
      while (!ready() && !stop.stop_requested()) {
        Time until = greeted_ ? next_beat : clock_.now() + std::chrono::minutes{1};
        const bool log_waits = greeted_ && outbox_.nextLog();
        if (log_waits) until = std::min(until, next_log);
        // Log that comes before its turn shortens the wait to that turn.
        const auto sooner = [&] { return ready() || (!log_waits && greeted_ && outbox_.nextLog()); };
        wake_.wait_for(lock, stop, std::max(until - clock_.now(), Duration{1'000}), sooner);
      }
    }
    if (stop.stop_requested()) return;
    const Time now = clock_.now();
    const auto [report, log] = [&] {
      const std::lock_guard guard(mutex_);
      return std::pair(outbox_.reportDue(now) || now >= next_beat, outbox_.nextLog());
    }();
    if (report) {
      sent = sendReport();
      if (sent) next_beat = clock_.now() + config_.heartbeat;
    }
    if (sent && log && now >= next_log) {
      sent = sendLog(*log);
      next_log = clock_.now() + options_.log_interval;
    }
    if (sent) {
      backoff.reset();
      loop_.post([this, alive = alive_] {
        if (*alive) callbacks_.on_acknowledged();
      });
    } else if (!sleep(stop, backoff.next())) {
      return;
    }
  }
}

Status Uplink::sendReport() {
  Outbox::Draft draft;
  {
    const std::lock_guard guard(mutex_);
    draft = outbox_.draft(clock_.now());
  }
  const std::string body = api::toJson(draft.message);
  const auto response =
      send(*report_client_, post("/v1/agent/report", body, "application/json"), options_.request_timeout);
  if (!response) return fail(response.error());
  const std::lock_guard guard(mutex_);
  outbox_.acknowledged(draft);
  return {};
}

Status Uplink::sendLog(const Outbox::LogStream& stream) {
  auto piece = stream.spool->read(stream.acked,
                                  std::min<std::uint64_t>(options_.log_piece, stream.size - stream.acked));
  if (!piece) return fail(piece.error());
  const std::uint64_t sent = piece->size();
  net::Request request = post("/v1/agent/logs", std::move(*piece), "application/octet-stream");
  request.query = {{"job", stream.job.toString()},
                   {"attempt", std::to_string(stream.attempt)},
                   {"rank", std::to_string(stream.rank)},
                   {"offset", std::to_string(stream.acked)}};
  BUOY_TRY(const net::Response response, send(*report_client_, request, options_.request_timeout));
  const bool taken = response.status / 100 == 2;
  if (!taken && response.status != 409) {
    os::log(os::LogLevel::warn, "log_refused", {{"status", response.status}, {"bytes", sent}});
    const std::lock_guard guard(mutex_);
    outbox_.logRefused(stream);
    return {};
  }
  BUOY_TRY(const std::uint64_t size, sizeIn(response.body));
  const std::lock_guard guard(mutex_);
  outbox_.logAcknowledged(stream, size);
  return {};
}

Result<net::Response> Uplink::send(net::Client& client, const net::Request& request, Duration timeout) {
  auto response = client.send(request, timeout);
  if (!response) return fail(response.error());
  if (response->status == 401 || response->status == 403) {
    loop_.post([this, alive = alive_] {
      if (*alive) callbacks_.on_rejected();
    });
    return fail(ErrorCode::unauthenticated, "the control plane does not know this machine");
  }
  if (response->status == 429 || response->status >= 500) {
    return fail(ErrorCode::unavailable,
                strCat({"the control plane answered ", std::to_string(response->status)}), true);
  }
  last_answer_.store(clock_.now().time_since_epoch().count(), std::memory_order_relaxed);
  return response;
}

}  // namespace buoy::agent
