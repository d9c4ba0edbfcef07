#include "api/agent_protocol.h"

#include <charconv>

#include "api/message_codec.h"

namespace buoy::api {
namespace {

constexpr std::size_t kMostPeers = 10'000;
constexpr std::size_t kMostSteps = 100;
constexpr std::size_t kMostParts = 10'000;
constexpr double kMostHazard = 1e6;

std::string_view wordFor(engine::Directive::Kind kind) {
  switch (kind) {
    case engine::Directive::Kind::idle:
      return "idle";
    case engine::Directive::Kind::run:
      return "run";
    case engine::Directive::Kind::stop:
      return "stop";
    case engine::Directive::Kind::shutdown:
      return "shutdown";
  }
  return "idle";
}

void readKind(MapReader& reader, engine::Directive::Kind& out) {
  using Kind = engine::Directive::Kind;
  std::string text;
  if (!reader.get("kind", text)) return;
  for (const Kind kind : {Kind::idle, Kind::run, Kind::stop, Kind::shutdown}) {
    if (text != wordFor(kind)) continue;
    out = kind;
    return;
  }
  reader.wrong("kind", inQuotes(text) + " is not known here");
}

using Part = engine::Directive::Part;

std::string_view wordFor(Part::Close close) {
  switch (close) {
    case Part::Close::no:
      return "no";
    case Part::Close::when_done:
      return "when_done";
    case Part::Close::by_force:
      return "by_force";
  }
  return "no";
}

void writeDevices(JsonWriter& writer, const std::vector<std::int32_t>& devices) {
  writer.key("devices").beginArray();
  for (const std::int32_t device : devices) writer.value(std::to_string(device));
  writer.endArray();
}

void readDevices(MapReader& reader, std::vector<std::int32_t>& devices) {
  std::vector<std::string> texts;
  reader.get("devices", texts);
  for (const std::string& text : texts) {
    std::int32_t device = -1;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), device);
    if (read.ptr != text.data() + text.size() || device < 0)
      reader.wrong("devices", inQuotes(text) + " is no device's number");
    devices.push_back(device);
  }
}

void writeParts(JsonWriter& writer, const DirectiveMessage& message) {
  writer.key("parts").beginArray();
  for (std::size_t i = 0; i < message.directive.parts.size(); ++i) {
    const Part& part = message.directive.parts[i];
    writer.beginObject().field("machine", part.machine).field("milli_cpus", part.resources.milli_cpus);
    writer.field("gpus", part.resources.gpus).field("memory", part.resources.memory);
    writeDevices(writer, part.devices);
    writer.field("close", wordFor(part.close));
    writer.field("token", i < message.tokens.size() ? message.tokens[i] : std::string()).endObject();
  }
  writer.endArray();
}

void readParts(MapReader& reader, DirectiveMessage& message) {
  readList(reader, "parts", [&](MapReader& item) {
    Part part;
    item.get("machine", part.machine);
    item.get("milli_cpus", part.resources.milli_cpus);
    item.get("gpus", part.resources.gpus);
    item.get("memory", part.resources.memory);
    readDevices(item, part.devices);
    std::string close = "no";
    item.get("close", close);
    for (const Part::Close each : {Part::Close::when_done, Part::Close::by_force}) {
      if (close == wordFor(each)) part.close = each;
    }
    if (close != wordFor(part.close)) item.wrong("close", inQuotes(close) + " is not known here");
    item.get("token", message.tokens.emplace_back());
    item.require("machine");
    message.directive.parts.push_back(std::move(part));
  });
  if (message.directive.parts.size() > kMostParts) reader.wrong("parts", "has more than 10,000 entries");
}

void writeDirective(JsonWriter& writer, const engine::Directive& directive) {
  writer.beginObject().field("kind", wordFor(directive.kind)).field("job", directive.job);
  writer.field("attempt", directive.attempt).field("epoch", directive.epoch).field("rank", directive.rank);
  writeTexts(writer, "peers", directive.peers);
  writer.field("stop", toString(directive.stop)).field("grace", directive.grace);
  writer.field("save", directive.save);
  if (directive.array) writer.field("array", directive.array).field("index", directive.index);
  writer.endObject();
}

