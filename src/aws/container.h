#pragma once

#include <memory>
#include <string>

#include "aws/refresh.h"
#include "aws/settings.h"
#include "base/units.h"

namespace buoy::aws {

struct ContainerOptions {
  std::string url;         // http to a trusted link-local or loopback address, or https
  std::string token;       // AWS_CONTAINER_AUTHORIZATION_TOKEN; empty: none
  std::string token_file;  // AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: read each time, instead of `token`
  Duration timeout = std::chrono::seconds{2};
  int attempts = 3;
};

// From AWS_CONTAINER_CREDENTIALS_RELATIVE_URI (at 169.254.170.2), else _FULL_URI; `url` is empty if neither
// is set.
ContainerOptions containerOptions(const Environment& environment);

// The role of an ECS task, of an EKS pod, or what another agent gives on this machine. Over plain HTTP only
// the addresses that AWS uses and this machine itself are asked: the answer is a secret.
std::unique_ptr<CredentialsSource> containerCredentials(ContainerOptions options);

}  // namespace buoy::aws
