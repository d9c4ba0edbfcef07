#include "api/json_writer.h"
#include "api/openapi.h"
#include "control/answers.h"
#include "control/services.h"
#include "os/log.h"

namespace buoy::control {

void addServerRoutes(Router& router, Services& services) {
  router.add("GET", "/v1/server", [&](Call call) {
    std::string json = api::toJson(services.describeServer());
    if (const std::string fingerprint = services.fingerprint(); !fingerprint.empty()) {
      json.back() = ',';  // in place of the closing brace
      json += "\"fingerprint\":";
      api::appendJsonString(json, fingerprint);
      json += '}';
    }
    sendJson(*call.responder, 200, std::move(json));
  });
  router.add("GET", "/v1/openapi.json",
             [](Call call) { sendJson(*call.responder, 200, std::string(api::openApiDocument())); });
  router.add("POST", "/v1/server/stop", [&](Call call) {
    call.responder->send({.status = 202, .body = {}});
    // A moment later, so that the answer is on its way before the connections are cut.
    services.timer.after(std::chrono::milliseconds{50}, services.requestStop);
  });
  router.add("POST", "/v1/server/tokens", [&](Call call) {
    services.io.post(0, [&services, call = std::move(call)] {
      const auto token = services.access.createToken();
      if (!token) return sendError(*call.responder, token.error());
      os::log(os::LogLevel::info, "token_created");
      std::string json;
      api::JsonWriter(json).beginObject().field("token", *token).endObject();
      sendJson(*call.responder, 201, std::move(json));
    });
  });
}

}  // namespace buoy::control
