#include <algorithm>

#include "base/strings.h"
#include "gateways/batch/jobs.h"
#include "gateways/batch/operations.h"

// Tags of everything that has an ARN.
namespace buoy::gateways::batch {
namespace {

// not_found: there is no such thing.
Result<api::Node> tagsNow(const Desk& desk, const Named& named) {
  const auto document = desk.library.find(kTags, strCat({wordOf(named.thing), "/", named.name}));
  if (document) return *document;
  const auto places = desk.backend.places();
  bool exists = false;
  api::Node none{.kind = api::Node::Kind::map};
  switch (named.thing) {
    case Thing::compute_environment:
      exists = places->pool(named.name) != nullptr;
      break;
    case Thing::job_queue:
      exists = places->queue(named.name) != nullptr;
      break;
    case Thing::scheduling_policy:
      exists = desk.library.find(kPolicy, named.name) != nullptr;
      break;
    case Thing::job_definition:
      exists =
          !desk.library.list(kDefinition, named.name.substr(0, named.name.find(':')) + ":", {}, 1).empty();
      break;
    case Thing::job: {
      BUOY_TRY(const JobReference reference, parseJobReference(named.name));
      BUOY_TRY(const store::JobRow row, desk.backend.store().job(reference.job));
      BUOY_TRY(const front::Body door, doorOf(row.spec));
      if (const api::Node* const tags = door.root().find("tags")) none = *tags;
      exists = true;
      break;
    }
  }
  if (!exists)
    return fail(ErrorCode::not_found, strCat({wordOf(named.thing), " ", named.name, " does not exist"}));
  return none;
}

Order orderFor(const Named& named, const api::Node& tags) {
  Order made;
  made.change.resources.push_back(tagsOf(named.thing, named.name, api::toJson(tags)));
  made.answer = [](const engine::Reply&) { return std::string("{}"); };
  return made;
}

}  // namespace

Result<std::string> listTags(const Desk& desk, const front::Call& call) {
  BUOY_TRY(const Named named, parseArn(call.resource));
  BUOY_TRY(const api::Node tags, tagsNow(desk, named));
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("tags").raw(api::toJson(tags)).endObject();
  return json;
}

Result<Order> tagResource(const Desk& desk, const front::Call& call) {
  BUOY_TRY(const Named named, parseArn(call.resource));
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  const api::Node* const wanted = fields.map("tags");
  BUOY_TRY_VOID(body.check());
  if (wanted == nullptr) return fail(ErrorCode::invalid_argument, "tags is required");
  BUOY_TRY(api::Node tags, tagsNow(desk, named));
  for (const api::Node& tag : wanted->items) {
    std::erase_if(tags.items, [&](const api::Node& item) { return item.key == tag.key; });
    tags.items.push_back(tag);
  }
  BUOY_TRY_VOID(checkTags(&tags));
  return orderFor(named, tags);
}

Result<Order> untagResource(const Desk& desk, const front::Call& call) {
  BUOY_TRY(const Named named, parseArn(call.resource));
  BUOY_TRY(api::Node tags, tagsNow(desk, named));
  for (const auto& [name, value] : call.query) {
    if (name == "tagKeys")
      std::erase_if(tags.items, [&](const api::Node& item) { return item.key == value; });
  }
  return orderFor(named, tags);
}

}  // namespace buoy::gateways::batch
