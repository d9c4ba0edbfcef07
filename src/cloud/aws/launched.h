#pragma once

#include <string>

namespace buoy::cloud::aws {

// A machine that EC2 gave.
struct Launched {
  std::string instance, type, zone;
  bool left_zone = false;  // of its job's volumes some are elsewhere and follow it
};

}  // namespace buoy::cloud::aws
