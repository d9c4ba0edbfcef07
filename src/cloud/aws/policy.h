#pragma once

#include <string>
#include <vector>

namespace buoy::cloud::aws {

// What the role of a machine may do: its store and these buckets, and nothing else. `store_uri`:
// "s3://bucket/prefix".
std::string machinePolicy(const std::string& store_uri, const std::vector<std::string>& buckets = {});

// What the control plane's own credentials must be allowed, as an IAM policy document for people: everything
// that it changes is restricted to what carries Buoy's tag or name, where IAM can tell.
std::string controlPolicy(const std::string& store_uri);

}  // namespace buoy::cloud::aws
