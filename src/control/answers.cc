#include "control/answers.h"

#include <algorithm>

#include "api/views.h"
#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::control {

void sendJson(net::Responder& responder, int status, std::string json) {
  json += '\n';
  responder.send({.status = status, .content_type = "application/json", .body = std::move(json)});
}

net::Response errorResponse(const Error& error) {
  net::Response response;
  response.status = api::httpStatus(error.code);
  response.body = api::toJson(api::viewOf(error)) + "\n";
  if (response.status == 429 || response.status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

void sendError(net::Responder& responder, const Error& error) {
  responder.send(errorResponse(error));
}

void sendProblems(net::Responder& responder, std::vector<api::Problem> problems) {
  sendJson(responder, 400, api::toJson(api::viewOf(std::move(problems))));
}

Result<std::int64_t> numberParameter(const net::Request& request, std::string_view name,
                                     std::int64_t fallback, std::int64_t low, std::int64_t high) {
  const std::string text = request.queryValue(name);
  if (text.empty()) return fallback;
  const auto value = parseNumber<std::int64_t>(text);
  if (!value || *value < low || *value > high) {
    return fail(ErrorCode::invalid_argument, strCat({name, ": must be a number from ", std::to_string(low),
                                                     " to ", std::to_string(high), ", not '", text, "'"}));
  }
  return *value;
}

Result<std::optional<bool>> flagParameter(const net::Request& request, std::string_view name) {
  const auto found = std::find_if(request.query.begin(), request.query.end(),
                                  [&](const auto& parameter) { return parameter.first == name; });
  if (found == request.query.end()) return std::optional<bool>();
  const std::string& text = found->second;
  if (text.empty() || text == "1" || text == "true" || text == "yes") return std::optional<bool>(true);
  if (text == "0" || text == "false" || text == "no") return std::optional<bool>(false);
  return fail(ErrorCode::invalid_argument, strCat({name, ": must be true or false, not '", text, "'"}));
}

}  // namespace buoy::control
