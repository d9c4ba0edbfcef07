#include "cloud/aws/parameters.h"

#include "base/strings.h"

namespace buoy::cloud::aws {

void addList(Parameters& parameters, const std::string& name, const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    parameters.emplace_back(strCat({name, ".", std::to_string(i + 1)}), values[i]);
}

void addFilters(Parameters& parameters, const std::vector<Filter>& filters) {
  for (std::size_t i = 0; i < filters.size(); ++i) {
    const std::string name = "Filter." + std::to_string(i + 1);
    parameters.emplace_back(name + ".Name", filters[i].name);
    addList(parameters, name + ".Value", filters[i].values);
  }
}

void addTags(Parameters& parameters, const std::string& name, const std::vector<std::string>& resources,
             const std::vector<Tag>& tags) {
  if (tags.empty()) return;
  for (std::size_t i = 0; i < resources.size(); ++i) {
    const std::string at = strCat({name, ".", std::to_string(i + 1)});
    parameters.emplace_back(at + ".ResourceType", resources[i]);
    for (std::size_t k = 0; k < tags.size(); ++k) {
      const std::string tag = strCat({at, ".Tag.", std::to_string(k + 1)});
      parameters.emplace_back(tag + ".Key", tags[k].key);
      parameters.emplace_back(tag + ".Value", tags[k].value);
    }
  }
}

}  // namespace buoy::cloud::aws
