#include "cli/rehearse/save_watch.h"

#include <filesystem>

#include "os/terminal.h"

namespace buoy::cli {

Result<SaveWatch> SaveWatch::create(const std::string& directory) {
  BUOY_TRY(os::Inotify inotify, os::Inotify::create());
  constexpr std::uint32_t kWrites = IN_CREATE | IN_MODIFY | IN_MOVED_TO;
  BUOY_TRY_VOID(inotify.add(directory, kWrites).map([](int) {}));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_directory(error)) (void)inotify.add(entry.path().string(), kWrites);
  }
  return SaveWatch(std::move(inotify));
}

bool SaveWatch::saving(Duration limit) {
  if (!os::waitReadable(inotify_.fd(), limit)) return false;
  bool any = false;
  inotify_.drain([&](const os::Inotify::Event&) { any = true; });
  return any;
}

}  // namespace buoy::cli
