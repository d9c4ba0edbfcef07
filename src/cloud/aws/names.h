#pragma once

#include <string>

#include "base/strings.h"

// How everything is called that Buoy makes in an account. One place, so that it is found again.
namespace buoy::cloud::aws {

inline constexpr const char* kClusterTag = "buoy:cluster";
inline constexpr const char* kMachineTag = "buoy:machine";
inline constexpr const char* kPoolTag = "buoy:pool";
inline constexpr const char* kGroupTag = "buoy:group";  // of a gang's machines
inline constexpr const char* kUntilTag = "buoy:until";  // of a template: how long its URL works

inline std::string resourceName(const std::string& cluster) {
  return "buoy-" + cluster;
}
// The object with which a machine begins: below the store.
inline std::string bootKey(const std::string& cluster, const std::string& instance) {
  return strCat({cluster, "/boot/", instance, ".json"});
}

}  // namespace buoy::cloud::aws
