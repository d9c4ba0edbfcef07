#include "gateways/spotty/container_section.h"

#include <algorithm>

namespace buoy::gateways::spotty {
namespace {

constexpr std::string_view kDockerfileRule =
    "must be the path of a Dockerfile below the project (letters, digits and _ . / @ -, no / at the end)";

bool isDockerfilePath(std::string_view path) {
  const auto allowed = [](char c) { return isWord({&c, 1}) || c == '.' || c == '/' || c == '@'; };
  return !path.empty() && !path.ends_with('/') && !path.starts_with('/') &&
         std::all_of(path.begin(), path.end(), allowed);
}

bool isNotEmpty(std::string_view text) {
  return !text.empty();
}

void readImage(Section& section, Container& container) {
  const bool image = section.find("image") != nullptr, file = section.find("file") != nullptr;
  section.text("image", container.image, isNotEmpty, "must name an image");
  section.text("file", container.file, isDockerfilePath, kDockerfileRule);
  if (image && file) section.wrong("file", "either image or file is given, not both");
  if (!image && !file) section.wrong("image", "is required, or file: a Dockerfile to build the image from");
}

void readMounts(Section& section, Container& container, Format format) {
  const char* key = "volumeMounts";
  // 1.2 had these names at first.
  if (format == Format::v1_2 && section.find(key) == nullptr && section.find("volumes") != nullptr)
    key = "volumes";
  const api::Node* const list = section.list(key);
  if (list == nullptr) return;
  std::vector<PlacedPath> paths;
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    Section item(section.problems(), list->items[i],
                 strCat({section.pathOf(key), "[", std::to_string(i), "]"}));
    VolumeMount mount;
    item.text("name", mount.name, isWord, "must be letters, digits, - and _");
    item.require("name");
    const char* const path_key =
        format == Format::v1_2 && item.find("path") != nullptr ? "path" : "mountPath";
    if (item.absolutePath(path_key, mount.path))
      paths.push_back({item.find(path_key)->mark, item.pathOf(path_key), mount.path});
    item.require(path_key);
    item.refuseUnknown();
    const bool twice = std::any_of(container.mounts.begin(), container.mounts.end(),
                                   [&](const VolumeMount& other) { return other.name == mount.name; });
    if (twice) item.wrong("name", "the volume " + inQuotes(mount.name) + " is mounted already");
    container.mounts.push_back(std::move(mount));
  }
  refuseNestedPaths(section.problems(), paths);
}

void readPorts(Section& section, Container& container, Format format) {
  if (format != Format::v1_3) {
    std::vector<int> ports;
    section.ports("ports", ports);
    for (const int port : ports) container.ports.push_back({port, port});
    return;
  }
  section.flag("hostNetwork", container.host_network);
  const api::Node* const list = section.list("ports");
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    Section item(section.problems(), list->items[i],
                 strCat({section.pathOf("ports"), "[", std::to_string(i), "]"}));
    Port port;
    item.port("containerPort", port.container);
    item.require("containerPort");
    item.port("hostPort", port.host);
    item.refuseUnknown();
    for (const Port& other : container.ports) {
      if (other.container == port.container && port.container != 0)
        item.wrong("containerPort", "is in the list already");
      else if (other.host == port.host && port.host != 0)
        item.wrong("hostPort", "is in the list already");
    }
    container.ports.push_back(port);
  }
  if (container.host_network && !container.ports.empty())
    section.wrong("ports", "cannot be given with hostNetwork: all ports of the container are the machine's");
}

void readEnv(Section& section, Container& container) {
  const api::Node* const map = section.map("env");
  if (map == nullptr) return;
  if (map->items.empty()) section.wrong("env", "is empty: name a variable or leave the key out");
  Section env(section.problems(), *map, section.pathOf("env"));
  for (const api::Node& item : map->items) {
    std::string value;
    if (env.text(item.key, value)) container.env[item.key] = std::move(value);
  }
}

}  // namespace

Container readContainer(api::Problems& problems, const api::Node& node, const std::string& path,
                        Format format) {
  Section section(problems, node, path);
  Container container;
  // 1.2 knew nothing else.
  container.host_network = format != Format::v1_3;
  if (format == Format::v1_3) {
    section.text("name", container.name, isWord, "must be letters, digits, - and _");
    section.flag("runAsHostUser", container.run_as_host_user);
  }
  section.absolutePath("projectDir", container.project_dir);
  section.require("projectDir");
  readImage(section, container);
  readMounts(section, container, format);
  container.working_dir = container.project_dir;
  section.absolutePath("workingDir", container.working_dir);
  readEnv(section, container);
  readPorts(section, container, format);
  section.text("commands", container.commands);
  section.texts("runtimeParameters", container.runtime_parameters);
  section.refuseUnknown();
  return container;
}

Container readDocker(Section& instance, const std::string& project_dir, const std::vector<int>& ports,
                     Parameters& parameters) {
  Container container;
  container.project_dir = container.working_dir = project_dir;
  container.host_network = true;
  for (const int port : ports) container.ports.push_back({port, port});
  instance.require("docker");
  const api::Node* const node = instance.map("docker");
  if (node == nullptr) return container;
  Section docker(instance.problems(), *node, instance.pathOf("docker"));
  readImage(docker, container);
  docker.absolutePath("workingDir", container.working_dir);
  docker.absolutePath("dataRoot", parameters.docker_data_root);
  docker.text("commands", container.commands);
  docker.texts("runtimeParameters", container.runtime_parameters);
  docker.refuseUnknown();
  return container;
}

}  // namespace buoy::gateways::spotty
