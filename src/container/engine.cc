#include "container/engine.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "container/progress.h"

namespace buoy::container {
namespace {

using Json = nlohmann::json;
using Query = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kVersion = "/v1.41", kLibpodVersion = "/v4.0.0";
constexpr std::uint64_t kLongestAnswer = 16u << 20;
constexpr std::size_t kMostSaid = 2000;
constexpr std::size_t kMostLastWords = 4096;

bool contains(const std::string& text, std::initializer_list<std::string_view> any) {
  return std::any_of(any.begin(), any.end(),
                     [&](std::string_view part) { return text.find(part) != std::string::npos; });
}

Result<Json> parsed(const net::Response& response) {
  Json json = Json::parse(response.body, nullptr, false);
  if (json.is_discarded()) return fail(ErrorCode::internal, "the container engine's answer is not JSON");
  return json;
}

std::string textAt(const Json& json, const char* key) {
  if (!json.is_object()) return {};
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> textsAt(const Json& json, const char* key) {
  std::vector<std::string> texts;
  if (!json.is_object() || !json.contains(key)) return texts;
  const Json& list = json[key];
  if (list.is_string()) texts.push_back(list.get<std::string>());  // podman, of one word
  if (!list.is_array()) return texts;
  for (const Json& item : list) {
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  return texts;
}

// Docker has {"message"}; podman has {"cause", "message"} as well.
std::string messageOf(const net::Response& response) {
  const Json json = Json::parse(response.body, nullptr, false);
  std::string message = textAt(json, "message");
  if (message.empty()) message = response.body;
  if (message.empty()) message = "status " + std::to_string(response.status);
  return std::string(trim(message)).substr(0, kMostSaid);
}

const Json& memberOf(const Json& json, const char* key) {
  static const Json kNothing = Json::object();
  return json.is_object() && json.contains(key) ? json[key] : kNothing;
}

std::vector<std::pair<std::string, std::string>> portsOf(const Json& container) {
  std::vector<std::pair<std::string, std::string>> ports;
  const Json& all = memberOf(memberOf(container, "NetworkSettings"), "Ports");
  if (!all.is_object()) return ports;
  for (const auto& [port, bindings] : all.items()) {
    if (bindings.is_array() && !bindings.empty()) ports.emplace_back(port, textAt(bindings[0], "HostPort"));
  }
  return ports;
}

}  // namespace

Error engineError(int status, const std::string& message) {
  const auto make = [&](ErrorCode code, bool retryable) {
    Error error;
    error.code = code;
    error.message = message;
    error.retryable = retryable;
    return error;
  };
  if (contains(message, {"no space left on device", "disk quota exceeded"}))
    return make(ErrorCode::resource_exhausted, false);
  if (contains(message, {"port is already allocated", "address already in use", "is already in use"}))
    return make(ErrorCode::failed_precondition, false);
  // A name that no server knows stays unknown; a name server that does not answer may.
  if (contains(message, {"i/o timeout", "TLS handshake timeout", "connection reset", "connection refused",
                         "network is unreachable", "Temporary failure", "server misbehaving",
                         "toomanyrequests", "unexpected EOF", "503 Service", "502 Bad", "500 Internal"}) &&
      !contains(message, {"//localhost/", "[::1]:443"}))
    return make(ErrorCode::unavailable, true);
  if (status == 404 || contains(message, {"manifest unknown", "not found", "no such image"}))
    return make(ErrorCode::not_found, false);
  if (status == 409) return make(ErrorCode::failed_precondition, false);
  if (status >= 400 && status < 500) return make(ErrorCode::invalid_argument, false);
  return make(ErrorCode::internal, false);
}

Reference parseReference(std::string_view image) {
  if (const auto at = image.find('@'); at != std::string_view::npos)
    return {std::string(image.substr(0, image.find(':', image.rfind('/', at) + 1) < at
                                            ? image.find(':', image.rfind('/', at) + 1)
                                            : at)),
            std::string(image.substr(at + 1))};
  const auto slash = image.rfind('/');
  const auto colon = image.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon == std::string_view::npos) return {std::string(image), "latest"};
  return {std::string(image.substr(0, colon)), std::string(image.substr(colon + 1))};
}

std::string registryOf(std::string_view image) {
  const auto slash = image.find('/');
  const std::string_view first = image.substr(0, slash);
  const bool is_host = slash != std::string_view::npos &&
                       (first == "localhost" || first.find_first_of(".:") != std::string_view::npos);
  return is_host ? std::string(first) : "docker.io";
}

Engine::Engine(std::unique_ptr<net::Client> client, Options options)
    : client_(std::move(client)), options_(options) {}

Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::connect(const std::string& endpoint, Options options) {
  BUOY_TRY(net::Endpoint parsed_endpoint, net::parseEndpoint(endpoint));
  net::ClientOptions client;
  client.connect_timeout = options.quick;
  client.max_response = kLongestAnswer;
  auto engine = std::make_unique<Engine>(net::makeClient(std::move(parsed_endpoint), client), options);
  BUOY_TRY_VOID(engine->ping());
  return engine;
}

Status Engine::ping() {
  net::Request request;
  request.method = "GET";
  request.path = "/_ping";
  BUOY_TRY(const net::Response response, client_->send(request, options_.quick));
  if (response.status != 200) return fail(engineError(response.status, messageOf(response)));
  for (const auto& [name, value] : response.headers) podman_ |= lowerCase(name) == "libpod-api-version";
  return {};
}

Result<net::Response> Engine::send(const char* method, const std::string& path, Query query,
                                   std::string body) {
  net::Request request;
  request.method = method;
  request.path = strCat({path.starts_with("/libpod/") ? kLibpodVersion : kVersion, path});
  request.query = std::move(query);
  if (!body.empty()) request.headers = {{"Content-Type", "application/json"}};
  request.body = std::move(body);
  BUOY_TRY(net::Response response, client_->send(request, options_.quick));
  if (response.status < 300) return response;
  // It was already as it was to be.
  if (response.status == 304) return response;
  return fail(engineError(response.status, messageOf(response)));
}

Result<Engine::Image> Engine::image(const std::string& name) {
  BUOY_TRY(const net::Response response, send("GET", strCat({"/images/", name, "/json"}), {}, {}));
  BUOY_TRY(const Json json, parsed(response));
  Image image;
  image.id = textAt(json, "Id");
  const Json& config = memberOf(json, "Config");
  image.entrypoint = textsAt(config, "Entrypoint");
  image.command = textsAt(config, "Cmd");
  image.user = textAt(config, "User");
  if (image.id.empty()) return fail(ErrorCode::internal, "the container engine tells no image's id");
  return image;
}

Status Engine::follow(net::Request request, std::vector<net::BodyPiece> body, Progress& progress) {
  net::Exchange exchange;
  exchange.body = std::move(body);
  exchange.idle_timeout = options_.silence;
  exchange.on_body = [&](std::string_view bytes) { return progress.take(bytes); };
  BUOY_TRY(const net::Response response, client_->exchange(request, exchange));
  if (response.status >= 300) return fail(engineError(response.status, messageOf(response)));
  BUOY_TRY_VOID(progress.finish());
  return {};
}

Status Engine::pull(const std::string& name, const std::string& credentials, const OnText& on_text) {
  const Reference reference = parseReference(name);
  net::Request request;
  request.method = "POST";
  request.path = strCat({kVersion, "/images/create"});
  request.query = {{"fromImage", reference.name}, {"tag", reference.tag}};
  if (!credentials.empty()) request.headers = {{"X-Registry-Auth", credentials}};
  Progress progress(on_text);
  BUOY_TRY_VOID(follow(std::move(request), {}, progress));
  if (progress.error().empty()) return {};
  return fail(engineError(0, progress.error()));
}

Result<std::string> Engine::build(const Build& build, const OnText& on_text) {
  net::Request request;
  request.method = "POST";
  request.path = strCat({kVersion, "/build"});
  request.query = {{"dockerfile", build.dockerfile}, {"t", build.tag}, {"rm", "1"}, {"forcerm", "1"}};
  request.query.emplace_back("buildargs",
                             Json(build.args).dump(-1, ' ', false, Json::error_handler_t::replace));
  request.headers = {{"Content-Type", "application/x-tar"}};
  Progress progress(on_text);
  net::BodyPiece context;
  context.fd = build.context;
  context.size = build.context_size;
  BUOY_TRY_VOID(follow(std::move(request), {context}, progress));
  if (!progress.error().empty()) {
    Error error = engineError(0, progress.error());
    // Whatever an instruction met: it is the Dockerfile that must be changed.
    if (error.code != ErrorCode::resource_exhausted && error.code != ErrorCode::unavailable)
      error.code = ErrorCode::invalid_argument;
    return fail(std::move(error));
  }
  BUOY_TRY(const Image made, image(build.tag));
  return made.id;
}

Result<std::string> Engine::create(const std::string& name, const std::string& body) {
  Query query;
  if (!name.empty()) query.emplace_back("name", name);
  BUOY_TRY(const net::Response response, send("POST", "/containers/create", std::move(query), body));
  BUOY_TRY(const Json json, parsed(response));
  std::string id = textAt(json, "Id");
  if (id.empty()) return fail(ErrorCode::internal, "the container engine tells no container's id");
  return id;
}

Status Engine::start(const std::string& id) {
  BUOY_TRY_VOID(send("POST", strCat({"/containers/", id, "/start"}), {}, {}));
  return {};
}

Status Engine::execute(const std::string& id, const std::vector<std::string>& command,
                       const std::string& user) {
  const Json wanted = {{"Cmd", command}, {"User", user}, {"AttachStdout", false}, {"AttachStderr", false}};
  const std::string body = wanted.dump(-1, ' ', false, Json::error_handler_t::replace);
  BUOY_TRY(const net::Response response, send("POST", strCat({"/containers/", id, "/exec"}), {}, body));
  BUOY_TRY(const Json json, parsed(response));
  const std::string exec = textAt(json, "Id");
  if (exec.empty()) return fail(ErrorCode::internal, "the container engine tells no command's id");
  BUOY_TRY_VOID(send("POST", strCat({"/exec/", exec, "/start"}), {}, R"({"Detach":true,"Tty":false})"));
  return {};
}

Result<Engine::State> Engine::inspect(const std::string& id) {
  BUOY_TRY(const net::Response response, send("GET", strCat({"/containers/", id, "/json"}), {}, {}));
  BUOY_TRY(const Json json, parsed(response));
  const Json& told = memberOf(json, "State");
  State state;
  state.running = memberOf(told, "Running") == Json(true);
  const Json& code = memberOf(told, "ExitCode");
  state.exit_code = code.is_number_integer() ? code.get<int>() : 0;
  state.error = textAt(told, "Error");
  state.ports = portsOf(json);
  return state;
}

std::string Engine::lastWords(const std::string& id) {
  const auto response = send("GET", strCat({"/containers/", id, "/logs"}),
                             {{"stdout", "1"}, {"stderr", "1"}, {"tail", "20"}}, {});
  if (!response) return {};
  // Frames of 8 bytes (stream, length) and text; what is not text is left out.
  std::string text;
  for (const char c : response->body) {
    if (c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20) text += c;
  }
  return text.size() > kMostLastWords ? text.substr(text.size() - kMostLastWords) : text;
}

Status Engine::remove(const std::string& id) {
  auto removed = send("DELETE", strCat({"/containers/", id}), {{"force", "1"}, {"v", "1"}}, {});
  if (removed || removed.error().code == ErrorCode::not_found) return {};
  return fail(removed.error());
}

Result<std::vector<Engine::Listed>> Engine::list(const std::string& label) {
  const Json filters = {{"label", {label}}};
  // Where a removal was cut off, podman 4's list of Docker's API answers with an error; its own lists the
  // rest.
  const std::string path = podman_ ? "/libpod/containers/json" : "/containers/json";
  BUOY_TRY(const net::Response response, send("GET", path, {{"all", "1"}, {"filters", filters.dump()}}, {}));
  BUOY_TRY(const Json json, parsed(response));
  std::vector<Listed> found;
  if (!json.is_array()) return fail(ErrorCode::internal, "the container engine's list is none");
  for (const Json& item : json) {
    const std::string state = textAt(item, "State");
    found.push_back({textAt(item, "Id"), textAt(memberOf(item, "Labels"), label.c_str()),
                     state == "running" || state == "paused"});
  }
  std::erase_if(found, [](const Listed& each) { return each.id.empty(); });
  return found;
}

}  // namespace buoy::container
