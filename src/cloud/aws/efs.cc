#include "cloud/aws/efs.h"

#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

using Json = nlohmann::json;
using Kind = SharedStep::Kind;

constexpr const char* kVersion = "/2015-02-01";
constexpr int kMostEfsPages = 1000;

std::string textAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// The entries of the list `key`; internal: there is none.
Result<Json> listIn(std::string_view body, const char* key, std::string* next) {
  Json parsed = Json::parse(body, nullptr, false);
  if (!parsed.is_object() || !parsed.contains(key) || !parsed[key].is_array())
    return fail(ErrorCode::internal, strCat({"AWS's answer has no ", key}));
  if (next != nullptr) *next = textAt(parsed, "NextMarker");
  return std::move(parsed[key]);
}

Json jsonOf(const std::vector<Tag>& tags) {
  Json list = Json::array();
  for (const Tag& each : tags) list.push_back({{"Key", each.key}, {"Value", each.value}});
  return list;
}

bool isThere(std::string_view state) {
  return state != "deleting" && state != "deleted";
}

}  // namespace

std::string_view SharedFileSystem::tag(std::string_view key) const {
  for (const Tag& each : tags) {
    if (each.key == key) return each.value;
  }
  return {};
}

Result<SharedFileSystemPage> parseFileSystems(std::string_view body) {
  SharedFileSystemPage page;
  BUOY_TRY(const Json list, listIn(body, "FileSystems", &page.next));
  for (const Json& each : list) {
    if (!each.is_object()) continue;
    SharedFileSystem system{textAt(each, "FileSystemId"), textAt(each, "LifeCycleState"), {}};
    if (each.contains("Tags") && each["Tags"].is_array()) {
      for (const Json& tag : each["Tags"]) {
        if (tag.is_object()) system.tags.push_back({textAt(tag, "Key"), textAt(tag, "Value")});
      }
    }
    if (!system.id.empty()) page.systems.push_back(std::move(system));
  }
  return page;
}

Result<std::vector<MountTarget>> parseMountTargets(std::string_view body) {
  BUOY_TRY(const Json list, listIn(body, "MountTargets", nullptr));
  std::vector<MountTarget> targets;
  for (const Json& each : list) {
    if (!each.is_object()) continue;
    targets.push_back({textAt(each, "MountTargetId"), textAt(each, "AvailabilityZoneName"),
                       textAt(each, "SubnetId"), textAt(each, "IpAddress"), textAt(each, "LifeCycleState")});
    if (targets.back().id.empty()) targets.pop_back();
  }
  return targets;
}

Answer<std::string> Efs::ask(const std::string& action, const std::string& method, const std::string& path,
                             buoy::aws::NameValues query, const std::string& body,
                             const std::stop_token& stop) {
  return caller_.call(restCall("efs", action, method, kVersion + path, std::move(query), body), stop);
}

Answer<void> Efs::done(Answer<std::string> answer, RefusalKind as_good) {
  if (!answer && answer.error().kind != as_good) return tl::unexpected(std::move(answer.error()));
  return {};
}

Answer<std::vector<SharedFileSystem>> Efs::all(const std::stop_token& stop) {
  std::vector<SharedFileSystem> all;
  std::string marker;
  for (int page = 0; page < kMostEfsPages; ++page) {
    buoy::aws::NameValues query{{"MaxItems", "100"}};
    if (!marker.empty()) query.emplace_back("Marker", marker);
    BUOY_ASK(const std::string body,
             ask("DescribeFileSystems", "GET", "/file-systems", std::move(query), "", stop));
    BUOY_ASK(SharedFileSystemPage answer, parsed("DescribeFileSystems", parseFileSystems(body)));
    for (SharedFileSystem& each : answer.systems) {
      if (isThere(each.state)) all.push_back(std::move(each));
    }
    if (answer.next.empty()) return all;
    marker = std::move(answer.next);
  }
  return tl::unexpected(
      refusalOf("DescribeFileSystems", Error{ErrorCode::internal, "its pages do not come to an end", false}));
}

