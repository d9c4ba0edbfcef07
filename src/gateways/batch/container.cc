#include "gateways/batch/container.h"

#include <algorithm>
#include <cctype>

#include "api/json_writer.h"
#include "base/parse_number.h"
#include "base/shell.h"
#include "base/strings.h"
#include "gateways/batch/run_properties.h"

namespace buoy::gateways::batch {
namespace {

constexpr std::string_view kReserved = "AWS_BATCH";
constexpr std::int64_t kMostMilliCpus = 4'096'000;
constexpr std::string_view kFile = "file://";

Status addRequirement(front::Body& body, const api::Node& item, const std::string& path,
                      engine::Resources& to) {
  auto fields = body.fields(&item, path + ".resourceRequirements");
  std::string type;
  fields.require("type");
  fields.require("value");
  fields.get("type", type);
  // Numbers, written as text.
  const std::string text = front::textOf(item, "value");
  const std::int64_t milli = api::parseDecimal(text, 3).value_or(0);
  const std::int32_t whole = parseNumber<std::int32_t>(text).value_or(0);
  const bool vcpu = type == "VCPU";
  if (!vcpu && type != "MEMORY" && type != "GPU") {
    fields.wrong("type", "must be VCPU, MEMORY or GPU, not " + inQuotes(type));
  } else if (vcpu ? milli < 1 || milli > kMostMilliCpus : whole < 1) {
    fields.wrong("value", "must be a number above 0, written as text, not " + inQuotes(text));
  } else if (vcpu) {
    to.milli_cpus = static_cast<std::int32_t>(milli);
  } else if (type == "MEMORY") {
    to.memory = ByteCount{static_cast<std::uint64_t>(whole) << 20};
  } else {
    to.gpus = whole;
  }
  return body.check();
}

Status readVariables(front::Body& body, const api::Node* list, const std::string& path,
                     Container& container) {
  return front::forEachMap(list, path + ".environment", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".environment");
    std::string name, value;
    fields.get("name", name);
    fields.get("value", value);
    if (name.empty() || name.starts_with(kReserved))
      fields.wrong("name", "must not be empty nor begin with AWS_BATCH, which is reserved");
    container.env[name] = value;
    return body.check();
  });
}

