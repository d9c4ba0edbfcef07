#include "gateways/batch/job_definitions.h"

#include <algorithm>

#include "base/parse_number.h"
#include "base/strings.h"
#include "gateways/batch/container.h"

// Job definitions: templates of jobs, in numbered revisions.
namespace buoy::gateways::batch {
namespace {

constexpr std::string_view kActive = "ACTIVE";
constexpr std::string_view kInactive = "INACTIVE";
constexpr std::size_t kAll = SIZE_MAX;

Definition definitionOf(const Library::Entry& entry) {
  const auto colon = entry.name.rfind(':');
  return {entry.name.substr(0, colon),
          parseNumber<std::uint32_t>(std::string_view(entry.name).substr(colon + 1)).value_or(0),
          entry.document};
}

std::string withStatus(const api::Node& request, std::string_view status) {
  api::Node document = request;
  std::erase_if(document.items,
                [](const api::Node& item) { return item.key == "status" || item.key == "tags"; });
  api::Node& added = document.items.emplace_back();
  added.kind = api::Node::Kind::string;
  added.key = "status";
  added.text = status;
  return api::toJson(document);
}

void write(api::JsonWriter& writer, const Desk& desk, const std::string& region,
           const Definition& definition) {
  writer.beginObject();
  for (const api::Node& item : definition.document->items) writer.key(item.key).raw(api::toJson(item));
  writer.field("revision", definition.revision);
  writer.field("jobDefinitionArn", arnOf(region, Thing::job_definition, definition.nameAndRevision()));
  writer.field("containerOrchestrationType", "ECS");
  writeTags(writer, desk, Thing::job_definition, definition.nameAndRevision());
  writer.endObject();
}

}  // namespace

bool Definition::active() const {
  return front::textOf(*document, "status") == kActive;
}

Result<Definition> findDefinition(const Desk& desk, std::string_view reference) {
  const std::string word = nameIn(reference, Thing::job_definition);
  const auto colon = word.find(':');
  const std::string name = word.substr(0, colon);
  const auto missing = [&] {
    return fail(ErrorCode::not_found, strCat({"JobDefinition ", reference, " does not exist"}));
  };
  if (colon != std::string::npos) {
    const auto revision = parseNumber<std::uint32_t>(std::string_view(word).substr(colon + 1));
    const auto document = revision ? desk.library.find(kDefinition, definitionKey(name, *revision)) : nullptr;
    if (!document) return missing();
    return Definition{name, *revision, document};
  }
  const auto revisions = desk.library.list(kDefinition, name + ":", {}, kAll);
  for (auto it = revisions.rbegin(); it != revisions.rend(); ++it) {
    Definition definition = definitionOf(*it);
    if (definition.active()) return definition;
  }
  return missing();
}

Result<Order> registerJobDefinition(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::string name, type = "container";
  fields.get("jobDefinitionName", name);
  fields.get("type", type);
  const api::Node* const tags = fields.map("tags");
  BUOY_TRY_VOID(body.check());
  BUOY_TRY_VOID(checkName("jobDefinitionName", name));
  if (type != "container" && type != "multinode")
    return fail(ErrorCode::invalid_argument, "type must be container or multinode, not " + inQuotes(type));
  BUOY_TRY_VOID(checkTemplate(body));
  int priority = 0;
  BUOY_TRY_VOID(readSchedulingPriority(body, body.root(), "schedulingPriority", priority));
  const std::uint32_t revision = desk.library.nextRevision(name);
  const std::string named = name + ":" + std::to_string(revision);
  Order made;
  made.change.resources.push_back(
      {std::string(kDefinition), definitionKey(name, revision), withStatus(body.root(), kActive)});
  BUOY_TRY_VOID(addTags(made.change, Thing::job_definition, named, tags));
  made.answer = [region = call.region, name, named, revision](const engine::Reply&) {
    std::string json;
    api::JsonWriter writer(json);
    writer.beginObject().field("jobDefinitionName", name);
    writer.field("jobDefinitionArn", arnOf(region, Thing::job_definition, named));
    writer.field("revision", revision).endObject();
    return json;
  };
  return made;
}

Result<Order> deregisterJobDefinition(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::string reference;
  fields.get("jobDefinition", reference);
  BUOY_TRY_VOID(body.check());
  if (nameIn(reference, Thing::job_definition).find(':') == std::string::npos)
    return fail(ErrorCode::invalid_argument, "jobDefinition must be name:revision or an ARN");
  BUOY_TRY(const Definition definition, findDefinition(desk, reference));
  Order made;
  made.change.resources.push_back({std::string(kDefinition),
                                   definitionKey(definition.name, definition.revision),
                                   withStatus(*definition.document, kInactive)});
  made.answer = [](const engine::Reply&) { return std::string("{}"); };
  return made;
}

Result<std::string> describeJobDefinitions(const Desk& desk, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  BUOY_TRY(const Page page, readPage(body));
  auto fields = body.fields();
  std::vector<std::string> references;
  std::string name, status;
  fields.get("jobDefinitions", references);
  fields.get("jobDefinitionName", name);
  fields.get("status", status);
  BUOY_TRY_VOID(body.check());
  std::string json, next;
  api::JsonWriter writer(json);
  writer.beginObject().key("jobDefinitions").beginArray();
  if (!references.empty()) {
    for (const std::string& reference : references) {
      if (const auto found = findDefinition(desk, reference)) write(writer, desk, call.region, *found);
    }
    writer.endArray().endObject();
    return json;
  }
  std::size_t written = 0;
  const std::string prefix = name.empty() ? std::string() : nameIn(name, Thing::job_definition) + ":";
  for (const Library::Entry& entry : desk.library.list(kDefinition, prefix, page.after, kAll)) {
    if (!status.empty() && front::textOf(*entry.document, "status") != status) continue;
    if (written++ == page.most) {
      writer.endArray().field("nextToken", next).endObject();
      return json;
    }
    write(writer, desk, call.region, definitionOf(entry));
    next = entry.name;
  }
  writer.endArray().endObject();
  return json;
}

}  // namespace buoy::gateways::batch
