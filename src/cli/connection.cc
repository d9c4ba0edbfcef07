#include "cli/connection.h"

#include <filesystem>

#include "api/views.h"
#include "base/strings.h"
#include "cli/context.h"
#include "cli/server_process.h"
#include "net/url.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

constexpr Duration kPatience = std::chrono::seconds{60};

// Nobody listens there: a missing socket is as good as one that refuses.
bool nobodyListens(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::not_found;
}

Error unreachable(const ServerAddress& address, const Error& error) {
  Error result = error;
  if (error.code == ErrorCode::not_found) result.code = ErrorCode::unavailable;
  if (address.own) {
    result.message = strCat({"no server runs on ", address.state_dir, "; start it with 'buoy server start'"});
    if (error.code != ErrorCode::not_found) result.message += " (" + error.message + ")";
  } else {
    result.message = "the server does not answer: " + error.message;
  }
  return result;
}

Result<std::string> tokenFromEnvironment() {
  if (auto token = environment("BUOY_TOKEN")) return *token;
  const auto file = environment("BUOY_TOKEN_FILE");
  if (!file) return std::string();
  auto text = os::readFile(*file, 4096);
  if (!text) return fail(text.error().wrap("the token in $BUOY_TOKEN_FILE"));
  return std::string(trim(*text));
}

}  // namespace

Result<std::string> stateDirectory() {
  std::filesystem::path path;
  if (const auto given = environment("BUOY_STATE_DIR")) {
    path = *given;
  } else if (const auto xdg = environment("XDG_STATE_HOME")) {
    path = std::filesystem::path(*xdg) / "buoy";
  } else if (const auto home = environment("HOME")) {
    path = std::filesystem::path(*home) / ".local/state/buoy";
  } else {
    return fail(ErrorCode::invalid_argument,
                "neither BUOY_STATE_DIR nor HOME is set: there is no place for the state");
  }
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (error)
    return fail(ErrorCode::internal, "the state directory " + path.string() + ": " + error.message());
  std::string text = absolute.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string configFile() {
  std::error_code error;
  if (const auto given = environment("BUOY_CONFIG")) return std::filesystem::absolute(*given, error).string();
  std::filesystem::path base;
  if (const auto xdg = environment("XDG_CONFIG_HOME")) {
    base = *xdg;
  } else if (const auto home = environment("HOME")) {
    base = std::filesystem::path(*home) / ".config";
  } else {
    return {};
  }
  const auto file = base / "buoy/config.yaml";
  return std::filesystem::exists(file, error) ? file.string() : "";
}

Result<ServerAddress> serverAddress(const std::string& given) {
  ServerAddress address;
  BUOY_TRY(address.state_dir, stateDirectory());
  const std::string text = given.empty() ? environment("BUOY_SERVER").value_or("") : given;
  if (text.empty()) {
    address.own = true;
    address.endpoint = {net::Endpoint::Kind::unix_socket, address.socket(), "", 0};
    return address;
  }
  auto endpoint = net::parseEndpoint(text);
  if (!endpoint) return fail(endpoint.error().wrap(given.empty() ? "$BUOY_SERVER" : "--server"));
  address.endpoint = std::move(*endpoint);
  BUOY_TRY(address.options.bearer_token, tokenFromEnvironment());
  address.options.pinned_fingerprint = environment("BUOY_FINGERPRINT").value_or("");
  address.options.ca_file = environment("BUOY_CA_FILE").value_or("");
  return address;
}

Connection::Connection(ServerAddress address, Start start)
    : address_(std::move(address)),
      start_(start),
      client_(net::makeClient(address_.endpoint, address_.options)) {}

Result<net::Response> Connection::send(const std::string& method, const std::string& target,
                                       std::string body) {
  net::Request request;
  request.method = method;
  request.target = target;
  request.body = std::move(body);
  auto response = client_->send(request, kPatience);
  if (response || !nobodyListens(response.error())) return response;
  if (!address_.own || start_ == Start::never) return fail(unreachable(address_, response.error()));
  BUOY_TRY_VOID(startServer(address_, {}));
  start_ = Start::never;
  response = client_->send(request, kPatience);
  if (!response) return fail(unreachable(address_, response.error()));
  return response;
}

Result<std::string> Connection::call(const std::string& method, const std::string& target, std::string body) {
  BUOY_TRY(net::Response response, send(method, target, std::move(body)));
  if (response.status / 100 != 2) return fail(api::errorFromAnswer(response.status, response.body));
  return std::move(response.body);
}

Result<std::string> Connection::get(const std::string& target) {
  return call("GET", target, {});
}
Result<std::string> Connection::post(const std::string& target, std::string body) {
  return call("POST", target, std::move(body));
}
Result<std::string> Connection::put(const std::string& target, std::string body) {
  return call("PUT", target, std::move(body));
}
Result<std::string> Connection::remove(const std::string& target) {
  return call("DELETE", target, {});
}

Status Connection::stream(const std::string& target, Duration idle_timeout,
                          const std::function<bool(std::string_view)>& on_chunk) {
  net::Request request;
  request.method = "GET";
  request.target = target;
  auto response = client_->stream(request, idle_timeout, on_chunk);
  if (!response) {
    if (nobodyListens(response.error())) return fail(unreachable(address_, response.error()));
    return fail(std::move(response).error());
  }
  if (response->status / 100 != 2) return fail(api::errorFromAnswer(response->status, response->body));
  return {};
}

std::string pathPart(std::string_view text) {
  return net::percentEncode(text);
}

}  // namespace buoy::cli
