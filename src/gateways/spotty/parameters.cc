#include <algorithm>

#include "gateways/spotty/container_section.h"
#include "gateways/spotty/names.h"
#include "gateways/spotty/section.h"

// What an instance's parameters may be, provider by provider.
namespace buoy::gateways::spotty {
namespace {

constexpr std::size_t kMostEbsVolumes = 11;
constexpr int kPriceDecimals = 6;

bool isRegion(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool isGiven(std::string_view text) {
  return !text.empty();
}

bool isEbsType(std::string_view type) {
  return type == "gp2" || type == "gp3" || type == "sc1" || type == "st1" || type == "standard";
}

bool isRemotePath(std::string_view path) {
  return path.starts_with('/') || path.starts_with('~');
}

// What reading one instance works with.
struct Reading {
  const Project& project;
  const Instance& instance;
  api::Problems& problems;
  Section& section;
  Parameters& parameters;
  bool before13() const { return project.format != Format::v1_3; }
};

std::optional<cloud::Deletion> deletionNamed(std::string_view word) {
  using enum cloud::Deletion;
  for (const auto& [camel, snake, value] :
       {std::tuple{"Retain", "retain", retain}, std::tuple{"Delete", "delete", remove},
        std::tuple{"CreateSnapshot", "create_snapshot", create_snapshot},
        std::tuple{"UpdateSnapshot", "update_snapshot", update_snapshot}}) {
    if (word == camel || word == snake) return value;
  }
  return std::nullopt;
}

void readDeletion(const Reading& reading, Section& section, Volume& volume) {
  volume.deletion = reading.before13() ? cloud::Deletion::create_snapshot : cloud::Deletion::retain;
  std::string word;
  if (!section.text("deletionPolicy", word)) return;
  if (const auto deletion = deletionNamed(word)) {
    volume.deletion = *deletion;
  } else {
    section.wrong("deletionPolicy",
                  "must be one of Retain, CreateSnapshot, UpdateSnapshot, Delete; not " + inQuotes(word));
  }
}

// Keys of an EBS volume, or of a disk of Google's.
void readDisk(const Reading& reading, Section& section, Volume& volume) {
  const bool ebs = reading.instance.provider == ProviderKind::aws;
  volume.disk = ebsName(reading.project.name, reading.instance.name, volume.name);
  section.text(ebs ? "volumeName" : "diskName", volume.disk, isGiven, "must not be empty");
  volume.mount_dir = "/mnt/" + volume.disk;
  const char* const key =
      reading.before13() && section.find("directory") != nullptr ? "directory" : "mountDir";
  volume.mount_dir_given = section.absolutePath(key, volume.mount_dir);
  section.positive("size", volume.size_gib);
  if (ebs) section.text("type", volume.type, isEbsType, "must be one of gp2, gp3, sc1, st1, standard");
  readDeletion(reading, section, volume);
}

void readHostPath(const Reading& reading, Section& section, Volume& volume) {
  if (reading.instance.provider == ProviderKind::remote) {
    section.text("path", volume.path, isRemotePath,
                 "must be an absolute path of the remote machine, or one that begins with ~");
  } else {
    section.text("path", volume.path, isGiven, "must not be empty");
  }
  section.require("path");
}

std::string_view volumeTypeOf(ProviderKind provider) {
  switch (provider) {
    case ProviderKind::aws:
      return "EBS";
    case ProviderKind::gcp:
      return "Disk";
    case ProviderKind::local:
    case ProviderKind::remote:
      return "HostPath";
  }
  return "";
}

bool hasDisks(const Reading& reading) {
  return reading.instance.provider == ProviderKind::aws || reading.instance.provider == ProviderKind::gcp;
}

// 1.1 has name, directory, size and deletionPolicy side by side; later formats keep all but the name in
// `parameters`.
void readVolume(const Reading& reading, const api::Node& node, const std::string& path, std::size_t index) {
  Section item(reading.problems, node, path);
  Volume volume;
  const bool flat = reading.project.format == Format::v1_1;
  item.text("name", volume.name, isWord, "must be letters, digits, - and _");
  if (flat) {
    const bool named = !volume.name.empty();
    if (!named) volume.name = "volume-" + std::to_string(index + 1);
    const std::string own = volume.name;
    item.require("directory");
    readDisk(reading, item, volume);
    volume.disk = named ? own : ebsName(reading.project.name, reading.instance.name, own);
    if (!named && volume.deletion != cloud::Deletion::remove)
      item.wrong("name", "is required unless deletionPolicy is delete");
    item.refuseUnknown();
    reading.parameters.volumes.push_back(std::move(volume));
    return;
  }
  item.require("name");
  if (reading.project.format == Format::v1_3 || item.find("type") != nullptr) {
    std::string type(volumeTypeOf(reading.instance.provider));
    if (item.text("type", type) && !sameWord(type, volumeTypeOf(reading.instance.provider)))
      item.wrong("type", strCat({"must be ", volumeTypeOf(reading.instance.provider), " on provider ",
                                 toString(reading.instance.provider), ", not ", inQuotes(type)}));
  }
  static const api::Node kNoParameters = [] {
    api::Node none;
    none.kind = api::Node::Kind::map;
    return none;
  }();
  const api::Node* const given = item.map("parameters");
  if (given != nullptr && given->items.empty()) item.wrong("parameters", "is empty: leave the key out");
  Section section(reading.problems, given == nullptr ? kNoParameters : *given, path + ".parameters");
  if (hasDisks(reading)) {
    readDisk(reading, section, volume);
  } else {
    readHostPath(reading, section, volume);
  }
  section.refuseUnknown();
  item.refuseUnknown();
  for (const Volume& other : reading.parameters.volumes) {
    if (other.name == volume.name && !volume.name.empty())
      item.wrong("name", "there is a volume " + inQuotes(volume.name) + " already");
  }
  reading.parameters.volumes.push_back(std::move(volume));
}

void readVolumes(const Reading& reading) {
  const api::Node* const list = reading.section.list("volumes");
  if (list == nullptr) return;
  std::vector<PlacedPath> paths;
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const std::string path = strCat({reading.section.pathOf("volumes"), "[", std::to_string(i), "]"});
    readVolume(reading, list->items[i], path, i);
    const Volume& volume = reading.parameters.volumes.back();
    if (hasDisks(reading)) paths.push_back({list->items[i].mark, path + ".mountDir", volume.mount_dir});
  }
  if (reading.instance.provider == ProviderKind::aws && list->items.size() > kMostEbsVolumes)
    reading.section.wrong("volumes", strCat({"has ", std::to_string(list->items.size()),
                                             " volumes: an instance takes at most 11"}));
  refuseNestedPaths(reading.problems, paths);
}

// So that images are kept with the volume.
void checkDataRoot(const Reading& reading, const char* key) {
  const std::string& root = reading.parameters.docker_data_root;
  if (root.empty() || !hasDisks(reading)) return;
  const auto& volumes = reading.parameters.volumes;
  const bool kept = std::any_of(volumes.begin(), volumes.end(), [&](const Volume& volume) {
    return volume.mount_dir_given && (root + "/").starts_with(volume.mount_dir + "/");
  });
  if (!kept)
    reading.section.wrong(key,
                          strCat({"must be below the mountDir that a volume gives, not ", inQuotes(root)}));
}

void readPrice(const Reading& reading) {
  const api::Node* const node = reading.section.find("maxPrice");
  if (node == nullptr) return;
  const auto price = api::parseDecimal(node->text, kPriceDecimals);
  const std::size_t point = node->text.find('.');
  const bool fine = point == std::string::npos || node->text.size() - point - 1 <= kPriceDecimals;
  if (node->kind != api::Node::Kind::number || !price || *price < 0 || !fine ||
      (*price == 0 && !reading.before13())) {
    reading.section.wrong("maxPrice",
                          "must be USD an hour above 0 with at most 6 decimals, not " + api::describe(*node));
  } else if (*price > 0) {
    reading.parameters.max_price = node->text;
    if (!reading.parameters.spot) reading.section.wrong("maxPrice", "is for spot instances only");
  }
}

void readAws(const Reading& reading) {
  Section& section = reading.section;
  Parameters& parameters = reading.parameters;
  section.text("region", parameters.region, isRegion, "must be a region such as eu-west-1");
  section.require("region");
  section.text("instanceType", parameters.instance_type, isGiven, "must be a type such as p3.2xlarge");
  section.require("instanceType");
  section.text("availabilityZone", parameters.zone);
  section.text("subnetId", parameters.subnet);
  if (reading.before13()) {
    bool on_demand = false;
    section.flag("onDemandInstance", on_demand);
    parameters.spot = !on_demand;
  } else {
    section.flag("spotInstance", parameters.spot);
  }
  readPrice(reading);
  section.text("amiName", parameters.ami_name, isGiven, "must name an image");
  section.text("amiId", parameters.ami_id, isGiven, "must be the id of an image");
  if (!parameters.ami_name.empty() && !parameters.ami_id.empty())
    section.wrong("amiId", "either amiName or amiId is given, not both");
  section.positive("rootVolumeSize", parameters.root_volume_gib);
  section.ports("ports", parameters.ports);
  section.texts("managedPolicyArns", parameters.managed_policy_arns);
  section.text("instanceProfileArn", parameters.instance_profile_arn);
  readVolumes(reading);
  // The zone may be an existing volume's, which only AWS knows.
  if (!parameters.subnet.empty() && parameters.zone.empty() && parameters.volumes.empty())
    section.wrong("subnetId", "needs the availabilityZone that it is in");
}

void readGcp(const Reading& reading) {
  Section& section = reading.section;
  std::string text;
  bool flag = false;
  std::uint64_t size = 0;
  for (const char* const key : {"zone", "machineType"}) {
    section.text(key, text, isGiven, "must not be empty");
    section.require(key);
  }
  section.flag(reading.before13() ? "onDemandInstance" : "preemptibleInstance", flag);
  section.text("imageName", text);
  section.text("imageUri", text);
  if (section.find("imageName") != nullptr && section.find("imageUri") != nullptr)
    section.wrong("imageUri", "either imageName or imageUri is given, not both");
  section.positive("bootDiskSize", size);
  section.ports("ports", reading.parameters.ports);
  section.texts("managedPolicyArns", reading.parameters.managed_policy_arns);
  if (const api::Node* const node = section.map("gpu")) {
    Section gpu(reading.problems, *node, section.pathOf("gpu"));
    gpu.text("type", text, isGiven, "must not be empty");
    gpu.require("type");
    gpu.positive("count", size);
    gpu.refuseUnknown();
  }
  readVolumes(reading);
}

void readRemote(const Reading& reading) {
  Section& section = reading.section;
  Parameters& parameters = reading.parameters;
  section.text("user", parameters.user, isGiven, "must not be empty");
  section.text("host", parameters.host, isGiven, "must not be empty");
  section.text("keyPath", parameters.key_path, isGiven, "must not be empty");
  for (const char* const key : {"user", "host", "keyPath"}) section.require(key);
  section.port("port", parameters.port);
  // They are words of ssh's command line.
  for (const auto& [key, value] :
       {std::pair{"user", &parameters.user}, std::pair{"host", &parameters.host}}) {
    if (value->starts_with('-')) section.wrong(key, "must not begin with -");
  }
  readVolumes(reading);
}

void readProvider(const Reading& reading) {
  switch (reading.instance.provider) {
    case ProviderKind::aws:
      return readAws(reading);
    case ProviderKind::gcp:
      return readGcp(reading);
    case ProviderKind::local:
      return readVolumes(reading);
    case ProviderKind::remote:
      return readRemote(reading);
  }
}

void readCommon(const Reading& reading) {
  Section& section = reading.section;
  Parameters& parameters = reading.parameters;
  if (reading.project.format == Format::v1_1) {
    readDocker(section, "/", {}, parameters);  // its other keys were judged with the project
  } else {
    section.text("containerName", parameters.container_name, isWord, "must be letters, digits, - and _");
    if (reading.project.container(parameters.container_name) == nullptr)
      section.wrong("containerName",
                    "there is no container " + inQuotes(parameters.container_name) + " in this file");
    section.absolutePath("dockerDataRoot", parameters.docker_data_root);
    // As 1.2 began.
    const api::Node* const docker = reading.before13() ? section.map("docker") : nullptr;
    if (docker != nullptr) {
      Section inner(reading.problems, *docker, section.pathOf("docker"));
      inner.absolutePath("dataRoot", parameters.docker_data_root);
      inner.refuseUnknown();
    }
  }
  if (hasDisks(reading)) {
    section.port("localSshPort", parameters.local_ssh_port);
    section.text("commands", parameters.commands);
  }
}

}  // namespace

api::Parsed<Parameters> readParameters(const Project& project, const Instance& instance,
                                       const SourceText& main, const SourceText& override_text) {
  api::Problems problems(main.file);
  api::Node node = instance.parameters;
  if (node.kind == api::Node::Kind::null) {
    node.kind = api::Node::Kind::map;
    node.mark = instance.mark;
  }
  Section section(problems, node,
                  project.format == Format::v1_1 ? instance.path : instance.path + ".parameters");
  Parameters parameters;
  const Reading reading{project, instance, problems, section, parameters};
  readCommon(reading);
  readProvider(reading);
  checkDataRoot(reading, project.format == Format::v1_1 ? "docker" : "dockerDataRoot");
  section.refuseUnknown();
  if (problems.empty() && instance.provider == ProviderKind::gcp)
    problems.add(instance.mark, instance.path + ".provider",
                 "Buoy has no provider for Google Cloud: choose an instance on aws, remote or local");
  if (!problems.empty()) return tl::unexpected(inTheirFiles(problems.take(), override_text.file));
  return parameters;
}

}  // namespace buoy::gateways::spotty
