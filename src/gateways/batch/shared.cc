#include <chrono>

#include "base/strings.h"
#include "gateways/batch/operations.h"

namespace buoy::gateways::batch {
namespace {

constexpr std::size_t kMostTags = 50;
constexpr std::size_t kLongestTagKey = 128;
constexpr std::size_t kLongestTagValue = 256;
constexpr int kMostPriority = 9'999;

}  // namespace

std::int64_t epochMillis(Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

std::string namesAnswer(std::string_view region, Thing thing, std::string_view name,
                        std::string_view name_key, std::string_view arn_key) {
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().field(name_key, name).field(arn_key, arnOf(region, thing, name)).endObject();
  return json;
}

Status checkTags(const api::Node* tags) {
  if (tags == nullptr) return {};
  const auto bad = [](std::string message) { return fail(ErrorCode::invalid_argument, "tags: " + message); };
  if (tags->kind != api::Node::Kind::map) return bad("must be an object");
  if (tags->items.size() > kMostTags) return bad("at most 50 are allowed");
  for (const api::Node& tag : tags->items) {
    if (tag.key.empty() || tag.key.size() > kLongestTagKey) return bad("a key must have 1 to 128 characters");
    if (tag.kind != api::Node::Kind::string || tag.text.size() > kLongestTagValue)
      return bad("the value of " + inQuotes(tag.key) + " must be a text of at most 256 characters");
  }
  return {};
}

store::Resource tagsOf(Thing thing, const std::string& name, std::string body) {
  return {std::string(kTags), strCat({wordOf(thing), "/", name}), std::move(body)};
}

Status addTags(Change& change, Thing thing, const std::string& name, const api::Node* tags) {
  BUOY_TRY_VOID(checkTags(tags));
  if (tags != nullptr && !tags->items.empty())
    change.resources.push_back(tagsOf(thing, name, api::toJson(*tags)));
  return {};
}

void writeTags(api::JsonWriter& writer, const Desk& desk, Thing thing, const std::string& name) {
  const auto tags = desk.library.find(kTags, strCat({wordOf(thing), "/", name}));
  writer.key("tags");
  tags ? writer.raw(api::toJson(*tags)) : writer.raw("{}");
}

Status readSchedulingPriority(front::Body& body, const api::Node& map, std::string_view key, int& priority) {
  auto fields = body.fields(&map, {});
  if (fields.get(key, priority) && (priority < 0 || priority > kMostPriority))
    fields.wrong(key, "must be from 0 to 9999");
  return body.check();
}

Result<Page> readPage(front::Body& body, std::size_t most) {
  Page page{.most = most, .after = {}};
  auto fields = body.fields();
  fields.get("nextToken", page.after);
  std::int64_t wanted = 0;
  if (fields.get("maxResults", wanted) && wanted > 0 && static_cast<std::size_t>(wanted) < most)
    page.most = static_cast<std::size_t>(wanted);
  BUOY_TRY_VOID(body.check());
  return page;
}

}  // namespace buoy::gateways::batch
