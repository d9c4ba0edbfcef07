#include "os/copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

namespace buoy::os {
namespace {

constexpr std::size_t kPiece = 512 * 1024;
constexpr std::size_t kCachePiece = 64u << 10;

bool allZero(std::string_view piece) {
  return !piece.empty() && piece[0] == '\0' &&
         std::memcmp(piece.data(), piece.data() + 1, piece.size() - 1) == 0;
}

bool isSparse(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && info.st_blocks * 512 < info.st_size;
}

// nullopt-like: a negative result means that the kernel cannot copy between these two files.
Result<std::int64_t> copyInKernel(int from, int to, std::uint64_t size) {
  std::uint64_t done = 0;
  while (done < size) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(size - done, 1u << 30));
    loff_t in = static_cast<loff_t>(done);
    loff_t out = static_cast<loff_t>(done);
    const ssize_t n = ::copy_file_range(from, &in, to, &out, want, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && done == 0 && errno != ENOSPC && errno != EDQUOT && errno != EIO) return -1;
    if (n < 0) return failErrno(errno, "copy");
    // Some kernels answer 0 for files of /proc and the like: let the plain copy decide.
    if (n == 0) return done == 0 ? -1 : static_cast<std::int64_t>(done);
    done += static_cast<std::uint64_t>(n);
  }
  return static_cast<std::int64_t>(done);
}

}  // namespace

Status writeAllAt(int fd, std::string_view content, std::uint64_t offset, std::string_view what) {
  while (!content.empty()) {
    const ssize_t count = ::pwrite(fd, content.data(), content.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failErrno(errno, what);
    content.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

bool reflink(int from, int to) {
  return ::ioctl(to, FICLONE, from) == 0;
}

namespace {

Result<std::uint64_t> readThrough(std::span<char> buffer, int fd, std::uint64_t offset, std::uint64_t size,
                                  const PieceObserver& see) {
  std::uint64_t done = 0;
  while (done < size) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - done));
    const ssize_t n = ::pread(fd, buffer.data(), want, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failErrno(errno, "read");
    if (n == 0) break;
    if (!see(std::string_view(buffer.data(), static_cast<std::size_t>(n))))
      return fail(ErrorCode::cancelled, "stopped");
    done += static_cast<std::uint64_t>(n);
  }
  return done;
}

}  // namespace

Result<std::uint64_t> readPieces(int fd, std::uint64_t size, const PieceObserver& see) {
  const std::size_t capacity = static_cast<std::size_t>(std::clamp<std::uint64_t>(size, 1, kPiece));
  const auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  if (size > kPiece) ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return readThrough({buffer.get(), capacity}, fd, 0, size, see);
}

Result<std::uint64_t> readRange(int fd, std::uint64_t offset, std::uint64_t size, const PieceObserver& see) {
  std::array<char, kCachePiece> buffer;
  return readThrough(buffer, fd, offset, size, see);
}

Result<std::uint64_t> copyContent(int from, int to, std::uint64_t size, const PieceObserver& see) {
  if (!see) {
    BUOY_TRY(const std::int64_t copied, copyInKernel(from, to, size));
    if (copied >= 0) return static_cast<std::uint64_t>(copied);
  }
  const bool sparse = isSparse(from);
  std::uint64_t offset = 0;
  Status written;
  auto read = readPieces(from, size, [&](std::string_view piece) {
    if (see && !see(piece)) return false;
    if (!sparse || !allZero(piece)) written = writeAllAt(to, piece, offset, "write");
    offset += piece.size();
    return written.has_value();
  });
  if (!written) return fail(std::move(written).error());
  if (!read) return read;
  if (sparse && ::ftruncate(to, static_cast<off_t>(*read)) != 0) return failErrno(errno, "set the size");
  return read;
}

bool certainlyNotBeingWritten(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  // Elsewhere (tmpfs, overlayfs, network) a store through a mapping may leave ctime alone, or a mapping may
  // not count as a writer.
  constexpr unsigned long kExt = 0xEF53, kXfs = 0x58465342, kBtrfs = 0x9123683E, kF2fs = 0xF2F52010;
  const auto type = static_cast<unsigned long>(info.f_type) & 0xFFFFFFFFul;
  if (type != kExt && type != kXfs && type != kBtrfs && type != kF2fs) return false;
  // A read lease is granted only while no writer exists. It is given back at once; should somebody open the
  // file for writing in between, the kernel holds that open back until then and sends us SIGURG, which is
  // ignored by default (SIGIO, the usual signal, is not).
  if (::fcntl(fd, F_SETSIG, SIGURG) != 0) return false;
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return false;
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}

}  // namespace buoy::os
