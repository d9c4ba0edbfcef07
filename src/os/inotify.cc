#include "os/inotify.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace buoy::os {

Result<Inotify> Inotify::create() {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return failErrno(errno, "watch files");
  return Inotify(std::move(fd));
}

Result<int> Inotify::add(const std::string& path, std::uint32_t mask) {
  const int watch = ::inotify_add_watch(fd_.get(), path.c_str(), mask);
  if (watch < 0) return failErrno(errno, "watch " + path);
  return watch;
}

void Inotify::remove(int watch) {
  ::inotify_rm_watch(fd_.get(), watch);
}

void Inotify::drain(const std::function<void(const Event&)>& on_event) {
  alignas(inotify_event) char buffer[16 * 1024];
  for (;;) {
    const ssize_t size = ::read(fd_.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return;
    for (const char* at = buffer; at < buffer + size;) {
      inotify_event raw{};
      std::memcpy(&raw, at, sizeof raw);
      const char* name = at + sizeof raw;
      on_event(Event{raw.wd, raw.mask, raw.cookie, std::string_view(name, ::strnlen(name, raw.len))});
      at = name + raw.len;
    }
  }
}

}  // namespace buoy::os
