#include "api/job_spec.h"

#include <unordered_set>

#include "api/container_section.h"
#include "api/input_source.h"
#include "api/json_writer.h"
#include "api/node.h"
#include "api/reader.h"
#include "api/spec_codec.h"
#include "api/storage_section.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

constexpr std::size_t kMostRules = 20;
constexpr std::size_t kMostDependencies = 1'000;

constexpr std::size_t kMostSourceFiles = 100'000;

// "term", "USR1" → "SIGTERM", "SIGUSR1"; validate() judges what comes out.
std::string canonicalSignal(std::string_view text) {
  std::string name(trim(text).substr(0, 64));
  for (char& c : name) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return name.starts_with("SIG") ? name : "SIG" + name;
}

void readCheckpoint(MapReader& job, JobSpec& spec) {
  const Node* node = job.find("checkpoint");
  if (node == nullptr) return;
  CheckpointSpec checkpoint;
  if (const std::string* dir = scalarText(*node)) {
    checkpoint.dir = *dir;  // the short form: checkpoint: DIR
    spec.checkpoint = std::move(checkpoint);
    return;
  }
  MapReader reader(job.problems(), *node, "checkpoint");
  reader.get("dir", checkpoint.dir);
  reader.get("keep", checkpoint.keep);
  if (std::string signal; reader.get("signal", signal)) checkpoint.signal = canonicalSignal(signal);
  reader.get("settle", checkpoint.settle);
  if (std::string from; reader.get("from", from)) checkpoint.from = stateOf(from);
  reader.get("mirror", checkpoint.mirror);
  const Node* const interval = reader.find("interval");
  const std::string* const word = interval == nullptr ? nullptr : scalarText(*interval);
  if (word == nullptr || trim(*word) != "auto") reader.get("interval", checkpoint.interval);
  if (std::string signal; reader.get("save_signal", signal)) checkpoint.save_signal = canonicalSignal(signal);
  reader.refuseUnknown();
  spec.checkpoint = std::move(checkpoint);
}

void readInputs(MapReader& job, JobSpec& spec) {
  using Mode = InputSpec::Mode;
  using Distribution = InputSpec::Distribution;
  const Node* node = job.map("inputs");
  if (node == nullptr) return;
  for (const Node& entry : node->items) {
    InputSpec input;
    if (const std::string* from = scalarText(entry)) {
      input.from = *from;  // the short form: NAME: PATH
    } else {
      MapReader reader(job.problems(), entry, "inputs." + entry.key);
      reader.get("from", input.from);
      reader.choice("mode", input.mode, {Mode::link, Mode::download, Mode::stream});
      reader.choice("distribution", input.distribution, {Distribution::replicated, Distribution::sharded});
      reader.get("cache", input.cache);
      reader.refuseUnknown();
    }
    spec.inputs[entry.key] = std::move(input);
  }
}

void readRetry(MapReader& job, JobSpec& spec) {
  const Node* node = job.find("retry");
  if (node == nullptr) return;
  MapReader reader(job.problems(), *node, "retry");
  reader.get("failures", spec.retry_failures);
  const Node* const rules = reader.list("rules");
  for (std::size_t i = 0; rules != nullptr && i < std::min(rules->items.size(), kMostRules + 1); ++i) {
    MapReader rule(job.problems(), rules->items[i], "retry.rules[" + std::to_string(i) + "]");
    engine::RetryRule& read = spec.retry_rules.emplace_back();
    rule.get("exit_code", read.exit_code);
    rule.get("reason", read.reason);
    rule.get("status", read.status);
    rule.get("retry", read.retry);
    rule.refuseUnknown();
  }
  reader.refuseUnknown();
}

