#include "store/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::store {

Result<os::Fd> takeLockFile(const std::string& path) {
  BUOY_TRY(os::Fd fd, os::openFile(path, O_RDWR | O_CREAT, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failErrno(errno, "lock " + path);
    const auto holder = os::readFile(path, 64);
    const std::string pid = holder ? std::string(trim(*holder)) : std::string();
    return fail(ErrorCode::failed_precondition,
                strCat({"another server", pid.empty() ? "" : " (process " + pid + ")",
                        " is using this state directory: ", path, " is locked"}));
  }
  if (::ftruncate(fd.get(), 0) != 0) return failErrno(errno, "write " + path);
  // Without room for the id the lock is as good as ever; only the other server's message is poorer.
  (void)os::writeAll(fd.get(), std::to_string(::getpid()) + "\n");
  return fd;
}

}  // namespace buoy::store
