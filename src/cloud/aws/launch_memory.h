#pragma once

#include <map>
#include <string>
#include <tuple>

#include "base/units.h"

namespace buoy::cloud::aws {

// Which types in which zones had no machine when they were last asked: they are asked last, for a while that
// doubles with every failure and is forgotten at a success. Not thread-safe.
class LaunchMemory {
 public:
  void failed(const std::string& type, const std::string& zone, bool spot, Time now);
  void succeeded(const std::string& type, const std::string& zone, bool spot);
  bool failedLately(const std::string& type, const std::string& zone, bool spot, Time now) const;

 private:
  using Key = std::tuple<std::string, std::string, bool>;
  struct Failures {
    int count = 0;
    Time until{};
  };
  std::map<Key, Failures> failures_;
};

}  // namespace buoy::cloud::aws
