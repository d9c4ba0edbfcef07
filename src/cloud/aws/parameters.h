#pragma once

#include <string>
#include <vector>

#include "cloud/aws/answers.h"
#include "cloud/aws/caller.h"

// How EC2's calls have lists, filters and tags.
namespace buoy::cloud::aws {

inline constexpr const char* kEc2Version = "2016-11-15";

struct Filter {
  std::string name;
  std::vector<std::string> values;
};

void addList(Parameters& parameters, const std::string& name, const std::vector<std::string>& values);
void addFilters(Parameters& parameters, const std::vector<Filter>& filters);
// `name`: "TagSpecification" or where a template has them.
void addTags(Parameters& parameters, const std::string& name, const std::vector<std::string>& resources,
             const std::vector<Tag>& tags);

}  // namespace buoy::cloud::aws
