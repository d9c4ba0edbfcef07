#include "gateways/spotty/names.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::gateways::spotty {
namespace {

constexpr std::size_t kBucketMark = 12;

}  // namespace

std::string ebsName(std::string_view project, std::string_view instance, std::string_view volume) {
  return lowerCase(strCat({project, "-", instance, "-", volume}));
}

std::string machineName(std::string_view project, std::string_view instance) {
  return lowerCase(strCat({project, "-", instance}));
}

std::string containerName(std::string_view project, std::string_view instance, std::string_view container) {
  return lowerCase(strCat({"spotty-", project, "-", instance, "-", container}));
}

std::string keyPairName(std::string_view project, std::string_view region) {
  return strCat({"spotty-key-", lowerCase(project), "-", region});
}

bool isBucketOf(std::string_view bucket, std::string_view project, std::string_view region) {
  const std::string before = strCat({"spotty-", lowerCase(project), "-"}), after = strCat({"-", region});
  if (bucket.size() != before.size() + kBucketMark + after.size()) return false;
  if (!bucket.starts_with(before) || !bucket.ends_with(after)) return false;
  const std::string_view mark = bucket.substr(before.size(), kBucketMark);
  return std::all_of(mark.begin(), mark.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::string bucketName(std::string_view project, std::string_view region, std::string_view twelve) {
  return strCat({"spotty-", lowerCase(project), "-", twelve, "-", region});
}

std::string workspaceName(std::string_view project, std::string_view instance) {
  std::string name = "spotty-" + machineName(project, instance);
  // An instance may be called anything; a job may not.
  for (char& c : name) {
    const bool usual = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    if (!usual) c = '-';
  }
  return name;
}

std::string scriptSession(std::string_view script) {
  return strCat({"spotty-script-", script});
}

}  // namespace buoy::gateways::spotty
