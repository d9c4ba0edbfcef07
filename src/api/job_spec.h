#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "cloud/storage.h"
#include "container/spec.h"
#include "engine/types.h"

namespace buoy::api {

struct CheckpointSpec {
  std::string dir = "checkpoints";  // relative to the working directory, never out of it
  int keep = 3;
  std::string signal = "SIGTERM";  // sent to the process group at a notice or stop
  Duration settle =
      std::chrono::milliseconds{200};  // quiet time after the last complete file before a commit
  std::optional<Duration> interval;    // between two saves, as the job is told; nullopt: found out ("auto")
  std::string from;    // job:JOB/state whose newest version it begins with, until it has its own; empty: none
  std::string mirror;  // s3://bucket/prefix where the files also lie as they are; empty: nowhere
  std::string save_signal;  // sent when a save is due or was asked for; empty: none
  bool operator==(const CheckpointSpec&) const = default;
};

// An input: where it comes from and how the job gets it. Written as its `from` alone when all else is usual.
struct InputSpec {
  enum class Mode : std::uint8_t {
    automatic,  // a path is linked, everything else is downloaded
    link,
    download,
    stream,  // the job reads inputs/<name>_0, <name>_1 … (FIFOs), each the whole content
  };
  enum class Distribution : std::uint8_t {
    replicated,
    sharded,  // the i-th file, in byte order of the names, goes to rank i mod the number of machines
  };
  std::string from;  // api/input_source.h; a path is absolute on the control plane's host
  Mode mode = Mode::automatic;
  Distribution distribution = Distribution::replicated;
  bool cache = true;  // what is downloaded may stay on the machine for later attempts and other jobs
  bool operator==(const InputSpec&) const = default;
};
std::string_view toString(InputSpec::Mode mode);
std::string_view toString(InputSpec::Distribution distribution);

// Until when a job is to have finished: one of the two.
struct Deadline {
  Duration in{};  // from the submit
  Time at{};
  bool operator==(const Deadline&) const = default;
};
// "36h", a number of seconds, or an instant such as "2026-11-30T18:00:00Z". The message of an error says what
// it must be.
Result<Deadline> parseDeadline(std::string_view text);
// "20", "12.50", "$20"; at most nine decimals. The message of an error says what it must be.
Result<Money> parseBudget(std::string_view text);

// A job that must have succeeded first: by id or, where a person writes it, name. Written as that alone, or
// as {job: j5, each: true}.
struct DependencySpec {
  std::string job;
  bool each = false;  // of two arrays of one size: each task waits for the task of its index only
  bool operator==(const DependencySpec&) const = default;
};

// A job as a person writes it: buoy.yaml, flags or the API's JSON, all with the same keys and rules.
struct JobSpec {
  std::string name;
  std::string run;  // given to /bin/sh -c; may be empty in a container, whose image knows what it runs
  std::optional<container::Spec> container;  // that it runs in; none: it is a process
  std::string queue = "default";
  int machines = 1;
  engine::Resources resources;
  std::vector<std::string> pools;
  engine::SpotPreference spot = engine::SpotPreference::prefer;
  int priority = 0;
  std::string share;  // on whose account it runs, in a queue that is shared fairly
  std::optional<CheckpointSpec> checkpoint;
  std::map<std::string, InputSpec> inputs;     // by name
  cloud::Storage storage;                      // what it keeps beyond its machines, on pools that can
  std::vector<std::string> outputs;            // relative paths or globs in the working directory
  std::map<std::string, std::string> metrics;  // name → RE2 pattern with one group
  Duration max_run{}, max_wait{};
  int retry_failures = 0;
  std::vector<engine::RetryRule> retry_rules;
  Duration timeout{};         // of one attempt's running time, zero: none
  int array = 0;              // so many tasks, each with its BUOY_ARRAY_INDEX; 0: it is no array
  bool sequential = false;    // of an array: one task after the other
  bool main_decides = false;  // of a gang: with the end of rank 0 it ends, however the others end
  int race = 0;  // pools that its machine is asked for in at once; below two: one after the other
  std::vector<DependencySpec> depends_on;
  Duration stop_grace = std::chrono::seconds{30};
  std::optional<Deadline> deadline;
  Duration work{};                                   // of the whole job, uninterrupted; zero: not said
  Money budget{};                                    // zero: none
  engine::SpotRule policy = engine::SpotRule::none;  // none: not said
  std::map<std::string, std::string> env;
  std::string source;  // sha256 of a SourceManifest blob; empty: none
  // What the front door that it came through keeps of it for its own answers: a JSON object; empty: none.
  std::string door;
  bool operator==(const JobSpec&) const = default;
};

// The files that a job starts with, uploaded as blobs; itself stored as a blob.
struct SourceFile {
  std::string path;
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
  std::string sha256;
  bool operator==(const SourceFile&) const = default;
};
struct SourceManifest {
  std::vector<SourceFile> files;
  bool operator==(const SourceManifest&) const = default;
};

// A mistake in an input, where it stands.
struct Problem {
  std::string file;              // empty: flags or the API
  int line = 0, column = 0;      // 1-based; 0 unknown
  std::string field;             // "checkpoint.keep"
  std::string message;           // what is wrong and what to do
  std::string toString() const;  // "buoy.yaml:7:9: checkpoint.keep: must be at least 1, not 0"
};
template <class T>
using Parsed = tl::expected<T, std::vector<Problem>>;

// YAML text (limits: 1 MiB, depth 32, 10,000 nodes after aliases; invalid UTF-8 refused). `file` is for
// messages. Unknown keys are errors, with the nearest known key suggested. Relative inputs are kept as
// written. Every mistake is reported, not only the first. Without `name` the job is called
// jobNameFrom(default_name), which is an error when empty.
Parsed<JobSpec> parseJobYaml(std::string_view text, const std::string& file,
                             std::string_view default_name = {});
// `problem` with the place of its field in this YAML text (or of the nearest thing around it): for mistakes
// that are found after parsing, such as a pool that the server does not know.
Problem locate(std::string_view text, const std::string& file, Problem problem);
// The API's JSON; same keys, same rules. Needs `run` and `name`.
Parsed<JobSpec> parseJobJson(std::string_view text);
// Rules that do not depend on where it came from: ranges, names, regular expressions, environment size (1
// MiB) … Problems come without file and line. Both parsers apply it.
std::vector<Problem> validate(const JobSpec& spec);
// Valid as JobSpec::name whatever `text` is (a directory's or script's name, say), unless nothing of it can
// be used: then empty.
std::string jobNameFrom(std::string_view text);
// Is this a name for a job, queue or pool: 1 to 128 of letters, digits, '.', '_', '-', beginning with a
// letter or digit?
bool isName(std::string_view text);
// Is this the name of a share: 1 to 255 of letters, digits, '.', '_', '-'?
bool isShare(std::string_view text);
// "SIGTERM" → 15; nullopt for anything but the signals that a job may be sent (spelt with SIG).
std::optional<int> signalNumber(std::string_view name);
// A path below the directory it is meant for: relative, no component "..", "." or empty (a leading "./" and a
// trailing "/" are fine), valid UTF-8 without NUL, at most 4096 bytes.
bool isRelativePath(std::string_view path);
bool isSha256(std::string_view text);  // 64 lower-case hexadecimal digits
// Canonical: parseJobJson of it gives an equal JobSpec back.
std::string toJson(const JobSpec& spec);
engine::JobRequest toRequest(const JobSpec& spec);

// Paths are relative, without "..", each once and none below another; at most 100,000 files.
std::string toJson(const SourceManifest& manifest);
Result<SourceManifest> parseSourceManifest(std::string_view json);

}  // namespace buoy::api
