#include "cloud/storage.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/strings.h"

namespace buoy::cloud {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
constexpr std::uint64_t kMostGib = 65'536;
constexpr std::size_t kMostVolumes = 11;  // /dev/sdf to /dev/sdp
constexpr std::size_t kMostFileSystems = 8;
constexpr std::array kTypes = {"gp3", "gp2", "io1", "io2", "st1", "sc1", "standard"};

bool isName(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= 100 && text.front() != '-' && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), fits);
}

bool isMountPath(std::string_view path) {
  if (!path.starts_with('/') || path.size() < 2 || path.size() > 1000) return false;
  const auto plain = [](char c) { return c > ' ' && c != '\\' && c != 0x7f; };
  if (!std::all_of(path.begin(), path.end(), plain)) return false;
  for (const std::string_view part : split(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

bool isAtOrBelow(std::string_view path, std::string_view other) {
  return path == other || (path.starts_with(other) && path[other.size()] == '/');
}

class Checker {
 public:
  std::vector<StorageProblem> run(const Storage& storage) {
    if (storage.volumes.size() > kMostVolumes)
      add("volumes", strCat({"a machine takes ", std::to_string(kMostVolumes), " volumes at most"}));
    if (storage.file_systems.size() > kMostFileSystems)
      add("file_systems", strCat({"at most ", std::to_string(kMostFileSystems), " are allowed"}));
    std::size_t at = 0;
    for (const VolumeSpec& each : storage.volumes)
      volume(strCat({"volumes[", std::to_string(at++), "]"}), each);
    at = 0;
    for (const FileSystemSpec& each : storage.file_systems) {
      const std::string field = strCat({"file_systems[", std::to_string(at++), "]"});
      place(field, "fs/" + each.name, each.name, each.mount);
      if (each.deletion != Deletion::retain && each.deletion != Deletion::remove)
        add(field + ".deletion", "must be retain or delete: a shared file system has no snapshots");
    }
    return std::move(problems_);
  }

 private:
  void add(std::string field, std::string message) {
    problems_.push_back({std::move(field), std::move(message)});
  }

  void place(const std::string& field, const std::string& key, const std::string& name,
             const std::string& mount) {
    if (!isName(name)) {
      add(field + ".name",
          strCat({"must be 1 to 100 letters, digits, '.', '_' or '-', beginning with a letter, a "
                  "digit or '_', not ",
                  inQuotes(name)}));
      return;
    }
    if (!names_.insert(key).second) add(field + ".name", inQuotes(name) + " stands twice");
    const std::string path = mount.empty() ? "/mnt/" + name : mount;
    if (!isMountPath(path)) {
      add(field + ".mount",
          "must be an absolute path without spaces, '.' and '..', and not '/' itself, not " + inQuotes(path));
      return;
    }
    for (const std::string& other : paths_) {
      if (isAtOrBelow(path, other) || isAtOrBelow(other, path))
        add(field + ".mount", strCat({inQuotes(path), " and ", inQuotes(other), " would hide one another"}));
    }
    paths_.push_back(path);
  }

  void volume(const std::string& field, const VolumeSpec& spec) {
    place(field, "volume/" + spec.name, spec.name, spec.mount);
    if (spec.size.value % kGib != 0 || spec.size.value / kGib > kMostGib)
      add(field + ".size", "must be whole GiB, up to 64 TiB, such as 100GiB");
    if (std::find(kTypes.begin(), kTypes.end(), spec.type) == kTypes.end())
      add(field + ".type",
          strCat({"must be one of gp3, gp2, io1, io2, st1, sc1 and standard, not ", inQuotes(spec.type)}));
    const bool provisioned = spec.type == "io1" || spec.type == "io2";
    if (spec.iops < 0 || spec.iops > 256'000)
      add(field + ".iops", "must be from 0 to 256000");
    else if (spec.iops > 0 && !provisioned && spec.type != "gp3")
      add(field + ".iops", strCat({"volumes of type ", spec.type, " take none: gp3, io1 and io2 do"}));
    else if (spec.iops == 0 && provisioned)
      add(field + ".iops", strCat({"is required for volumes of type ", spec.type}));
    if (spec.throughput < 0 || spec.throughput > 2'000)
      add(field + ".throughput", "must be from 0 to 2000 (MiB a second)");
    else if (spec.throughput > 0 && spec.type != "gp3")
      add(field + ".throughput", strCat({"volumes of type ", spec.type, " take none: gp3 does"}));
    if (!spec.snapshot.empty() && !isName(spec.snapshot))
      add(field + ".snapshot", "must be a snapshot's id or name, not " + inQuotes(spec.snapshot));
  }

  std::vector<StorageProblem> problems_;
  std::set<std::string> names_;
  std::vector<std::string> paths_;
};

std::string textAt(const Json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : std::string();
}

}  // namespace

std::string_view toString(Deletion value) {
  switch (value) {
    case Deletion::retain:
      return "retain";
    case Deletion::remove:
      return "delete";
    case Deletion::create_snapshot:
      return "create_snapshot";
    case Deletion::update_snapshot:
      return "update_snapshot";
  }
  return "retain";
}

std::string_view toString(VolumeFormat value) {
  switch (value) {
    case VolumeFormat::ext4:
      return "ext4";
    case VolumeFormat::xfs:
      return "xfs";
  }
  return "ext4";
}

bool isFileSystemId(std::string_view name) {
  constexpr std::string_view kPrefix = "fs-", kHex = "0123456789abcdef";
  return name.starts_with(kPrefix) && name.size() > kPrefix.size() &&
         name.find_first_not_of(kHex, kPrefix.size()) == std::string_view::npos;
}

Storage storageOf(const Storage& storage, std::int32_t machines, std::int32_t rank) {
  Storage own = storage;
  for (VolumeSpec& each : own.volumes) {
    if (each.mount.empty()) each.mount = "/mnt/" + each.name;
    if (machines > 1) each.name += "-" + std::to_string(rank);
  }
  for (FileSystemSpec& each : own.file_systems) {
    if (each.mount.empty()) each.mount = "/mnt/" + each.name;
  }
  return own;
}

std::vector<StorageProblem> checkStorage(const Storage& storage) {
  return Checker().run(storage);
}

std::string toJson(const MountOrder& order) {
  Json mounts = Json::array();
  for (const Mount& each : order.mounts) {
    mounts.push_back({{"name", each.name},
                      {"path", each.path},
                      {"volume", each.volume},
                      {"device", each.device},
                      {"format", toString(each.format)},
                      {"server", each.server}});
  }
  return Json{{"epoch", order.epoch},      {"mounts", std::move(mounts)},  {"told", order.told},
              {"error", order.error},      {"elsewhere", order.elsewhere}, {"waiting", order.waiting},
              {"progress", order.progress}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<MountOrder> parseMountOrder(std::string_view json) {
  const auto bad = [] { return fail(ErrorCode::invalid_argument, "what is to be mounted cannot be read"); };
  const Json parsed = Json::parse(json, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("epoch") || !parsed["epoch"].is_number_unsigned()) return bad();
  MountOrder order;
  order.epoch = parsed["epoch"].get<Epoch>();
  order.error = textAt(parsed, "error");
  order.waiting = textAt(parsed, "waiting");
  if (parsed.contains("progress") && parsed["progress"].is_number_unsigned())
    order.progress = parsed["progress"].get<std::uint64_t>();
  order.elsewhere = parsed.contains("elsewhere") && parsed["elsewhere"] == true;
  if (parsed.contains("told") && parsed["told"].is_array()) {
    for (const Json& each : parsed["told"]) {
      if (!each.is_string()) return bad();
      order.told.push_back(each.get<std::string>());
    }
  }
  if (!parsed.contains("mounts") || !parsed["mounts"].is_array()) return bad();
  for (const Json& each : parsed["mounts"]) {
    if (!each.is_object()) return bad();
    Mount mount{textAt(each, "name"),
                textAt(each, "path"),
                textAt(each, "volume"),
                textAt(each, "device"),
                textAt(each, "format") == "xfs" ? VolumeFormat::xfs : VolumeFormat::ext4,
                textAt(each, "server")};
    if (!isMountPath(mount.path) || mount.volume.empty() == mount.server.empty()) return bad();
    order.mounts.push_back(std::move(mount));
  }
  return order;
}

std::string mountKey(std::string_view job_prefix, MachineId machine) {
  return strCat({job_prefix, "/storage/", machine.toString(), ".json"});
}

}  // namespace buoy::cloud
