#include "gateways/spotty/instance_1_1.h"

#include <array>

#include "gateways/spotty/container_section.h"

namespace buoy::gateways::spotty {
namespace {

// What 1.1's commands call the machine, having no name for it.
constexpr const char* kOnlyInstance = "instance";

std::string nameIn(const api::Node& volume, std::size_t index) {
  const api::Node* const name = volume.find("name");
  const std::string* const text = name == nullptr ? nullptr : api::scalarText(*name);
  return text != nullptr && isWord(*text) ? *text : "volume-" + std::to_string(index + 1);
}

}  // namespace

void readInstance11(Section& root, const std::string& remote_dir, Project& project) {
  const api::Node* const node = root.map("instance");
  if (node == nullptr) return;
  Section section(root.problems(), *node, "instance");
  Instance instance;
  instance.name = kOnlyInstance;
  instance.path = "instance";
  instance.mark = node->mark;
  instance.parameters = *node;
  std::vector<int> ports;
  section.ports("ports", ports);
  Parameters parameters;
  Container container = readDocker(section, remote_dir, ports, parameters);
  // 1.1 mounts every volume of the machine at the same path in the container.
  const api::Node* const volumes = section.list("volumes");
  for (std::size_t i = 0; volumes != nullptr && i < volumes->items.size(); ++i) {
    const api::Node* const directory = volumes->items[i].find("directory");
    if (directory != nullptr && directory->kind == api::Node::Kind::string)
      container.mounts.push_back({nameIn(volumes->items[i], i), directory->text});
  }
  project.containers.push_back(std::move(container));
  project.instances.push_back(std::move(instance));
}

}  // namespace buoy::gateways::spotty
