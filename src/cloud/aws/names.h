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

// Of a volume or shared file system, while a job has it: the job, what becomes of it, its place in the job's
// list. A snapshot that a release made has the job, too.
inline constexpr const char* kJobTag = "buoy:job";
inline constexpr const char* kDeletionTag = "buoy:deletion";
inline constexpr const char* kOrderTag = "buoy:order";
// Of a volume that a machine in another zone waits for, until it is attached again or has gone: that job.
inline constexpr const char* kMovingTag = "buoy:moving";
inline constexpr const char* kReplacedTag =
    "buoy:replaced-by";  // of a snapshot: the job and volume that took its name

inline std::string resourceName(const std::string& cluster) {
  return "buoy-" + cluster;
}
// EC2's Name, which pools may set for their machines; what else they are made of keeps Buoy's.
inline constexpr const char* kNameTag = "Name";
// The object with which a machine begins: below the store.
inline std::string bootKey(const std::string& cluster, const std::string& instance) {
  return strCat({cluster, "/boot/", instance, ".json"});
}

}  // namespace buoy::cloud::aws
