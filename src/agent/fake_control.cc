#include "agent/fake_control.h"

#include <algorithm>
#include <chrono>

#include "base/result.h"

namespace buoy::agent {
namespace {

constexpr std::chrono::seconds kAnswerPatience{30};

net::Response json(int status, std::string body) {
  net::Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

}  // namespace

const engine::MemberResult* FakeControl::Received::result(JobId job, Epoch epoch) const {
  const auto found = last.find({job, epoch});
  return found == last.end() || !found->second.result ? nullptr : &*found->second.result;
}

bool FakeControl::Received::reached(JobId job, engine::MemberPhase phase) const {
  return std::any_of(last.begin(), last.end(), [&](const auto& item) {
    return item.first.first == job && std::any_of(item.second.phases.begin(), item.second.phases.end(),
                                                  [&](const auto& change) { return change.phase == phase; });
  });
}

FakeControl::FakeControl(std::string socket) : socket_(std::move(socket)) {
  directive_.generation = 1;
  comeBack();
}

FakeControl::~FakeControl() {
  goAway();
}

void FakeControl::goAway() {
  server_.reset();
  const std::lock_guard guard(mutex_);
  polls_.clear();
}

void FakeControl::comeBack() {
  server_ = net::makeServer({}, [this](net::Request request, std::shared_ptr<net::Responder> responder) {
    handle(std::move(request), std::move(responder));
  });
  BUOY_CHECK(server_->listenUnix(socket_).has_value());
}

void FakeControl::direct(api::DirectiveMessage message) {
  {
    const std::lock_guard guard(mutex_);
    message.generation = directive_.generation + 1;
    directive_ = std::move(message);
  }
  answerPolls();
}

void FakeControl::reject() {
  {
    const std::lock_guard guard(mutex_);
    rejecting_ = true;
  }
  answerPolls();
}

void FakeControl::loseLogAnswers(int count) {
  const std::lock_guard guard(mutex_);
  lose_log_answers_ = count;
}

void FakeControl::trimLog(const std::string& name, std::size_t size) {
  const std::lock_guard guard(mutex_);
  received_.logs[name].resize(size);
}

bool FakeControl::waitFor(const std::function<bool(const Received&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kAnswerPatience, [&] { return condition(received_); });
}

FakeControl::Received FakeControl::received() {
  const std::lock_guard guard(mutex_);
  return received_;
}

void FakeControl::answerPolls() {
  std::vector<std::shared_ptr<net::Responder>> ready;
  net::Response answer;
  {
    const std::lock_guard guard(mutex_);
    answer = rejecting_ ? json(401, "{}") : json(200, api::toJson(directive_));
    for (auto poll = polls_.begin(); poll != polls_.end();) {
      if (!rejecting_ && poll->first >= directive_.generation) {
        ++poll;
        continue;
      }
      ready.push_back(std::move(poll->second));
      poll = polls_.erase(poll);
    }
  }
  for (const auto& responder : ready) responder->send(answer);
}

void FakeControl::handle(net::Request request, std::shared_ptr<net::Responder> responder) {
  if (request.path == "/v1/agent/directive") {
    {
      const std::lock_guard guard(mutex_);
      polls_.emplace_back(std::stoull(request.queryValue("seen")), std::move(responder));
    }
    return answerPolls();
  }
  net::Response response;
  {
    const std::lock_guard guard(mutex_);
    if (rejecting_) {
      response = json(401, "{}");
    } else if (request.path == "/v1/agent/hello") {
      ++received_.hellos;
      response = json(200, api::toJson(directive_));
    } else if (request.path == "/v1/agent/report") {
      response = report(request.body);
    } else {
      response = log(request);
    }
  }
  changed_.notify_all();
  responder->send(std::move(response));
}

net::Response FakeControl::report(const std::string& body) {
  auto message = api::parseReportMessage(body);
  if (!message) return json(400, "{}");
  ++received_.reports;
  for (const auto& metric : message->metrics) received_.metrics[metric.seq] = metric.value;
  for (const std::string& event : message->events) {
    if (std::find(received_.events.begin(), received_.events.end(), event) == received_.events.end()) {
      received_.events.push_back(event);
    }
  }
  received_.newest = *message;
  received_.last[{message->job, message->epoch}] = std::move(*message);
  return json(200, "{\"generation\":" + std::to_string(directive_.generation) + "}");
}

net::Response FakeControl::log(const net::Request& request) {
  std::string& bytes = received_.logs[request.queryValue("job") + "." + request.queryValue("attempt") + "." +
                                      request.queryValue("rank")];
  const bool fits = std::stoull(request.queryValue("offset")) == bytes.size();
  if (fits) bytes += request.body;
  if (fits && lose_log_answers_ > 0) {
    --lose_log_answers_;
    return json(500, "{}");
  }
  return json(fits ? 200 : 409, "{\"size\":" + std::to_string(bytes.size()) + "}");
}

}  // namespace buoy::agent