void readDependencies(MapReader& reader, JobSpec& spec) {
  const Node* const list = reader.find("depends_on");
  if (list == nullptr) return;
  if (const std::string* const one = scalarText(*list)) {
    spec.depends_on.push_back({*one, false});
    return;
  }
  if (list->kind != Node::Kind::list) {
    reader.wrong("depends_on", "must be a job or a list of jobs");
    return;
  }
  for (std::size_t i = 0; i < std::min(list->items.size(), kMostDependencies + 1); ++i) {
    DependencySpec& read = spec.depends_on.emplace_back();
    if (const std::string* const job = scalarText(list->items[i])) {
      read.job = *job;
      continue;
    }
    MapReader item(reader.problems(), list->items[i], "depends_on[" + std::to_string(i) + "]");
    item.get("job", read.job);
    item.get("each", read.each);
    item.refuseUnknown();
  }
}

void readPromises(MapReader& reader, JobSpec& spec) {
  using engine::SpotRule;
  readScalar(reader, "deadline", spec.deadline, parseDeadline);
  reader.get("work", spec.work);
  readScalar(reader, "budget", spec.budget, parseBudget);
  reader.choice("policy", spec.policy,
                {SpotRule::on_demand, SpotRule::spot_first, SpotRule::uniform_progress, SpotRule::buoy});
}

// Every key of a job, whatever it is written in. The order is that of toJson, which makes reading it back
// quick.
JobSpec readFields(Problems& problems, const Node& root, const std::string& path) {
  JobSpec spec;
  MapReader reader(problems, root, path);
  reader.get("name", spec.name);
  reader.get("run", spec.run);
  readContainer(reader, spec.container);
  reader.get("queue", spec.queue);
  reader.get("machines", spec.machines);
  reader.get("main_decides", spec.main_decides);
  readResources(reader, spec.resources);
  reader.get("pools", spec.pools);
  reader.get("race", spec.race);
  readSpot(reader, spec.spot);
  reader.get("priority", spec.priority);
  reader.get("share", spec.share);
  readCheckpoint(reader, spec);
  readInputs(reader, spec);
  readStorage(reader, spec.storage);
  reader.get("outputs", spec.outputs);
  reader.get("metrics", spec.metrics);
  reader.get("max_run", spec.max_run);
  reader.get("max_wait", spec.max_wait);
  readRetry(reader, spec);
  reader.get("timeout", spec.timeout);
  reader.get("array", spec.array);
  reader.get("sequential", spec.sequential);
  readDependencies(reader, spec);
  reader.get("stop_grace", spec.stop_grace);
  readPromises(reader, spec);
  reader.get("env", spec.env);
  reader.get("source", spec.source);
  if (const Node* door = reader.map("door")) spec.door = toJson(*door);
  reader.refuseUnknown();
  return spec;
}

// The mark of a field, or of the nearest thing around it that is written down.
Mark markOf(const Node& root, std::string_view field) {
  for (;;) {
    if (const Node* node = findByPath(root, field)) return field.empty() ? root.mark : node->mark;
    const auto cut = field.find_last_of(".[");
    if (cut == std::string_view::npos) return root.mark;
    field = field.substr(0, cut);
  }
}

}  // namespace

JobSpec readJob(Problems& problems, const Node& root, const std::string& path,
                std::string_view default_name) {
  JobSpec spec = readFields(problems, root, path);
  if (root.kind != Node::Kind::map) return spec;
  if (spec.name.empty() && root.find("name") == nullptr) spec.name = jobNameFrom(default_name);
  for (Problem& problem : validate(spec)) {
    const std::string field = path.empty() ? problem.field : strCat({path, ".", problem.field});
    if (!problems.has(field)) problems.add(markOf(root, problem.field), field, std::move(problem.message));
  }
  return spec;
}

void readResources(MapReader& parent, engine::Resources& resources) {
  const Node* node = parent.find("resources");
  if (node == nullptr) return;
  MapReader reader(parent.problems(), *node, parent.pathOf("resources"));
  readResourceFields(reader, resources);
  reader.refuseUnknown();
}

void readResourceFields(MapReader& reader, engine::Resources& resources) {
  reader.milli("cpus", resources.milli_cpus);
  reader.get("memory", resources.memory);
  reader.get("gpus", resources.gpus);
}

