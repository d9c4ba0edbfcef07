#include "cloud/aws/launch_memory.h"

#include <algorithm>

namespace buoy::cloud::aws {
namespace {

constexpr Duration kFirst = std::chrono::seconds{30};
constexpr Duration kLongest = std::chrono::hours{1};
constexpr int kMostDoublings = 10;

}  // namespace

void LaunchMemory::failed(const std::string& type, const std::string& zone, bool spot, Time now) {
  Failures& failures = failures_[{type, zone, spot}];
  if (now < failures.until) return;  // one of several that were asked at once
  const int doublings = std::min(failures.count++, kMostDoublings);
  failures.until = now + std::min(kLongest, Duration{kFirst.count() << doublings});
}

void LaunchMemory::succeeded(const std::string& type, const std::string& zone, bool spot) {
  failures_.erase({type, zone, spot});
}

bool LaunchMemory::failedLately(const std::string& type, const std::string& zone, bool spot, Time now) const {
  const auto found = failures_.find({type, zone, spot});
  return found != failures_.end() && now < found->second.until;
}

}  // namespace buoy::cloud::aws
