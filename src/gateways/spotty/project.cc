#include "gateways/spotty/project.h"

#include <algorithm>

#include "gateways/spotty/container_section.h"
#include "gateways/spotty/instance_1_1.h"
#include "gateways/spotty/merge.h"
#include "gateways/spotty/section.h"

namespace buoy::gateways::spotty {
namespace {

constexpr std::size_t kLongestProjectName = 28;

bool isProjectName(std::string_view name) {
  const bool letters = isWord(name) && name.find('_') == std::string_view::npos;
  return letters && name.size() >= 2 && name.size() <= kLongestProjectName && !name.starts_with('-') &&
         !name.ends_with('-');
}

void readPatterns(Section& filter, const char* key, SyncFilter& out) {
  filter.texts(key, out.patterns);
  if (out.patterns.empty()) filter.wrong(key, "must be a list of patterns");
  for (const std::string& pattern : out.patterns) {
    if (pattern.find("**") != std::string::npos)
      filter.wrong(key, strCat({inQuotes(pattern), " holds **: a single * goes through directories here"}));
  }
}

void readFilters(Section& project, std::vector<SyncFilter>& out) {
  const api::Node* const list = project.list("syncFilters");
  if (list == nullptr) return;
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    Section item(project.problems(), list->items[i],
                 strCat({project.pathOf("syncFilters"), "[", std::to_string(i), "]"}));
    const bool include = item.find("include") != nullptr, exclude = item.find("exclude") != nullptr;
    SyncFilter filter{.include = include, .patterns = {}};
    item.refuseUnknown();
    if (include == exclude) {
      item.problems().add(item.mark(), item.pathOf("exclude"),
                          "a filter has either exclude or include; the order of the list counts");
      continue;
    }
    readPatterns(item, include ? "include" : "exclude", filter);
    out.push_back(std::move(filter));
  }
}

void readScripts(Section& root, std::map<std::string, std::string>& out) {
  const api::Node* const map = root.map("scripts");
  if (map == nullptr) return;
  if (map->items.empty()) root.wrong("scripts", "is empty: write a script or leave the key out");
  Section scripts(root.problems(), *map, "scripts");
  for (const api::Node& item : map->items) {
    std::string script;
    if (!isWord(item.key)) scripts.wrong(item.key, "the name of a script must be letters, digits, - and _");
    if (!scripts.text(item.key, script)) continue;
    if (script.empty()) scripts.wrong(item.key, "is empty");
    out[item.key] = std::move(script);
  }
}

void readContainers(Section& root, Project& project) {
  root.require("containers");
  const api::Node* const list = root.list("containers");
  if (list == nullptr) return;
  if (list->items.empty()) root.wrong("containers", "must have at least one container");
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const std::string path = strCat({"containers[", std::to_string(i), "]"});
    Container container = readContainer(root.problems(), list->items[i], path, project.format);
    if (project.container(container.name) != nullptr)
      root.problems().add(list->items[i].mark, path + ".name",
                          "there is a container " + inQuotes(container.name) + " already");
    project.containers.push_back(std::move(container));
  }
}

void readInstances(Section& root, Project& project) {
  using enum ProviderKind;
  root.require("instances");
  const api::Node* const list = root.list("instances");
  if (list == nullptr) return;
  if (list->items.empty()) root.wrong("instances", "must have at least one instance");
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const api::Node& node = list->items[i];
    Instance instance;
    instance.path = strCat({"instances[", std::to_string(i), "]"});
    instance.mark = node.mark;
    Section item(root.problems(), node, instance.path);
    item.name("name", instance.name);
    item.require("name");
    item.choice("provider", instance.provider, {aws, gcp, local, remote});
    item.require("provider");
    if (const api::Node* const parameters = item.map("parameters")) {
      if (parameters->items.empty()) item.wrong("parameters", "is empty: leave the key out");
      instance.parameters = *parameters;
    }
    item.refuseUnknown();
    if (!instance.name.empty() && project.instance(instance.name) != nullptr)
      item.wrong("name", "there is an instance " + inQuotes(instance.name) + " already");
    project.instances.push_back(std::move(instance));
  }
}