void readSpot(MapReader& reader, engine::SpotPreference& spot) {
  using engine::SpotPreference;
  reader.choice("spot", spot, {SpotPreference::prefer, SpotPreference::only, SpotPreference::never});
}

void writeResourceFields(JsonWriter& writer, const engine::Resources& resources) {
  writer.key("cpus").decimal(resources.milli_cpus, 3);
  writer.field("memory", resources.memory).field("gpus", resources.gpus);
}

void writeTexts(JsonWriter& writer, std::string_view key, const std::vector<std::string>& texts) {
  writer.key(key).beginArray();
  for (const std::string& text : texts) writer.value(text);
  writer.endArray();
}

std::string_view toString(InputSpec::Mode mode) {
  switch (mode) {
    case InputSpec::Mode::automatic:
      return "automatic";
    case InputSpec::Mode::link:
      return "link";
    case InputSpec::Mode::download:
      return "download";
    case InputSpec::Mode::stream:
      return "stream";
  }
  return "automatic";
}

std::string_view toString(InputSpec::Distribution distribution) {
  switch (distribution) {
    case InputSpec::Distribution::replicated:
      return "replicated";
    case InputSpec::Distribution::sharded:
      return "sharded";
  }
  return "replicated";
}

std::string Problem::toString() const {
  std::string text;
  if (!file.empty()) {
    text = file;
    if (line > 0) text += ":" + std::to_string(line);
    if (line > 0 && column > 0) text += ":" + std::to_string(column);
    text += ": ";
  }
  if (!field.empty()) text += field + ": ";
  return text + message;
}

Parsed<JobSpec> parseJobYaml(std::string_view text, const std::string& file, std::string_view default_name) {
  auto root = parseYamlTree(text, file);
  if (!root) return tl::unexpected(std::move(root).error());
  Problems problems(file);
  JobSpec spec = readJob(problems, *root, {}, default_name);
  if (!problems.empty()) return tl::unexpected(problems.take());
  return spec;
}

Problem locate(std::string_view text, const std::string& file, Problem problem) {
  problem.file = file;
  if (const auto root = parseYamlTree(text, file)) {
    const Mark mark = markOf(*root, problem.field);
    problem.line = mark.line;
    problem.column = mark.column;
  }
  return problem;
}

Parsed<JobSpec> parseJobJson(std::string_view text) {
  auto root = parseJsonTree(text, kSpecJsonLimits);
  if (!root) return tl::unexpected(std::move(root).error());
  Problems problems{{}};
  JobSpec spec = readJob(problems, *root, {}, {});
  if (!problems.empty()) return tl::unexpected(problems.take());
  return spec;
}

namespace {

void writeInputs(JsonWriter& writer, const std::map<std::string, InputSpec>& inputs) {
  if (inputs.empty()) return;
  writer.key("inputs").beginObject();
  for (const auto& [name, input] : inputs) {
    if (input == InputSpec{.from = input.from}) {
      writer.field(name, input.from);
      continue;
    }
    writer.key(name).beginObject().field("from", input.from);
    if (input.mode != InputSpec::Mode::automatic) writer.field("mode", toString(input.mode));
    writer.field("distribution", toString(input.distribution)).field("cache", input.cache).endObject();
  }
  writer.endObject();
}

void writeTextMap(JsonWriter& writer, std::string_view key, const std::map<std::string, std::string>& texts) {
  if (texts.empty()) return;
  writer.key(key).beginObject();
  for (const auto& [name, text] : texts) writer.field(name, text);
  writer.endObject();
}

void writeRetry(JsonWriter& writer, const JobSpec& spec) {
  writer.key("retry").beginObject().field("failures", spec.retry_failures);
  if (!spec.retry_rules.empty()) {
    writer.key("rules").beginArray();
    for (const engine::RetryRule& rule : spec.retry_rules) {
      writer.beginObject();
      if (!rule.exit_code.empty()) writer.field("exit_code", rule.exit_code);
      if (!rule.reason.empty()) writer.field("reason", rule.reason);
      if (!rule.status.empty()) writer.field("status", rule.status);
      writer.field("retry", rule.retry).endObject();
    }
    writer.endArray();
  }
  writer.endObject();
}

void writeDependencies(JsonWriter& writer, const JobSpec& spec) {
  if (spec.depends_on.empty()) return;
  writer.key("depends_on").beginArray();
  for (const DependencySpec& dependency : spec.depends_on) {
    if (dependency.each) {
      writer.beginObject().field("job", dependency.job).field("each", true).endObject();
    } else {
      writer.value(dependency.job);
    }
  }
  writer.endArray();
}

}  // namespace