Status readSecrets(front::Body& body, const api::Node* list, const std::string& path, Container& container) {
  return front::forEachMap(list, path + ".secrets", [&](const api::Node& item) -> Status {
    auto fields = body.fields(&item, path + ".secrets");
    std::string name, from;
    fields.get("name", name);
    fields.get("valueFrom", from);
    if (from.starts_with(kFile)) from.erase(0, kFile.size());
    const bool variable = !name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) == 0 &&
                          std::all_of(name.begin(), name.end(),
                                      [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
    if (!variable) fields.wrong("name", "must be the name of a variable");
    if (!from.starts_with('/'))
      fields.wrong("valueFrom", "must be the path of a file on the machine, file:///run/secrets/NAME");
    container.secret_files[name] = from;
    return body.check();
  });
}

std::size_t wordEnd(std::string_view text, std::size_t at) {
  while (at < text.size() &&
         (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_' || text[at] == '-'))
    ++at;
  return at;
}

std::string replaced(std::string_view word, const Parameters& parameters) {
  constexpr std::string_view kRef = "Ref::";
  std::string out;
  for (std::size_t at = 0;;) {
    const auto found = word.find(kRef, at);
    if (found == std::string_view::npos) return out + std::string(word.substr(at));
    const std::size_t end = wordEnd(word, found + kRef.size());
    const auto value =
        parameters.find(std::string(word.substr(found + kRef.size(), end - found - kRef.size())));
    out += word.substr(at, found - at);
    out += value == parameters.end() ? word.substr(found, end - found) : std::string_view(value->second);
    at = end;
  }
}

Status checkContainer(front::Body& body, const api::Node* node, const std::string& path) {
  if (node == nullptr) return fail(ErrorCode::invalid_argument, path + " is required");
  Container container;
  BUOY_TRY_VOID(layOver(body, node, path, container));
  if (container.image.empty()) return fail(ErrorCode::invalid_argument, path + ".image is required");
  return {};
}

}  // namespace

Status layOver(front::Body& body, const api::Node* node, const std::string& path, Container& container) {
  if (node == nullptr) return {};
  auto fields = body.fields(node, path);
  fields.get("image", container.image);
  fields.get("command", container.command);
  std::int32_t vcpus = 0;
  std::uint64_t memory = 0;
  if (fields.get("vcpus", vcpus) && vcpus > 0) container.resources.milli_cpus = vcpus * 1000;
  if (fields.get("memory", memory) && memory > 0) container.resources.memory = ByteCount{memory << 20};
  BUOY_TRY_VOID(body.check());
  BUOY_TRY_VOID(readVariables(body, fields.list("environment"), path, container));
  BUOY_TRY_VOID(readSecrets(body, fields.list("secrets"), path, container));
  BUOY_TRY_VOID(readRunProperties(body, node, path, container.run, container.file_systems));
  return front::forEachMap(
      fields.list("resourceRequirements"), path + ".resourceRequirements",
      [&](const api::Node& item) { return addRequirement(body, item, path, container.resources); });
}

std::vector<std::string> withParameters(const std::vector<std::string>& command,
                                        const Parameters& parameters) {
  std::vector<std::string> words;
  words.reserve(command.size());
  for (const std::string& word : command) words.push_back(replaced(word, parameters));
  return words;
}

void beginContainer(api::JsonWriter& writer, const api::Node* node, const Container& container) {
  static constexpr std::string_view kOurs[] = {"image", "command", "environment", "resourceRequirements",
                                               "vcpus", "memory"};
  writer.beginObject();
  for (const api::Node& item : node == nullptr ? std::vector<api::Node>() : node->items) {
    if (std::find(std::begin(kOurs), std::end(kOurs), item.key) == std::end(kOurs))
      writer.key(item.key).raw(api::toJson(item));
  }
  writer.field("image", container.image).key("command").beginArray();
  for (const std::string& word : container.command) writer.value(word);
  writer.endArray().key("environment").beginArray();
  for (const auto& [name, value] : container.env)
    writer.beginObject().field("name", name).field("value", value).endObject();
  writer.endArray().key("resourceRequirements").beginArray();
  const auto requirement = [&](std::string_view type, const std::string& value) {
    writer.beginObject().field("value", value).field("type", type).endObject();
  };
  const engine::Resources& resources = container.resources;
  std::string cpus;
  api::JsonWriter(cpus).decimal(resources.milli_cpus, 3);
  requirement("VCPU", cpus);
  if (resources.memory.value > 0) requirement("MEMORY", std::to_string(resources.memory.value >> 20));
  if (resources.gpus > 0) requirement("GPU", std::to_string(resources.gpus));
  writer.endArray();
  writer.field("vcpus", (resources.milli_cpus + 999) / 1000).field("memory", resources.memory.value >> 20);
}

std::string processScript(const Container& container, const std::vector<std::string>& command,
                          const std::map<std::string, std::string>& variables) {
  std::string script = "export";
  for (const auto& [name, value] : variables) script += strCat({" ", name, "=", value});
  script += "\n";
  for (const auto& [name, file] : container.secret_files)
    script += strCat({name, "=$(cat ", quotedForShell(file), ") || exit 1; export ", name, "\n"});
  script += "exec";
  for (const std::string& word : command) script += " " + quotedForShell(word);
  return script;
}

container::Spec containerSpec(const Container& container,
                              const std::map<std::string, std::string>& variables) {
  container::Spec spec = container.run;
  spec.image = container.image;
  spec.command = container.command;
  spec.working_dir = container::kImagesWorkingDir;
  spec.secrets = container.secret_files;
  spec.env.insert(variables.begin(), variables.end());
  return spec;
}

Status checkTemplate(front::Body& body) {
  auto fields = body.fields();
  std::string type;
  fields.get("type", type);
  if (type != "multinode")
    return checkContainer(body, fields.map("containerProperties"), "containerProperties");
  const api::Node* const nodes = fields.map("nodeProperties");
  if (nodes == nullptr) return fail(ErrorCode::invalid_argument, "nodeProperties is required");
  auto properties = body.fields(nodes, "nodeProperties");
  std::int32_t count = 0, main = 0;
  properties.require("numNodes");
  properties.get("numNodes", count);
  properties.get("mainNode", main);
  BUOY_TRY_VOID(body.check());
  if (count < 1 || main < 0 || main >= count)
    return fail(ErrorCode::invalid_argument,
                "nodeProperties: numNodes must be at least 1 and mainNode below it");
  return front::forEachMap(properties.list("nodeRangeProperties"), "nodeProperties.nodeRangeProperties",
                           [&](const api::Node& range) {
                             return checkContainer(body, range.find("container"),
                                                   "nodeProperties.nodeRangeProperties.container");
                           });
}

}  // namespace buoy::gateways::batch
