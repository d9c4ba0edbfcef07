#pragma once

#include <string>
#include <string_view>

// What things are called: on AWS and on machines exactly as Spotty calls them, so that what it made is found.
namespace buoy::gateways::spotty {

// The EBS volume and its snapshots, unless the file says another name.
std::string ebsName(std::string_view project, std::string_view instance, std::string_view volume);
// EC2's Name of the machine.
std::string machineName(std::string_view project, std::string_view instance);
std::string containerName(std::string_view project, std::string_view instance, std::string_view container);
std::string keyPairName(std::string_view project, std::string_view region);
// "spotty-<project>-" and "-<region>": twelve letters or digits stand between them.
bool isBucketOf(std::string_view bucket, std::string_view project, std::string_view region);
std::string bucketName(std::string_view project, std::string_view region, std::string_view twelve);
// Buoy's own: the job that keeps the machine, and the pool that it comes from.
std::string workspaceName(std::string_view project, std::string_view instance);

inline constexpr const char* kContainerShell = "spotty-sh-container";
inline constexpr const char* kHostShell = "spotty-sh-host";
std::string scriptSession(std::string_view script);

}  // namespace buoy::gateways::spotty