Answer<void> Efs::create(const std::string& token, const std::vector<Tag>& tags,
                         const std::stop_token& stop) {
  const Json body{{"CreationToken", token},
                  {"PerformanceMode", "generalPurpose"},
                  {"ThroughputMode", "elastic"},
                  {"Encrypted", true},
                  {"Tags", jsonOf(tags)}};
  return done(ask("CreateFileSystem", "POST", "/file-systems", {}, body.dump(), stop), RefusalKind::exists);
}

Answer<void> Efs::remove(const std::string& id, const std::stop_token& stop) {
  return done(ask("DeleteFileSystem", "DELETE", "/file-systems/" + id, {}, "", stop), RefusalKind::not_found);
}

Answer<void> Efs::tag(const std::string& id, const std::vector<Tag>& tags, const std::stop_token& stop) {
  return done(
      ask("TagResource", "POST", "/resource-tags/" + id, {}, Json{{"Tags", jsonOf(tags)}}.dump(), stop),
      RefusalKind::exists);
}

Answer<std::vector<MountTarget>> Efs::targets(const std::string& id, const std::stop_token& stop) {
  BUOY_ASK(const std::string body,
           ask("DescribeMountTargets", "GET", "/mount-targets", {{"FileSystemId", id}}, "", stop));
  BUOY_ASK(std::vector<MountTarget> targets, parsed("DescribeMountTargets", parseMountTargets(body)));
  std::erase_if(targets, [](const MountTarget& each) { return !isThere(each.state); });
  return targets;
}

Answer<void> Efs::createTarget(const std::string& id, const std::string& subnet,
                               const std::vector<std::string>& security_groups, const std::stop_token& stop) {
  const Json body{{"FileSystemId", id}, {"SubnetId", subnet}, {"SecurityGroups", security_groups}};
  return done(ask("CreateMountTarget", "POST", "/mount-targets", {}, body.dump(), stop), RefusalKind::exists);
}

Answer<void> Efs::removeTarget(const std::string& id, const std::stop_token& stop) {
  return done(ask("DeleteMountTarget", "DELETE", "/mount-targets/" + id, {}, "", stop),
              RefusalKind::not_found);
}

// ---- the plan

const SharedFileSystem* findByName(const std::vector<SharedFileSystem>& systems, std::string_view name) {
  const bool is_id = isFileSystemId(name);
  for (const SharedFileSystem& each : systems) {
    if ((is_id ? std::string_view(each.id) : each.tag("Name")) == name) return &each;
  }
  return nullptr;
}

std::vector<Tag> sharedTags(const SharedWish& wish) {
  std::vector<Tag> tags{{"Name", wish.spec.name}, {kClusterTag, wish.cluster}};
  if (wish.spec.deletion == Deletion::remove) {
    tags.push_back({kJobTag, wish.job.toString()});
    tags.push_back({kDeletionTag, std::string(toString(Deletion::remove))});
  }
  return tags;
}

SharedStep nextStep(const SharedWish& wish, const std::vector<SharedFileSystem>& systems,
                    const std::vector<MountTarget>& targets) {
  SharedStep next;
  const SharedFileSystem* found = findByName(systems, wish.spec.name);
  if (found == nullptr && isFileSystemId(wish.spec.name)) {
    next.kind = Kind::fail;
    next.why = "there is none of that id in the region";
    return next;
  }
  if (found == nullptr) {
    next.kind = Kind::create;
    return next;
  }
  next.id = found->id;
  if (found->state == "error") {
    next.kind = Kind::fail;
    next.why = found->id + " is in state error by EFS's account";
    return next;
  }
  if (found->state == "creating") {
    next.why = found->id + " is being made";
    return next;
  }
  if (wish.spec.deletion == Deletion::remove) {
    for (const Tag& tag : sharedTags(wish)) {
      if (found->tag(tag.key) != tag.value) next.kind = Kind::mark;
    }
    if (next.kind == Kind::mark) return next;
  }
  for (const MountTarget& each : targets) {
    if (each.zone != wish.zone) continue;
    if (each.state == "available" && !each.address.empty()) {
      next.kind = Kind::ready;
      next.server = each.address + ":/";
    } else {
      next.why = strCat({found->id, " is not served in ", wish.zone, " yet"});
    }
    return next;
  }
  next.kind = Kind::create_target;
  return next;
}

}  // namespace buoy::cloud::aws
