#include "agent/log_spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "os/files.h"

namespace buoy::agent {

Result<LogSpool> LogSpool::open(const std::string& path) {
  BUOY_TRY(os::Fd fd, os::openFile(path, O_RDWR | O_CREAT | O_APPEND));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return failErrno(errno, "read " + path);
  LogSpool spool(std::move(fd), static_cast<std::uint64_t>(info.st_size));
  if (spool.size_ > 0) {
    BUOY_TRY(const std::string last, spool.read(spool.size_ - 1, 1));
    if (last != "\n") BUOY_TRY_VOID(spool.append("\n"));
  }
  return spool;
}

Status LogSpool::append(std::string_view frames) {
  if (Status written = os::writeAll(fd_.get(), frames); !written) {
    // What was written of it is taken back, so that the caller can simply try again.
    (void)!::ftruncate(fd_.get(), static_cast<off_t>(size_));
    return fail(written.error().wrap("write the log"));
  }
  size_ += frames.size();
  return {};
}

Result<std::string> LogSpool::read(std::uint64_t offset, std::size_t limit) const {
  std::string content(limit, '\0');
  std::size_t filled = 0;
  while (filled < limit) {
    const ssize_t n =
        ::pread(fd_.get(), content.data() + filled, limit - filled, static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failErrno(errno, "read the log");
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  content.resize(filled);
  return content;
}

}  // namespace buoy::agent
