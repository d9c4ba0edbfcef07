#include "api/workspace_plan.h"

#include "api/json_writer.h"
#include "api/spec_codec.h"

namespace buoy::api {
namespace {

void readMounts(MapReader& reader, WorkspacePlan& plan) {
  const Node* const list = reader.list("mounts");
  for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    MapReader item(reader.problems(), list->items[i], "mounts");
    WorkspacePlan::Mount mount;
    item.get("host", mount.host);
    item.get("path", mount.path);
    plan.mounts.push_back(std::move(mount));
  }
}

void readPlanPorts(MapReader& reader, WorkspacePlan& plan) {
  const Node* const list = reader.list("ports");
  for (std::size_t i = 0; list != nullptr && i < list->items.size(); ++i) {
    MapReader item(reader.problems(), list->items[i], "ports");
    WorkspacePlan::Port port;
    item.get("container", port.container);
    item.get("host", port.host);
    plan.ports.push_back(port);
  }
}

}  // namespace

std::string toJson(const WorkspacePlan& plan) {
  std::string json;
  JsonWriter writer(json);
  writer.beginObject().field("container", plan.container).field("image", plan.image);
  writer.field("dockerfile", plan.dockerfile).field("project", plan.project);
  if (!plan.source.empty()) writer.field("source", plan.source);
  writer.field("working_dir", plan.working_dir);
  writer.key("mounts").beginArray();
  for (const auto& mount : plan.mounts)
    writer.beginObject().field("host", mount.host).field("path", mount.path).endObject();
  writer.endArray().key("ports").beginArray();
  for (const auto& port : plan.ports)
    writer.beginObject().field("container", port.container).field("host", port.host).endObject();
  writer.endArray().key("env").beginObject();
  for (const auto& [name, value] : plan.env) writer.field(name, value);
  writer.endObject().field("run_as_host_user", plan.run_as_host_user);
  writer.field("host_network", plan.host_network);
  writeTexts(writer, "runtime_parameters", plan.runtime_parameters);
  writer.field("commands", plan.commands).field("host_commands", plan.host_commands);
  writer.field("notify", plan.notify).field("idle", plan.idle).endObject();
  return json;
}

Result<WorkspacePlan> parseWorkspacePlan(std::string_view json) {
  BUOY_TRY(const Node root, parseMessage(json));
  Problems problems{{}};
  MapReader reader(problems, root, {});
  WorkspacePlan plan;
  reader.get("container", plan.container);
  reader.require("container");
  reader.get("image", plan.image);
  reader.get("dockerfile", plan.dockerfile);
  reader.get("project", plan.project);
  reader.get("source", plan.source);
  reader.get("working_dir", plan.working_dir);
  readMounts(reader, plan);
  readPlanPorts(reader, plan);
  reader.get("env", plan.env);
  reader.get("run_as_host_user", plan.run_as_host_user);
  reader.get("host_network", plan.host_network);
  reader.get("runtime_parameters", plan.runtime_parameters);
  reader.get("commands", plan.commands);
  reader.get("host_commands", plan.host_commands);
  reader.get("notify", plan.notify);
  reader.seconds("idle", plan.idle);
  BUOY_TRY_VOID(firstProblem(problems));
  return plan;
}

std::string toJson(const WorkspaceScript& script) {
  std::string json;
  JsonWriter writer(json);
  writer.beginObject().field("session", script.session).field("name", script.name);
  writer.field("text", script.text).field("user", script.user);
  writeTexts(writer, "arguments", script.arguments);
  writer.field("logged", script.logged).field("starts", script.starts);
  writer.field("ended", script.ended).field("exit_code", script.exit_code).endObject();
  return json;
}

Result<WorkspaceScript> parseWorkspaceScript(std::string_view json) {
  BUOY_TRY(const Node root, parseMessage(json));
  Problems problems{{}};
  MapReader reader(problems, root, {});
  WorkspaceScript script;
  reader.get("session", script.session);
  reader.require("session");
  reader.get("name", script.name);
  reader.get("text", script.text);
  reader.get("user", script.user);
  reader.get("arguments", script.arguments);
  reader.get("logged", script.logged);
  reader.get("starts", script.starts);
  reader.get("ended", script.ended);
  reader.get("exit_code", script.exit_code);
  BUOY_TRY_VOID(firstProblem(problems));
  return script;
}

}  // namespace buoy::api
