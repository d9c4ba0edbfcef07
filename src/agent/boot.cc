#include "agent/boot.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "aws/metadata_client.h"
#include "aws/shared_files.h"
#include "base/pause.h"
#include "base/strings.h"
#include "cloud/aws/names.h"
#include "os/files.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

constexpr Duration kAskEvery = std::chrono::milliseconds{500};
constexpr std::uint64_t kMaxConfig = 1 << 20;

Result<std::string> metadata(aws::MetadataClient& client, std::string_view what) {
  BUOY_TRY(const std::optional<std::string> value, client.get(strCat({"/latest/meta-data/", what})));
  if (!value || trim(*value).empty())
    return fail(ErrorCode::unavailable, strCat({client.name(), " has no ", what}), true);
  return std::string(trim(*value));
}

// Until it works or there is no time left: at its first boot a machine's network may come up late, and its
// role be known later still.
template <class T>
Result<T> insist(Duration patience, const std::function<Result<T>()>& attempt) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    auto result = attempt();
    if (result || result.error().code == ErrorCode::invalid_argument ||
        std::chrono::steady_clock::now() + kAskEvery > end)
      return result;
    (void)pauseFor(kAskEvery, {});
  }
}

}  // namespace

Result<BootConfig> parseBootConfig(std::string_view json) {
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  const auto text = [&](const char* key) {
    const bool there = parsed.is_object() && parsed.contains(key) && parsed[key].is_string();
    return there ? parsed[key].get<std::string>() : std::string();
  };
  BootConfig config{text("store"), text("cluster")};
  if (config.store.empty() || config.cluster.empty())
    return fail(ErrorCode::invalid_argument, "a boot configuration has a store and a cluster");
  return config;
}

Result<api::AgentConfig> boot(const std::string& file, const aws::Environment& environment,
                              Duration patience) {
  const std::string here = std::filesystem::absolute(file).parent_path().string();
  const std::string kept = here + "/agent.json";
  if (const auto text = os::readFile(kept, kMaxConfig)) return api::parseAgentConfig(*text);
  BUOY_TRY(const std::string text, os::readFile(file, kMaxConfig));
  BUOY_TRY(const BootConfig config, parseBootConfig(text));
  BUOY_TRY(const aws::SharedFiles files, aws::loadSharedFiles(environment));
  BUOY_TRY(aws::MetadataOptions options, aws::metadataOptions(environment, files, "default"));
  options.allow_v1 = false;
  BUOY_TRY(aws::MetadataClient client, aws::MetadataClient::create(options));
  BUOY_TRY(const std::string instance,
           insist<std::string>(patience, [&] { return metadata(client, "instance-id"); }));
  BUOY_TRY(const auto store, objstore::openStore(config.store, environment));
  const std::string key = cloud::aws::bootKey(config.cluster, instance);
  BUOY_TRY(const std::string laid,
           insist<std::string>(patience, [&] { return store->get(key, kMaxConfig); }));
  auto agent = nlohmann::json::parse(laid, nullptr, false);
  if (!agent.is_object()) return fail(ErrorCode::invalid_argument, key + " in the store is no configuration");
  agent["directory"] = here + "/machine";
  if (const auto address = metadata(client, "local-ipv4")) agent["address"] = *address;
  BUOY_TRY_VOID(os::makeDirectories(here + "/machine", 0755));
  BUOY_TRY_VOID(os::writeFileAtomic(kept, agent.dump(), 0600));
  // It holds the machine's token, and other machines may read the store.
  if (const auto removed = store->remove(key); !removed)
    os::log(os::LogLevel::warn, "boot_object_left", {{"key", key}, {"error", removed.error().message}});
  return api::parseAgentConfig(agent.dump());
}

}  // namespace buoy::agent