engine::Directive readDirective(MapReader& reader) {
  engine::Directive directive;
  readKind(reader, directive.kind);
  reader.get("job", directive.job);
  reader.get("attempt", directive.attempt);
  reader.get("epoch", directive.epoch);
  reader.get("rank", directive.rank);
  if (reader.get("peers", directive.peers) && directive.peers.size() > kMostPeers) {
    reader.wrong("peers", "has more than 10,000 entries");
  }
  reader.word("stop", directive.stop);
  reader.seconds("grace", directive.grace);
  reader.get("save", directive.save);
  reader.get("array", directive.array);
  reader.get("index", directive.index);
  reader.require("kind");
  return directive;
}

void writeSaving(JsonWriter& writer, const DirectiveMessage::Saving& saving) {
  writer.beginObject().key("hazard").beginArray();
  for (const schedule::Hazard::Step& step : saving.hazard.steps) {
    writer.beginObject().field("from", step.from).field("per_hour", step.per_hour).endObject();
  }
  writer.endArray().field("unnoticed", saving.hazard.unnoticed).field("machine_age", saving.machine_age);
  writer.key("last");
  writeSave(writer, saving.last);
  writer.endObject();
}

DirectiveMessage::Saving readSaving(MapReader& reader) {
  DirectiveMessage::Saving saving;
  readList(reader, "hazard", [&](MapReader& item) {
    schedule::Hazard::Step step;
    item.seconds("from", step.from);
    item.get("per_hour", step.per_hour);
    if (!(step.per_hour >= 0 && step.per_hour < kMostHazard)) item.wrong("per_hour", "is no rate");
    saving.hazard.steps.push_back(step);
  });
  if (saving.hazard.steps.size() > kMostSteps) reader.wrong("hazard", "has more than 100 steps");
  reader.get("unnoticed", saving.hazard.unnoticed);
  if (!(saving.hazard.unnoticed >= 0 && saving.hazard.unnoticed <= 1)) {
    reader.wrong("unnoticed", "must be a part of 1");
  }
  reader.seconds("machine_age", saving.machine_age);
  readChild(reader, "last", [&](MapReader& child) { saving.last = readSave(child); });
  return saving;
}

void writeResult(JsonWriter& writer, const engine::MemberResult& result) {
  writer.beginObject().field("kind", toString(result.kind));
  writer.field("exit_code", result.exit_code).field("detail", result.detail).endObject();
}

engine::MemberResult readResult(MapReader& reader) {
  engine::MemberResult result;
  reader.word("kind", result.kind);
  reader.get("exit_code", result.exit_code);
  reader.get("detail", result.detail);
  reader.require("kind");
  return result;
}

ReportMessage readReport(MapReader& reader) {
  ReportMessage message;
  reader.get("machine", message.machine);
  reader.get("job", message.job);
  reader.get("epoch", message.epoch);
  readList(reader, "phases", [&](MapReader& item) {
    ReportMessage::PhaseChange change{engine::MemberPhase::assigned, {}};
    item.word("phase", change.phase);
    item.seconds("age", change.age);
    item.require("phase");
    message.phases.push_back(change);
  });
  reader.get("committed_version", message.committed_version);
  reader.seconds("committed_covers_age", message.committed_covers_age);
  readChild(reader, "save", [&](MapReader& child) { message.save = readSave(child); });
  readChild(reader, "result", [&](MapReader& child) { message.result = readResult(child); });
  reader.seconds("notice_in", message.notice_in);
  readList(reader, "metrics", [&](MapReader& item) {
    ReportMessage::Metric& metric = message.metrics.emplace_back();
    item.get("name", metric.name);
    item.get("value", metric.value);
    item.seconds("age", metric.age);
    item.get("seq", metric.seq);
    item.require("name");
  });
  reader.get("events", message.events);
  reader.get("events_from", message.events_from);
  readList(reader, "closed", [&](MapReader& item) {
    ReportMessage::Closed& closed = message.closed.emplace_back();
    item.get("machine", closed.machine);
    item.get("detail", closed.detail);
    item.require("machine");
  });
  reader.require("machine");
  return message;
}

}  // namespace

std::string toJson(const AgentConfig& config) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("cluster", config.cluster).field("machine", config.machine).field("server", config.server);
    writer.field("token", config.token).field("server_fingerprint", config.server_fingerprint);
    writer.field("store", config.store).field("directory", config.directory);
    writer.field("notice_file", config.notice_file).field("notice_service", config.notice_service);
    writer.field("address", config.address);
    writer.field("container_socket", config.container_socket);
    writer.field("milli_cpus", config.milli_cpus).field("memory", config.memory);
    writer.field("cache", config.cache).field("cache_limit", config.cache_limit);
    writer.field("heartbeat", config.heartbeat).field("orphan_after", config.orphan_after);
    writer.field("notice", config.notice);
    if (!config.part) return;
    writer.field("part", config.part);
    writeDevices(writer, config.devices);
  });
}

