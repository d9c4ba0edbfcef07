#include "agent/ec2_notice.h"

#include <nlohmann/json.hpp>

#include "aws/metadata_client.h"
#include "base/pause.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

constexpr std::string_view kAction = "/latest/meta-data/spot/instance-action";
constexpr std::string_view kRebalance = "/latest/meta-data/events/recommendations/rebalance";

}  // namespace

Result<Time> parseInstanceAction(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  const auto time = parsed.is_object() ? parsed.find("time") : parsed.end();
  if (!parsed.is_object() || time == parsed.end() || !time->is_string())
    return fail(ErrorCode::invalid_argument, "an instance-action is {\"action\": what, \"time\": when}");
  return parseTime(time->get_ref<const std::string&>());
}

Ec2NoticeSource::Ec2NoticeSource(os::EventLoop& loop, Options options, OnNotice on_notice,
                                 std::function<void()> on_rebalance)
    : loop_(loop),
      options_(std::move(options)),
      callbacks_(std::make_shared<Callbacks>(Callbacks{std::move(on_notice), std::move(on_rebalance)})),
      thread_([this](const std::stop_token& stop) { ask(stop); }) {}

Ec2NoticeSource::~Ec2NoticeSource() {
  thread_.request_stop();
  thread_.join();
}

void Ec2NoticeSource::ask(const std::stop_token& stop) {
  auto client = aws::MetadataClient::create(options_.service);
  if (!client) {
    os::log(os::LogLevel::error, "metadata_service_unusable", {{"error", client.error().message}});
    return;
  }
  const std::stop_callback on_stop(stop, [&] { client->cancel(); });
  const std::weak_ptr<Callbacks> callbacks = callbacks_;
  const auto post = [&](auto call) {
    loop_.post([callbacks, call] {
      if (const auto alive = callbacks.lock()) call(*alive);
    });
  };
  std::optional<Time> told;
  bool recommended = false, failing = false;
  for (int look = 0; !stop.stop_requested(); ++look) {
    const auto action = client->get(kAction);
    if (!action && !failing && !stop.stop_requested())
      os::log(os::LogLevel::warn, "metadata_service_failed", {{"error", action.error().message}});
    failing = !action;
    if (action && *action) {
      const auto deadline = parseInstanceAction(**action);
      if (deadline && told != *deadline) {
        told = *deadline;
        post([deadline = *deadline](const Callbacks& all) { all.on_notice(deadline); });
      }
    }
    if (!recommended && look % options_.rebalance_every == 0) {
      const auto word = client->get(kRebalance);
      recommended = word && word->has_value();
      if (recommended) post([](const Callbacks& all) { all.on_rebalance(); });
    }
    if (!pauseFor(options_.every, stop)) return;
  }
}

}  // namespace buoy::agent
