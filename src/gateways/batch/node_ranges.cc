#include "gateways/batch/node_ranges.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/parse_number.h"
#include "base/shell.h"
#include "base/strings.h"

namespace buoy::gateways::batch {
namespace {

struct Range {
  std::int32_t first = 0, last = 0;
  Container container;
  const api::Node* properties = nullptr;
};

// "2", "0:3", ":3", "2:".
std::optional<std::pair<std::int32_t, std::int32_t>> parseTargets(std::string_view text, std::int32_t count) {
  const auto colon = text.find(':');
  const std::string_view low = text.substr(0, colon);
  const std::string_view high = colon == std::string_view::npos ? low : text.substr(colon + 1);
  const auto first = low.empty() ? 0 : parseNumber<std::int32_t>(low).value_or(-1);
  const auto last = high.empty() ? count - 1 : parseNumber<std::int32_t>(high).value_or(-1);
  if (text.empty() || first < 0 || last < first) return std::nullopt;
  return std::pair(first, std::min(last, count - 1));
}

Result<std::vector<Range>> readRanges(front::Body& request, const api::Node* nodes, std::int32_t count,
                                      const Parameters& parameters) {
  std::vector<Range> ranges;
  const auto add = [&](const api::Node& item) -> Status {
    const auto targets = parseTargets(front::textOf(item, "targetNodes"), count);
    if (!targets)
      return fail(ErrorCode::invalid_argument, "nodeRangeProperties.targetNodes must be like 0:3");
    ranges.push_back({targets->first, targets->second, {}, item.find("container")});
    return layOver(request, ranges.back().properties, "nodeRangeProperties.container",
                   ranges.back().container);
  };
  BUOY_TRY_VOID(front::forEachMap(nodes->find("nodeRangeProperties"), "nodeRangeProperties", add));
  const auto change = [&](const api::Node& item) -> Status {
    const auto targets = parseTargets(front::textOf(item, "targetNodes"), count);
    if (!targets) return fail(ErrorCode::invalid_argument, "nodeOverrides.targetNodes must be like 0:3");
    for (Range& range : ranges) {
      if (range.first < targets->first || range.last > targets->second) continue;
      BUOY_TRY_VOID(layOver(request, item.find("containerOverrides"), "nodeOverrides", range.container));
    }
    return {};
  };
  if (const api::Node* const overrides = request.root().find("nodeOverrides"))
    BUOY_TRY_VOID(front::forEachMap(overrides->find("nodePropertyOverrides"), "nodeOverrides", change));
  for (Range& range : ranges) range.container.command = withParameters(range.container.command, parameters);
  return ranges;
}

std::string nodeVariables(std::int32_t count, std::int32_t main) {
  return strCat({"export AWS_BATCH_JOB_NUM_NODES=", std::to_string(count), " AWS_BATCH_JOB_MAIN_NODE_INDEX=",
                 std::to_string(main), " AWS_BATCH_JOB_NODE_INDEX=$(( (BUOY_RANK + ", std::to_string(main),
                 ") % ", std::to_string(count),
                 " ))\n[ \"$BUOY_RANK\" = 0 ] || export "
                 "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS=\"$MASTER_ADDR\"\n"});
}

// The narrowest range that a node is in speaks for it.
const Range* rangeOf(const std::vector<Range>& ranges, std::int32_t node) {
  const Range* best = nullptr;
  for (const Range& range : ranges) {
    if (node < range.first || node > range.last) continue;
    if (best == nullptr || range.last - range.first < best->last - best->first) best = &range;
  }
  return best;
}

void enlarge(engine::Resources& to, const engine::Resources& need) {
  to.milli_cpus = std::max(to.milli_cpus, need.milli_cpus);
  to.gpus = std::max(to.gpus, need.gpus);
  to.memory = std::max(to.memory, need.memory);
}

std::string exports(const std::map<std::string, std::string>& env) {
  std::string script;
  for (const auto& [name, value] : env) script += strCat({"export ", name, "=", quotedForShell(value), "\n"});
  return script;
}

}  // namespace

Status prepareNodes(front::Body& request, const Definition& definition, const Parameters& parameters,
                    const std::map<std::string, std::string>& variables, api::JobSpec& spec,
                    api::JsonWriter& door) {
  const api::Node* const nodes = definition.document->find("nodeProperties");
  std::int32_t count = parseNumber<std::int32_t>(front::textOf(*nodes, "numNodes")).value_or(1);
  const std::int32_t main = parseNumber<std::int32_t>(front::textOf(*nodes, "mainNode")).value_or(0);
  if (const api::Node* const overrides = request.root().find("nodeOverrides"))
    count = parseNumber<std::int32_t>(front::textOf(*overrides, "numNodes")).value_or(count);
  if (count < 1 || main >= count)
    return fail(ErrorCode::invalid_argument, "nodeOverrides.numNodes must be at least 1 and above mainNode");
  BUOY_TRY(const std::vector<Range> ranges, readRanges(request, nodes, count, parameters));
  spec.machines = count;
  spec.main_decides = count > 1;
  spec.run = nodeVariables(count, main) + "case \"$AWS_BATCH_JOB_NODE_INDEX\" in\n";
  for (std::int32_t node = 0; node < count; ++node) {
    const Range* const range = rangeOf(ranges, node);
    if (range == nullptr)
      return fail(ErrorCode::invalid_argument, "nodeRangeProperties leave out node " + std::to_string(node));
    if (range->container.command.empty())
      return fail(ErrorCode::invalid_argument, "node " + std::to_string(node) + " has no command");
    enlarge(spec.resources, range->container.resources);
    if (!spec.container) {
      spec.container = range->container.run;
      spec.container->image = range->container.image;
      spec.container->working_dir = container::kImagesWorkingDir;
      spec.storage.file_systems = range->container.file_systems;
    }
    spec.run += strCat({std::to_string(node), ")\n", exports(range->container.env),
                        processScript(range->container, range->container.command, variables), ";;\n"});
  }
  spec.run += "esac";
  door.key("nodeProperties").beginObject().field("numNodes", count).field("mainNode", main);
  door.key("nodeRangeProperties").beginArray();
  for (const Range& range : ranges) {
    const std::string targets = strCat({std::to_string(range.first), ":", std::to_string(range.last)});
    door.beginObject().field("targetNodes", targets).key("container");
    beginContainer(door, range.properties, range.container);
    door.endObject().endObject();
  }
  door.endArray().endObject();
  return {};
}

}  // namespace buoy::gateways::batch