Result<AgentConfig> parseAgentConfig(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    AgentConfig config;
    reader.get("cluster", config.cluster);
    reader.get("machine", config.machine);
    reader.get("server", config.server);
    reader.get("token", config.token);
    reader.get("server_fingerprint", config.server_fingerprint);
    reader.get("store", config.store);
    reader.get("directory", config.directory);
    reader.get("notice_file", config.notice_file);
    if (reader.get("notice_service", config.notice_service) && !config.notice_service.empty() &&
        config.notice_service != "ec2")
      reader.wrong("notice_service", "must be ec2, or empty");
    reader.get("address", config.address);
    reader.get("container_socket", config.container_socket);
    reader.get("milli_cpus", config.milli_cpus);
    reader.get("memory", config.memory);
    reader.get("cache", config.cache);
    reader.get("cache_limit", config.cache_limit);
    reader.seconds("heartbeat", config.heartbeat);
    reader.seconds("orphan_after", config.orphan_after);
    reader.seconds("notice", config.notice);
    reader.get("part", config.part);
    readDevices(reader, config.devices);
    for (const char* key : {"cluster", "machine", "server", "token", "store", "directory"})
      reader.require(key);
    if (config.heartbeat <= Duration{}) reader.wrong("heartbeat", "must be more than 0");
    return config;
  });
}

std::string toJson(const Hello& hello) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("machine", hello.machine).field("version", hello.version).field("address", hello.address);
  });
}

Result<Hello> parseHello(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    Hello hello;
    reader.get("machine", hello.machine);
    reader.get("version", hello.version);
    reader.get("address", hello.address);
    reader.require("machine");
    return hello;
  });
}

std::string toJson(const DirectiveMessage& message) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("generation", message.generation).key("directive");
    writeDirective(writer, message.directive);
    // Inside a string: the agent keeps it as it is, and the message stays shallow.
    writer.field("spec", message.spec).field("store_prefix", message.store_prefix);
    if (!message.directive.parts.empty()) writeParts(writer, message);
    if (message.directive.kind != engine::Directive::Kind::run) return;
    writer.field("isolation", toString(message.isolation));
    writer.key("saving");
    writeSaving(writer, message.saving);
  });
}

Result<DirectiveMessage> parseDirectiveMessage(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    DirectiveMessage message;
    reader.get("generation", message.generation);
    readChild(reader, "directive", [&](MapReader& child) { message.directive = readDirective(child); });
    readParts(reader, message);
    reader.get("spec", message.spec);
    reader.get("store_prefix", message.store_prefix);
    reader.word("isolation", message.isolation);
    readChild(reader, "saving", [&](MapReader& child) { message.saving = readSaving(child); });
    reader.require("directive");
    return message;
  });
}

std::string toJson(const ReportMessage& message) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("machine", message.machine).field("job", message.job).field("epoch", message.epoch);
    writer.key("phases").beginArray();
    for (const ReportMessage::PhaseChange& change : message.phases) {
      writer.beginObject().field("phase", toString(change.phase)).field("age", change.age).endObject();
    }
    writer.endArray();
    writer.field("committed_version", message.committed_version);
    writer.field("committed_covers_age", message.committed_covers_age);
    if (message.committed_version != 0) {
      writer.key("save");
      writeSave(writer, message.save);
    }
    if (message.result) {
      writer.key("result");
      writeResult(writer, *message.result);
    }
    if (message.notice_in) writer.field("notice_in", *message.notice_in);
    writer.key("metrics").beginArray();
    for (const ReportMessage::Metric& metric : message.metrics) {
      writer.beginObject().field("name", metric.name).field("value", metric.value);
      writer.field("age", metric.age).field("seq", metric.seq).endObject();
    }
    writer.endArray();
    writeTexts(writer, "events", message.events);
    writer.field("events_from", message.events_from);
    if (message.closed.empty()) return;
    writer.key("closed").beginArray();
    for (const ReportMessage::Closed& closed : message.closed)
      writer.beginObject().field("machine", closed.machine).field("detail", closed.detail).endObject();
    writer.endArray();
  });
}

Result<ReportMessage> parseReportMessage(std::string_view json) {
  return parseObject(json, readReport);
}

}  // namespace buoy::api
