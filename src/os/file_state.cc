#include "os/file_state.h"

#include <cerrno>
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

Result<FileIdentity> identityOf(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return failErrno(errno, "examine a file");
  if (!S_ISREG(info.st_mode)) return FileIdentity{};
  return FileIdentity::of(info);
}

}  // namespace buoy::os
