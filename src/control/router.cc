#include "control/router.h"

#include <optional>

#include "api/views.h"
#include "base/strings.h"
#include "control/answers.h"

namespace buoy::control {
namespace {

constexpr std::string_view kOne = "{}";
constexpr std::string_view kRest = "{*}";

std::optional<std::vector<std::string>> match(const std::vector<std::string>& pattern,
                                              const std::vector<std::string_view>& path) {
  std::vector<std::string> captured;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size()) return std::nullopt;
    if (pattern[i] == kRest) {
      const char* begin = path[i].data();
      captured.emplace_back(begin, path.back().data() + path.back().size());
      return captured;
    }
    if (pattern[i] == kOne) {
      captured.emplace_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  if (pattern.size() != path.size()) return std::nullopt;
  return captured;
}

}  // namespace

void Router::add(std::string method, std::string_view pattern, Handler handler) {
  Route route{std::move(method), {}, std::move(handler)};
  for (const std::string_view part : split(pattern, '/')) route.parts.emplace_back(part);
  routes_.push_back(std::move(route));
}

void Router::dispatch(net::Request request, std::shared_ptr<net::Responder> responder) const {
  bool known = false;
  const std::string path = request.path;  // the parts below point into it, and the request moves on
  const std::vector<std::string_view> parts = split(path, '/');
  for (const Route& route : routes_) {
    auto captured = match(route.parts, parts);
    if (!captured) continue;
    known = true;
    if (route.method != request.method) continue;
    return route.handler({std::move(request), std::move(responder), std::move(*captured)});
  }
  if (!known) return sendError(*responder, {ErrorCode::not_found, "there is no " + path + " here", false});
  const Error error{ErrorCode::invalid_argument, strCat({path, " does not answer to ", request.method}),
                    false};
  sendJson(*responder, 405, api::toJson(api::viewOf(error)));
}

}  // namespace buoy::control
