#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/job_spec.h"
#include "engine/types.h"

namespace buoy::api {

// $XDG_CONFIG_HOME/buoy/config.yaml, or --config: pools, queues and the store. All optional.
//
//   store: file:///srv/buoy
//   listen: [0.0.0.0:7433]           # beside --listen
//   advertise: https://buoy.example.org:7433   # where agents on machines elsewhere reach this server
//   pools:
//     - name: local
//       provider: local
//       max_machines: 8
//       launch_time: 90s             # of a machine, until it was seen (local: 5s, else 3m)
//       types:
//         - {name: small, cpus: 1, memory: 1GiB, price: 1.00, spot_price: 0.30}
//       market:                      # the provider's own section; here: provider local (provider aws: `aws`,
//       see
//                                    # docs/aws.md)
//         script: [{after: 6s, notice: 2s}, {after: 8s}]   # the k-th spot machine of the pool lives this
//         long; then none is taken # or  mean_uptime: 10m, seed: 7      or  trace: FILE, speed: 60 notice:
//         30s                # default notice; "none" for SIGKILL without a word
//   queues:
//     - {name: default, priority: 0, pools: [local]}
struct ServerConfig {
  std::string store;  // empty: file://<state directory>/store
  std::vector<std::string> listen;
  std::string advertise;  // net::parseEndpoint's http(s) form; empty: the first address of `listen` that
                          // others can reach
  std::vector<engine::Pool> pools;
  std::vector<engine::Queue> queues;
  // By pool, what the file says of it, as JSON: without what this version of the program adds.
  std::map<std::string, std::string> written;
};
// Same limits, and the same kind of problems, as parseJobYaml. `pools` and `queues` are empty where the file
// has none; a queue may name only the file's pools ("local" when it has none). A relative `trace` is meant
// from the file's directory.
Parsed<ServerConfig> parseServerConfig(std::string_view yaml, const std::string& file);
// What a machine without configuration gets: pool "local" sized to this host, queue "default". Prices are
// illustrative.
ServerConfig defaultServerConfig(int host_cpus, ByteCount host_memory);
// Fills what the configuration leaves out: no pools → the default ones; no queues → "default" over all pools.
ServerConfig withDefaults(ServerConfig config, int host_cpus, ByteCount host_memory);

// "market" of provider local, as kept (JSON) in engine::Pool::provider_config.
struct LocalMarket {
  struct Entry {
    Duration after{};  // from the machine's launch to the reclaim (to the notice, if there is one)
    std::optional<Duration> notice;  // nullopt: none. Where the file says nothing, the market's own
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> script;  // at most one of script, mean_uptime and trace is used
  Duration mean_uptime{};     // zero: not used
  std::uint64_t seed = 1;
  std::string trace;               // absolute path; docs/formats/trace.md
  double speed = 1;                // trace seconds per second
  std::optional<Duration> notice;  // nullopt: none
  bool operator==(const LocalMarket&) const = default;
};
Result<LocalMarket> parseLocalMarket(std::string_view json);  // empty text: a market that takes nothing
std::string toJson(const LocalMarket& market);

// As in GET and PUT /v1/pools and /v1/queues. The parsers are strict, but take and ignore the fields that GET
// adds (in_use, failures, …), so that an answer can be edited and put back. Whether a provider, or a queue's
// pool, exists is for the caller to check.
std::string toJson(const engine::Pool& pool);
std::string toJson(const engine::Queue& queue);
Parsed<engine::Pool> parsePoolJson(std::string_view json);
Parsed<engine::Queue> parseQueueJson(std::string_view json);

}  // namespace buoy::api
