#pragma once

#include <string>
#include <vector>

#include "api/job_spec.h"
#include "engine/types.h"

namespace buoy::api {

// $XDG_CONFIG_HOME/buoy/config.yaml, or --config: pools, queues and the store. All optional.
//
//   store: file:///srv/buoy
//   pools:
//     - name: local
//       provider: local
//       max_machines: 8
//       types:
//         - {name: small, cpus: 1, memory: 1GiB, price: 1.00, spot_price: 0.30}
//       market:                      # the provider's own section; here: provider local
//         script: [{after: 6s, notice: 2s}, {after: 8s}]   # the k-th spot machine of the pool lives this long; then none is taken
//         # or  mean_uptime: 10m, seed: 7      or  trace: FILE, speed: 60
//         notice: 30s                # default notice; "none" for SIGKILL without a word
//   queues:
//     - {name: default, priority: 0, pools: [local]}
struct ServerConfig {
  std::string store;  // empty: file://<state directory>/store
  std::vector<engine::Pool> pools;
  std::vector<engine::Queue> queues;
};
Parsed<ServerConfig> parseServerConfig(std::string_view yaml, const std::string& file);
// What a machine without configuration gets: pool "local" sized to this host, queue "default".
ServerConfig defaultServerConfig(int host_cpus, ByteCount host_memory);

// "market" of provider local, as kept (JSON) in engine::Pool::provider_config.
struct LocalMarket {
  struct Entry { Duration after{}; std::optional<Duration> notice; };
  std::vector<Entry> script;
  Duration mean_uptime{};           // zero: not used
  std::uint64_t seed = 1;
  std::string trace;                // absolute path; docs/formats/trace.md
  double speed = 1;                 // trace seconds per second
  std::optional<Duration> notice;   // nullopt: none
};
Result<LocalMarket> parseLocalMarket(std::string_view json);
std::string toJson(const LocalMarket& market);
std::string toJson(const engine::Pool& pool);     // as in GET /v1/pools and as kept by the store
std::string toJson(const engine::Queue& queue);
Parsed<engine::Pool> parsePoolJson(std::string_view json);
Parsed<engine::Queue> parseQueueJson(std::string_view json);

}  // namespace buoy::api
