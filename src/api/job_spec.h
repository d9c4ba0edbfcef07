#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "engine/types.h"

namespace buoy::api {

struct CheckpointSpec {
  std::string dir = "checkpoints";  // relative to the working directory, or absolute inside the machine's directory
  int keep = 3;
  std::string signal = "SIGTERM";   // sent to the process group at a notice or stop
  Duration settle = std::chrono::milliseconds{200};  // quiet time after the last complete file before a commit
};

// A job as a person writes it: buoy.yaml, flags or the API's JSON, all with the same keys and rules.
struct JobSpec {
  std::string name;
  std::string run;                              // given to /bin/sh -c
  std::string queue = "default";
  int machines = 1;
  engine::Resources resources;
  std::vector<std::string> pools;
  engine::SpotPreference spot = engine::SpotPreference::prefer;
  int priority = 0;
  std::optional<CheckpointSpec> checkpoint;
  std::map<std::string, std::string> inputs;    // name → absolute path on the control plane's host
  std::vector<std::string> outputs;             // relative paths or globs in the working directory
  std::map<std::string, std::string> metrics;   // name → RE2 pattern with one group
  Duration max_run{}, max_wait{};
  int retry_failures = 0;
  Duration stop_grace = std::chrono::seconds{30};
  std::map<std::string, std::string> env;
  std::string source;                           // sha256 of a SourceManifest blob; empty: none
};

// The files that a job starts with, uploaded as blobs; itself stored as a blob.
struct SourceFile { std::string path; std::uint32_t mode = 0644; std::uint64_t size = 0; std::string sha256; };
struct SourceManifest { std::vector<SourceFile> files; };

// A mistake in an input, where it stands.
struct Problem {
  std::string file;      // empty: flags or the API
  int line = 0, column = 0;  // 1-based; 0 unknown
  std::string field;     // "checkpoint.keep"
  std::string message;   // what is wrong and what to do
  std::string toString() const;  // "buoy.yaml:7: checkpoint.keep: must be at least 1, not 0"
};
template <class T>
using Parsed = tl::expected<T, std::vector<Problem>>;

// YAML text (limits: 1 MiB, depth 32, 10,000 nodes after aliases; invalid UTF-8 refused). `file` is for messages.
// Unknown keys are errors, with the nearest known key suggested. Relative inputs are kept as written.
Parsed<JobSpec> parseJobYaml(std::string_view text, const std::string& file);
// The API's JSON; same keys, same rules. Needs `run` and `name`.
Parsed<JobSpec> parseJobJson(std::string_view text);
// Rules that do not depend on where it came from: ranges, names, regular expressions, environment size (1 MiB) …
std::vector<Problem> validate(const JobSpec& spec);
std::string toJson(const JobSpec& spec);
engine::JobRequest toRequest(const JobSpec& spec);

std::string toJson(const SourceManifest& manifest);
Result<SourceManifest> parseSourceManifest(std::string_view json);

}  // namespace buoy::api
