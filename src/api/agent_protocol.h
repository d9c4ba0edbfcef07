#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/events.h"
#include "schedule/hazard.h"

// What agent and control plane say to one another: HTTP and JSON, always opened by the agent (it may sit
// behind NAT).
//   POST /v1/agent/hello       Hello → DirectiveMessage
//   GET  /v1/agent/directive?seen=GENERATION&wait=SECONDS → DirectiveMessage (204 when nothing newer by then)
//   POST /v1/agent/report      ReportMessage → {"generation": N}; also the heartbeat
//   POST /v1/agent/logs?job=j1&attempt=1&rank=0&offset=N   body: framed log bytes (docs/formats/log.md) →
//   {"size": N};
//                              409 {"size": N} when offset is not the size the server has: go on from there
// Every request carries "Authorization: Bearer <machine token>"; the token is "m7.<secret>".
// 401/403: the control plane does not know this machine: end the job's process after a last save and shut
// down.
namespace buoy::api {

// Where agents that are elsewhere reach the control plane: AgentConfig's server and server_fingerprint.
struct RemoteEndpoint {
  std::string server;
  std::string fingerprint;  // empty: a certificate that the machine's authorities vouch for, or no TLS
};

// Given to the agent by the provider as a file (0600): --config FILE.
struct AgentConfig {
  std::string cluster;  // id of the control plane's state, part of every store prefix
  MachineId machine;
  std::string server;  // net::parseEndpoint
  std::string token;
  std::string server_fingerprint;
  std::string store;        // uri
  std::string directory;    // the machine's own directory: work, inputs, logs, checkpoints live under it
  std::string notice_file;  // the local provider's stand-in for a metadata service: appears with {"deadline":
                            // RFC 3339}
  // The machine's own metadata service tells of reclaims: "ec2"; empty: it has none.
  std::string notice_service;
  std::string address;  // how peers reach this machine
  std::string
      cache;  // directory for downloaded inputs, shared by all machines of a host; empty: below `directory`
  // Of the Docker Engine API, where the provider offers it; empty: the agent finds out by itself.
  std::string container_socket;
  // What the provider lets the machine have, for the containers beside its processes; zero: all there is.
  int milli_cpus = 0;
  ByteCount memory{};
  ByteCount cache_limit{};  // of what no job uses; zero: a quarter of its file system
  Duration heartbeat = std::chrono::seconds{5};
  Duration orphan_after = std::chrono::minutes{30};  // without any answer: last save, then shut down
  Duration notice{};  // the pool's usual notice, for BUOY_NOTICE_SECONDS; zero: none
  // A part of a machine, whose agent is its host's child: of the GPUs its job sees these alone.
  bool part = false;
  std::vector<std::int32_t> devices;
};
std::string toJson(const AgentConfig& config);
Result<AgentConfig> parseAgentConfig(std::string_view json);

inline constexpr std::string_view kWarning = "warning: ";

struct Hello {
  MachineId machine;
  std::string version;
  std::string address;
};
std::string toJson(const Hello& hello);
Result<Hello> parseHello(std::string_view json);

struct DirectiveMessage {
  std::uint64_t generation = 0;
  engine::Directive directive;
  std::string spec;          // api::toJson(JobSpec), with Kind::run only
  std::string store_prefix;  // "<cluster>/j42": checkpoints/ and outputs/ are below it
  engine::Isolation isolation = engine::Isolation::container;  // of the machine's pool
  // With Kind::run: what the agent finds the job's checkpoint interval from, also while it is cut off. It is
  // as it was when the directive was first given.
  struct Saving {
    schedule::Hazard hazard;   // of machines of this pool and market
    Duration machine_age{};    // of this machine
    engine::SaveMeasure last;  // of the job's newest version, wherever that was saved
    bool operator==(const Saving&) const = default;
  };
  Saving saving;
  std::vector<std::string> tokens;  // of directive.parts, in their order
};
std::string toJson(const DirectiveMessage& message);
Result<DirectiveMessage> parseDirectiveMessage(std::string_view json);

// engine::AgentReport with ages instead of instants: the two clocks need not agree.
struct ReportMessage {
  MachineId machine;
  JobId job;  // none: only a heartbeat
  Epoch epoch = 0;
  struct PhaseChange {
    engine::MemberPhase phase;
    Duration age;
  };
  std::vector<PhaseChange> phases;
  std::uint64_t committed_version = 0;
  Duration committed_covers_age{};
  engine::SaveMeasure save;
  std::optional<engine::MemberResult> result;
  std::optional<Duration> notice_in;  // a notice was seen; the deadline is this far away
  struct Metric {
    std::string name;
    double value = 0;
    Duration age;
    std::uint64_t seq = 0;
  };
  std::vector<Metric> metrics;  // since the last acknowledged report; seq makes repeats harmless
  // Sentences for the job's history, with kWarning before them where people should look: "restored version 7
  // (1.0 MiB) in 12 ms". The first has number events_from.
  std::vector<std::string> events;
  std::uint64_t events_from = 0;
  // Of the directive's parts those that have no agent here and will get none; with every report.
  struct Closed {
    MachineId machine;
    std::string detail;  // how it ended, if it did so by itself
  };
  std::vector<Closed> closed;
};
std::string toJson(const ReportMessage& message);
Result<ReportMessage> parseReportMessage(std::string_view json);

}  // namespace buoy::api
