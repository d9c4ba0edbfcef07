#pragma once

#include <string>

#include "cloud/aws/pool_config.h"
#include "engine/types.h"
#include "gateways/spotty/project.h"

// The pool that an instance on AWS comes from, as its parameters say. Pure.
namespace buoy::gateways::spotty {

// What only AWS knows of an instance.
struct AwsFacts {
  engine::MachineType type;   // its size, and what it costs
  std::string image;          // id; empty: as the parameters name it, or Buoy's usual one
  std::int64_t root_gib = 0;  // of its disk, where the parameters do not say; zero: the image's own
  std::string bucket;         // that the project is in
};

cloud::aws::PoolConfig awsConfigOf(const Project& project, const Instance& instance,
                                   const Parameters& parameters, const AwsFacts& facts);
// A pool for this machine alone.
engine::Pool awsPoolOf(const Project& project, const Instance& instance, const Parameters& parameters,
                       const AwsFacts& facts);

}  // namespace buoy::gateways::spotty
