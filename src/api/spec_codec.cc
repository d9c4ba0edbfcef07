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

}  // namespace buoy::api
