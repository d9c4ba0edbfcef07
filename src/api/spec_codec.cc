#include "api/spec_codec.h"

namespace buoy::api {
namespace {

Error toError(const std::vector<Problem>& problems) {
  return Error{ErrorCode::invalid_argument, problems.empty() ? "is not valid" : problems.front().toString()};
}

}  // namespace

Result<Node> parseMessage(std::string_view json) {
  auto root = parseJsonTree(json, kMessageLimits);
  if (!root) return fail(toError(root.error()));
  return std::move(*root);
}

Status firstProblem(Problems& problems) {
  if (problems.empty()) return {};
  return fail(toError(problems.take()));
}

void writeSave(JsonWriter& writer, const engine::SaveMeasure& save) {
  writer.beginObject().field("bytes", save.bytes).field("sent", save.sent).field("took", save.took);
  writer.field("wrote", save.wrote);
  writer.field("bytes_per_second", save.bytes_per_second).field("notice", save.notice);
  writer.field("interval", save.interval).endObject();
}

engine::SaveMeasure readSave(MapReader& reader) {
  engine::SaveMeasure save;
  reader.get("bytes", save.bytes);
  reader.get("sent", save.sent);
  reader.seconds("took", save.took);
  reader.seconds("wrote", save.wrote);
  reader.get("bytes_per_second", save.bytes_per_second);
  reader.seconds("notice", save.notice);
  reader.seconds("interval", save.interval);
  return save;
}

}  // namespace buoy::api
