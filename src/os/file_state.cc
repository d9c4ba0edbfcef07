#include "os/file_state.h"

#include <chrono>

namespace buoy::os {
namespace {

std::int64_t nanoseconds(const struct timespec& time) {
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

}  // namespace

struct timespec toTimespec(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto rest = std::chrono::nanoseconds{time - seconds};
  return {static_cast<std::time_t>(seconds.time_since_epoch().count()), static_cast<long>(rest.count())};
}

FileIdentity FileIdentity::of(const struct stat& info) {
  return {info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

}  // namespace buoy::os
