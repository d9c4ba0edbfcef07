#include "aws/endpoint.h"

#include <utility>

#include "base/strings.h"

namespace buoy::aws {
namespace {

// The first label of the host, where it is not the service's name.
std::string_view hostName(std::string_view service) {
  if (service == "efs") return "elasticfilesystem";
  return service;
}

}  // namespace

ServiceEndpoint serviceEndpoint(const Settings& settings, std::string_view service, std::string configured) {
  const bool is_china = settings.region.starts_with("cn-");
  const std::string suffix = is_china ? ".amazonaws.com.cn" : ".amazonaws.com";
  ServiceEndpoint at{std::move(configured), settings.region};
  if (service == "iam") {
    at.signing_region = is_china ? "cn-north-1" : "us-east-1";
    if (at.url.empty())
      at.url = is_china ? "https://iam.cn-north-1" + suffix
                        : strCat({"https://", settings.use_fips ? "iam-fips" : "iam", suffix});
  } else if (service == "pricing") {
    at.signing_region = is_china ? "cn-northwest-1" : "us-east-1";
    if (at.url.empty()) at.url = strCat({"https://api.pricing.", at.signing_region, suffix});
  }
  if (!at.url.empty()) return at;
  at.url = strCat({"https://", hostName(service), settings.use_fips ? "-fips" : "", ".", settings.region,
                   settings.use_dualstack ? ".api" : "",
                   settings.use_dualstack ? (is_china ? ".amazonwebservices.com.cn" : ".aws")
                                          : std::string_view(suffix)});
  return at;
}

}  // namespace buoy::aws