Format formatOf(Section& root) {
  const bool containers = root.find("containers") != nullptr, container = root.find("container") != nullptr,
             instance = root.find("instance") != nullptr;
  if (containers && container)
    root.wrong("container",
               "is the form of Spotty 1.2 and cannot stand beside containers: make it one of them");
  if ((containers || container || root.find("instances") != nullptr) && instance)
    root.wrong("instance", "is the form of Spotty 1.1 and cannot stand beside the keys of a later one");
  if (containers || (!container && !instance)) return Format::v1_3;
  return container ? Format::v1_2 : Format::v1_1;
}

Project readProjectTree(api::Problems& problems, const api::Node& tree) {
  Section root(problems, tree, "");
  Project project;
  project.format = formatOf(root);
  root.require("project");
  std::string remote_dir;
  if (const api::Node* const node = root.map("project")) {
    Section section(problems, *node, "project");
    section.text("name", project.name, isProjectName,
                 "must be 2 to 28 letters, digits and -, beginning and ending with a letter or digit");
    section.require("name");
    readFilters(section, project.filters);
    if (project.format == Format::v1_1) {
      section.absolutePath("remoteDir", remote_dir);
      section.require("remoteDir");
    }
    section.refuseUnknown();
  }
  if (project.format == Format::v1_1) {
    readInstance11(root, remote_dir, project);
  } else {
    if (project.format == Format::v1_3) {
      readContainers(root, project);
    } else if (const api::Node* const node = root.map("container")) {
      project.containers.push_back(readContainer(problems, *node, "container", project.format));
    }
    readInstances(root, project);
  }
  readScripts(root, project.scripts);
  root.refuseUnknown();
  return project;
}

api::Parsed<api::Node> readTree(const SourceText& main, const SourceText& override_text) {
  auto tree = api::parseYamlTree(main.text, main.file);
  if (!tree || override_text.file.empty()) return tree;
  auto over = api::parseYamlTree(override_text.text, override_text.file);
  if (!over) return over;
  if (over->kind == api::Node::Kind::null) return tree;
  if (over->kind != api::Node::Kind::map) {
    return tl::unexpected(std::vector<api::Problem>{api::problemAt(
        override_text.file, over->mark, {}, "must be a map of keys to values, not " + api::describe(*over))});
  }
  mergeOverride(*tree, std::move(*over));
  return tree;
}

}  // namespace

std::string_view toString(Format value) {
  switch (value) {
    case Format::v1_1:
      return "1.1";
    case Format::v1_2:
      return "1.2";
    case Format::v1_3:
      return "1.3";
  }
  return "1.3";
}

std::string_view toString(ProviderKind value) {
  switch (value) {
    case ProviderKind::aws:
      return "aws";
    case ProviderKind::gcp:
      return "gcp";
    case ProviderKind::local:
      return "local";
    case ProviderKind::remote:
      return "remote";
  }
  return "aws";
}

const Container* Project::container(std::string_view container_name) const {
  const auto found = std::find_if(containers.begin(), containers.end(),
                                  [&](const Container& c) { return c.name == container_name; });
  return found == containers.end() ? nullptr : &*found;
}

const Instance* Project::instance(std::string_view instance_name) const {
  const auto found = std::find_if(instances.begin(), instances.end(),
                                  [&](const Instance& i) { return i.name == instance_name; });
  return found == instances.end() ? nullptr : &*found;
}

api::Parsed<Project> parseProject(const SourceText& main, const SourceText& override_text) {
  const auto tree = readTree(main, override_text);
  if (!tree) return tl::unexpected(tree.error());
  api::Problems problems(main.file);
  Project project = readProjectTree(problems, *tree);
  if (!problems.empty()) return tl::unexpected(inTheirFiles(problems.take(), override_text.file));
  return project;
}

}  // namespace buoy::gateways::spotty
