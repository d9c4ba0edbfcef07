#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cloud/aws/answers.h"
#include "engine/events.h"

namespace buoy::cloud::aws {

// The latest spot price of every type in every zone of one region, by EC2's history. Not thread-safe.
class PriceBook {
 public:
  // Entries in any order; an older one than what is known changes nothing.
  void note(const std::vector<SpotPrice>& prices);
  // nullptr: not known.
  const SpotPrice* of(const std::string& type, const std::string& zone) const;
  // The lowest of these zones (empty: of all).
  const SpotPrice* lowest(const std::string& type, const std::vector<std::string>& zones) const;

 private:
  std::map<std::pair<std::string, std::string>, SpotPrice> prices_;  // by type and zone
};

}  // namespace buoy::cloud::aws
