#include "agent/job_output.h"

#include <unistd.h>

#include <array>
#include <cerrno>

namespace buoy::agent {

JobOutput::~JobOutput() {
  for (const char stream : {'o', 'e'}) {
    if (fdOf(stream)) loop_.unwatch(fdOf(stream).get());
  }
}

void JobOutput::begin(os::Fd out, os::Fd err) {
  out_ = std::move(out);
  err_ = std::move(err);
  paused_ = false;
  watch();
}

void JobOutput::pause(bool paused) {
  if (paused == paused_) return;
  paused_ = paused;
  if (!paused_) return watch();
  for (const char stream : {'o', 'e'}) {
    if (fdOf(stream)) loop_.unwatch(fdOf(stream).get());
  }
}

void JobOutput::watch() {
  for (const char stream : {'o', 'e'}) {
    if (fdOf(stream)) loop_.watch(fdOf(stream).get(), [this, stream] { read(stream); });
  }
}

void JobOutput::read(char stream) {
  if (readOnce(stream) != Got::end) return;
  loop_.unwatch(fdOf(stream).get());
  fdOf(stream).reset();
}

// One piece at a time, so that a chatty job does not keep the loop from its other work.
JobOutput::Got JobOutput::readOnce(char stream) {
  std::array<char, 32 * 1024> buffer;
  ssize_t size = 0;
  do size = ::read(fdOf(stream).get(), buffer.data(), buffer.size());
  while (size < 0 && errno == EINTR);
  if (size < 0 && errno == EAGAIN) return Got::nothing_yet;
  if (size <= 0) return Got::end;
  on_output_(stream, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
  return Got::data;
}

void JobOutput::finish() {
  for (const char stream : {'o', 'e'}) {
    os::Fd& fd = fdOf(stream);
    if (!fd) continue;
    loop_.unwatch(fd.get());
    while (readOnce(stream) == Got::data) {
    }
    fd.reset();
  }
}

}  // namespace buoy::agent
