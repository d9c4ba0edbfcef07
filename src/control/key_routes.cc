#include "api/json_writer.h"
#include "api/node.h"
#include "control/answers.h"
#include "control/services.h"
#include "os/log.h"

// Access keys for AWS's own clients.
namespace buoy::control {
namespace {

void writeKey(api::JsonWriter& writer, const AccessKeys::Key& key) {
  writer.field("id", key.id).field("name", key.name).field("created", key.created);
}

std::string nameIn(const std::string& body) {
  const auto tree = api::parseJsonTree(body.empty() ? "{}" : body, api::kSpecJsonLimits);
  const api::Node* const name = tree ? tree->find("name") : nullptr;
  return name == nullptr ? std::string() : name->text;
}

void create(Services& services, const Call& call) {
  const auto made = services.keys.create(nameIn(call.request.body), services.clock.now());
  if (!made) return sendError(*call.responder, made.error());
  os::log(os::LogLevel::info, "access_key_created", {{"id", made->key.id}});
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject();
  writeKey(writer, made->key);
  writer.field("secret", made->secret).endObject();
  sendJson(*call.responder, 201, std::move(json));
}

void list(Services& services, const Call& call) {
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("keys").beginArray();
  for (const AccessKeys::Key& key : services.keys.list()) {
    writer.beginObject();
    writeKey(writer, key);
    writer.endObject();
  }
  writer.endArray().endObject();
  sendJson(*call.responder, 200, std::move(json));
}

void remove(Services& services, const Call& call) {
  const Status removed = services.keys.remove(call.captured[0]);
  if (!removed) return sendError(*call.responder, removed.error());
  os::log(os::LogLevel::info, "access_key_deleted", {{"id", call.captured[0]}});
  call.responder->send({.status = 204, .body = {}});
}

}  // namespace

void addKeyRoutes(Router& router, Services& services) {
  const auto later = [&services](void (*act)(Services&, const Call&)) {
    return [&services, act](Call call) {
      services.io.post(0, [&services, act, call = std::move(call)] { act(services, call); });
    };
  };
  router.add("POST", "/v1/keys", later(create));
  router.add("GET", "/v1/keys", later(list));
  router.add("DELETE", "/v1/keys/{}", later(remove));
}

}  // namespace buoy::control