std::string toJson(const JobSpec& spec) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  writer.field("name", spec.name).field("run", spec.run);
  writeContainer(writer, spec.container);
  writer.field("queue", spec.queue).field("machines", spec.machines);
  if (spec.main_decides) writer.field("main_decides", true);
  writer.key("resources").beginObject();
  writeResourceFields(writer, spec.resources);
  writer.endObject();
  writeTexts(writer, "pools", spec.pools);
  if (spec.race != 0) writer.field("race", spec.race);
  writer.field("spot", toString(spec.spot)).field("priority", spec.priority);
  if (!spec.share.empty()) writer.field("share", spec.share);
  if (spec.checkpoint) {
    writer.key("checkpoint").beginObject();
    writer.field("dir", spec.checkpoint->dir).field("keep", spec.checkpoint->keep);
    writer.field("signal", spec.checkpoint->signal).field("settle", spec.checkpoint->settle);
    if (spec.checkpoint->interval) writer.field("interval", *spec.checkpoint->interval);
    if (!spec.checkpoint->from.empty()) writer.field("from", spec.checkpoint->from);
    if (!spec.checkpoint->mirror.empty()) writer.field("mirror", spec.checkpoint->mirror);
    if (!spec.checkpoint->save_signal.empty()) writer.field("save_signal", spec.checkpoint->save_signal);
    writer.endObject();
  }
  writeInputs(writer, spec.inputs);
  writeStorage(writer, spec.storage);
  writeTexts(writer, "outputs", spec.outputs);
  writeTextMap(writer, "metrics", spec.metrics);
  writer.field("max_run", spec.max_run).field("max_wait", spec.max_wait);
  writeRetry(writer, spec);
  if (spec.timeout != Duration{}) writer.field("timeout", spec.timeout);
  if (spec.array != 0) writer.field("array", spec.array);
  if (spec.sequential) writer.field("sequential", true);
  writeDependencies(writer, spec);
  writer.field("stop_grace", spec.stop_grace);
  if (spec.deadline && spec.deadline->at != Time{}) {
    writer.field("deadline", spec.deadline->at);
  } else if (spec.deadline) {
    writer.field("deadline", spec.deadline->in);
  }
  if (spec.work != Duration{}) writer.field("work", spec.work);
  if (spec.budget != Money{}) writer.field("budget", spec.budget);
  if (spec.policy != engine::SpotRule::none) writer.field("policy", toString(spec.policy));
  writeTextMap(writer, "env", spec.env);
  if (!spec.source.empty()) writer.field("source", spec.source);
  if (!spec.door.empty()) writer.key("door").raw(spec.door);
  writer.endObject();
  return out;
}

