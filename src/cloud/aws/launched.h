#pragma once

#include <string>

namespace buoy::cloud::aws {

// A machine that EC2 gave.
struct Launched {
  std::string instance, type, zone;
  bool left_zone = false;  // that of its job's volumes, which had no machine
};

}  // namespace buoy::cloud::aws
