#include "api/container_section.h"

#include "api/spec_codec.h"
#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

using container::Network;
using container::Port;
using container::Spec;
using container::Ulimit;
using container::Volume;

constexpr std::size_t kMostItems = 101;  // one more than is allowed, so that the rule is told

template <class T, class Parse, class Read>
void readItems(MapReader& parent, const char* key, const char* expected, std::vector<T>& out, Parse parse,
               Read read) {
  const Node* const list = parent.list(key);
  for (std::size_t i = 0; list != nullptr && i < std::min(list->items.size(), kMostItems); ++i) {
    const Node& item = list->items[i];
    const std::string path = strCat({parent.pathOf(key), "[", std::to_string(i), "]"});
    if (const std::string* const text = scalarText(item)) {
      const auto value = parse(trim(*text));
      if (value) out.push_back(*value);
      if (!value)
        parent.problems().add(item.mark, path, strCat({"must be ", expected, ", not ", inQuotes(*text)}));
      continue;
    }
    MapReader reader(parent.problems(), item, path);
    out.push_back(read(reader));
    reader.refuseUnknown();
  }
}

void readPlaces(MapReader& reader, Spec& spec) {
  readItems(reader, "volumes", "HOST:PATH, both absolute, with :ro if it is only read, or a PATH",
            spec.volumes, container::parseVolume, [](MapReader& item) {
              Volume volume;
              item.get("host", volume.host);
              item.get("path", volume.path);
              item.get("read_only", volume.read_only);
              return volume;
            });
  readItems(reader, "ports", "a port, or HOST:CONTAINER", spec.ports, container::parsePort,
            [](MapReader& item) {
              Port port;
              item.get("container", port.container);
              item.get("host", port.host);
              item.get("udp", port.udp);
              return port;
            });
}

void readGpus(MapReader& reader, Spec& spec) {
  readScalar(reader, "gpus", spec.gpus, [](std::string_view text) -> Result<std::optional<std::int32_t>> {
    if (text == "all") return Spec::kAllGpus;
    const auto count = parseNumber<std::int32_t>(text);
    if (count && *count >= 0) return *count;
    return fail(ErrorCode::invalid_argument, "must be a number or 'all', not " + inQuotes(text));
  });
}

void readUlimits(MapReader& reader, Spec& spec) {
  const Node* const map = reader.map("ulimits");
  for (std::size_t i = 0; map != nullptr && i < std::min(map->items.size(), kMostItems); ++i) {
    const Node& item = map->items[i];
    const std::string path = strCat({reader.pathOf("ulimits"), ".", item.key});
    Ulimit limit;
    if (const std::string* const text = scalarText(item)) {
      const auto value = container::parseUlimit(trim(*text));
      if (!value)
        reader.problems().add(item.mark, path,
                              "must be a number, SOFT:HARD or unlimited, not " + inQuotes(*text));
      limit = value.value_or(limit);
    } else {
      MapReader fields(reader.problems(), item, path);
      fields.get("soft", limit.soft);
      limit.hard = limit.soft;
      fields.get("hard", limit.hard);
      fields.refuseUnknown();
    }
    spec.ulimits[item.key] = limit;
  }
}

Spec readSection(MapReader& reader) {
  Spec spec;
  reader.get("image", spec.image);
  reader.get("file", spec.file);
  reader.get("context", spec.context);
  reader.get("build_args", spec.build_args);
  reader.get("command", spec.command);
  reader.get("project_dir", spec.project_dir);
  reader.get("working_dir", spec.working_dir);
  reader.get("user", spec.user);
  readPlaces(reader, spec);
  reader.choice("network", spec.network, {Network::automatic, Network::bridge, Network::host, Network::none});
  reader.get("env", spec.env);
  reader.get("secrets", spec.secrets);
  reader.get("commands", spec.commands);
  reader.get("runtime_args", spec.runtime_args);
  readGpus(reader, spec);
  reader.get("shm_size", spec.shm_size);
  reader.get("privileged", spec.privileged);
  readUlimits(reader, spec);
  reader.refuseUnknown();
  return spec;
}

void writeMap(JsonWriter& writer, std::string_view key, const std::map<std::string, std::string>& texts) {
  if (texts.empty()) return;
  writer.key(key).beginObject();
  for (const auto& [name, text] : texts) writer.field(name, text);
  writer.endObject();
}

void writeText(JsonWriter& writer, std::string_view key, const std::string& text) {
  if (!text.empty()) writer.field(key, text);
}

void writeWords(JsonWriter& writer, std::string_view key, const std::vector<std::string>& words) {
  if (!words.empty()) writeTexts(writer, key, words);
}

void writePlaces(JsonWriter& writer, const Spec& spec) {
  if (!spec.volumes.empty()) {
    writer.key("volumes").beginArray();
    for (const Volume& volume : spec.volumes) {
      writer.beginObject();
      writeText(writer, "host", volume.host);
      writer.field("path", volume.path).field("read_only", volume.read_only).endObject();
    }
    writer.endArray();
  }
  if (spec.ports.empty()) return;
  writer.key("ports").beginArray();
  for (const Port& port : spec.ports) {
    writer.beginObject().field("container", port.container).field("host", port.host);
    writer.field("udp", port.udp).endObject();
  }
  writer.endArray();
}

}  // namespace

void readContainer(MapReader& job, std::optional<Spec>& container) {
  std::string image;
  const bool in_short = job.get("image", image);
  const Node* const node = job.find("container");
  if (node == nullptr) {
    if (in_short) container.emplace().image = image;
    return;
  }
  if (in_short) job.wrong("image", "and container exclude one another: put the image into container");
  if (const std::string* const name = scalarText(*node)) {
    container.emplace().image = *name;  // the short form: container: IMAGE
    return;
  }
  MapReader reader(job.problems(), *node, job.pathOf("container"));
  container = readSection(reader);
}

void writeContainer(JsonWriter& writer, const std::optional<Spec>& container) {
  if (!container) return;
  const Spec& spec = *container;
  writer.key("container").beginObject();
  writeText(writer, "image", spec.image);
  writeText(writer, "file", spec.file);
  writeText(writer, "context", spec.context);
  writeMap(writer, "build_args", spec.build_args);
  writeWords(writer, "command", spec.command);
  writer.field("project_dir", spec.project_dir);
  writeText(writer, "working_dir", spec.working_dir);
  writeText(writer, "user", spec.user);
  writePlaces(writer, spec);
  writer.field("network", toString(spec.network));
  writeMap(writer, "env", spec.env);
  writeMap(writer, "secrets", spec.secrets);
  writeText(writer, "commands", spec.commands);
  writeWords(writer, "runtime_args", spec.runtime_args);
  if (spec.gpus && *spec.gpus == Spec::kAllGpus) writer.field("gpus", "all");
  if (spec.gpus && *spec.gpus != Spec::kAllGpus) writer.field("gpus", *spec.gpus);
  if (spec.shm_size != ByteCount{}) writer.field("shm_size", spec.shm_size);
  writer.field("privileged", spec.privileged);
  if (!spec.ulimits.empty()) {
    writer.key("ulimits").beginObject();
    for (const auto& [name, limit] : spec.ulimits)
      writer.key(name).beginObject().field("soft", limit.soft).field("hard", limit.hard).endObject();
    writer.endObject();
  }
  writer.endObject();
}

}  // namespace buoy::api