engine::JobRequest toRequest(const JobSpec& spec) {
  engine::JobRequest request;
  request.name = spec.name;
  request.queue = spec.queue;
  request.pools = spec.pools;
  request.machines = spec.machines;
  request.resources = spec.resources;
  request.spot = spec.spot;
  request.priority = spec.priority;
  request.share = spec.share;
  request.retry_failures = spec.retry_failures;
  request.max_run = spec.max_run;
  request.max_wait = spec.max_wait;
  request.stop_grace = spec.stop_grace;
  request.work = spec.work;
  request.budget = spec.budget;
  request.image = spec.container.has_value();
  request.array = spec.array;
  request.sequential = spec.sequential;
  request.race = spec.race;
  request.main_decides = spec.main_decides;
  // What is attached to a machine is the whole machine's.
  request.alone = !spec.storage.empty();
  request.begins_again = !spec.checkpoint;
  request.retry_rules = spec.retry_rules;
  request.attempt_timeout = spec.timeout;
  for (const DependencySpec& dependency : spec.depends_on) {
    if (const auto id = JobId::parse(dependency.job)) request.depends_on.push_back({*id, dependency.each});
  }
  if (!spec.deadline) return request;
  request.deadline_in = spec.deadline->in;
  request.deadline_at = spec.deadline->at;
  using engine::SpotRule;
  const bool spot = spec.spot != engine::SpotPreference::never;
  request.policy = spec.policy != SpotRule::none ? spec.policy : spot ? SpotRule::buoy : SpotRule::on_demand;
  return request;
}

Result<Deadline> parseDeadline(std::string_view text) {
  if (const auto in = parseDuration(text); in && *in > Duration{}) return Deadline{.in = *in, .at = {}};
  if (const auto at = parseTime(text); at && *at > Time{}) return Deadline{.in = {}, .at = *at};
  return fail(ErrorCode::invalid_argument,
              strCat({"must be a time from the submit, such as 36h, or an instant, such as "
                      "2026-11-30T18:00:00Z, not ",
                      inQuotes(text)}));
}

Result<Money> parseBudget(std::string_view text) {
  const std::string_view number = text.starts_with('$') ? text.substr(1) : text;
  const auto nano_usd = number.starts_with('-') ? std::nullopt : parseDecimal(number, 9);
  if (nano_usd && *nano_usd > 0) return Money{*nano_usd};
  return fail(ErrorCode::invalid_argument,
              strCat({"must be USD above 0, such as 20 or 12.50, not ", inQuotes(text)}));
}

std::string toJson(const SourceManifest& manifest) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject().key("files").beginArray();
  for (const SourceFile& file : manifest.files) {
    writer.beginObject().field("path", file.path).field("mode", file.mode);
    writer.field("size", file.size).field("sha256", file.sha256).endObject();
  }
  writer.endArray().endObject();
  return out;
}

Result<SourceManifest> parseSourceManifest(std::string_view json) {
  const auto bad = [](const std::string& message) {
    return fail(ErrorCode::invalid_argument, "source manifest: " + message);
  };
  BUOY_TRY(const Node root, parseMessage(json));
  Problems problems{{}};
  MapReader reader(problems, root, {});
  SourceManifest manifest;
  if (const Node* files = reader.list("files")) {
    if (files->items.size() > kMostSourceFiles) return bad("has more than 100,000 files");
    for (const Node& item : files->items) {
      MapReader entry(problems, item, "files");
      SourceFile& file = manifest.files.emplace_back();
      entry.get("path", file.path);
      entry.get("mode", file.mode);
      entry.get("size", file.size);
      entry.get("sha256", file.sha256);
    }
  }
  BUOY_TRY_VOID(firstProblem(problems));
  std::unordered_set<std::string_view> files;
  for (const SourceFile& file : manifest.files) {
    if (!isRelativePath(file.path) || file.path.starts_with("./") || file.path.ends_with('/')) {
      return bad("path " + inQuotes(file.path) + " is not below the source directory");
    }
    if (!isSha256(file.sha256))
      return bad("sha256 of " + inQuotes(file.path) + " is not 64 hexadecimal digits");
    if (file.mode > 07777) return bad("mode of " + inQuotes(file.path) + " is not that of a file");
    if (!files.insert(file.path).second) return bad("path " + inQuotes(file.path) + " stands twice");
  }
  for (const SourceFile& file : manifest.files) {
    const std::string_view path = file.path;
    for (auto slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
      if (files.contains(path.substr(0, slash))) return bad("path " + inQuotes(path) + " is below a file");
    }
  }
  return manifest;
}

}  // namespace buoy::api
