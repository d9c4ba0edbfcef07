#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cloud/aws/answers.h"
#include "engine/events.h"

namespace buoy::cloud::aws {

// The spot prices of every type in every zone of one region, by EC2's history: the latest, and some before
// it. Not thread-safe.
class PriceBook {
 public:
  // Entries in any order.
  void note(const std::vector<SpotPrice>& prices);
  // The latest. nullptr: not known.
  const SpotPrice* of(const std::string& type, const std::string& zone) const;
  // The one in force at this time; the earliest known, if that is later.
  const SpotPrice* at(const std::string& type, const std::string& zone, Time time) const;
  // The lowest of these zones (empty: of all).
  const SpotPrice* lowest(const std::string& type, const std::vector<std::string>& zones) const;

 private:
  std::map<std::pair<std::string, std::string>, std::vector<SpotPrice>>
      prices_;  // by type and zone; in order
};

// Each hour of an instance costs what the price is at that hour's beginning
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/how-spot-instances-work.html). When the one that is
// running began.
Time hourOf(Time launched, Time now);

}  // namespace buoy::cloud::aws
