#include "os/namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "os/process.h"

namespace buoy::os {
namespace {

// "1000 1000 1\n" without allocating.
std::size_t formatMap(char* out, unsigned id) {
  char digits[16];
  std::size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + id % 10);
    id /= 10;
  } while (id != 0);
  std::size_t length = 0;
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (std::size_t i = count; i > 0; --i) out[length++] = digits[i - 1];
    out[length++] = ' ';
  }
  out[length++] = '1';
  out[length++] = '\n';
  return length;
}

int writeFile(const char* path, const char* text, std::size_t length) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int result = ::write(fd, text, length) == static_cast<ssize_t>(length) ? 0 : errno;
  ::close(fd);
  return result;
}

int mapUser(unsigned uid, unsigned gid) {
  char text[64];
  if (const int error = writeFile("/proc/self/uid_map", text, formatMap(text, uid)); error != 0) return error;
  // Without this the kernel lets no unprivileged process map a group.
  if (const int error = writeFile("/proc/self/setgroups", "deny", 4); error != 0) return error;
  return writeFile("/proc/self/gid_map", text, formatMap(text, gid));
}

}  // namespace

std::string_view toString(NamespaceMode mode) {
  switch (mode) {
    case NamespaceMode::none:
      return "none";
    case NamespaceMode::pid:
      return "pid";
    case NamespaceMode::user_pid:
      return "user+pid";
  }
  return "none";
}

int cloneFlags(NamespaceMode mode) {
  switch (mode) {
    case NamespaceMode::none:
      return 0;
    case NamespaceMode::pid:
      return CLONE_NEWPID | CLONE_NEWNS;
    case NamespaceMode::user_pid:
      return CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS;
  }
  return 0;
}

int setUpNamespace(NamespaceMode mode, unsigned uid, unsigned gid) {
  if (mode == NamespaceMode::none) return 0;
  if (mode == NamespaceMode::user_pid) {
    if (const int error = mapUser(uid, gid); error != 0) return error;
  }
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return 0;
  (void)::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  return 0;
}

NamespaceSupport detectNamespaces() {
  const int direct = probeNamespace(NamespaceMode::pid);
  if (direct == 0) return {NamespaceMode::pid, "permitted by CAP_SYS_ADMIN"};
  const int with_user = probeNamespace(NamespaceMode::user_pid);
  const auto text = [](int error) { return std::generic_category().message(error); };
  if (with_user == 0) {
    return {NamespaceMode::user_pid, "inside a user namespace (not as root: " + text(direct) + ")"};
  }
  return {NamespaceMode::none,
          "PID namespace: " + text(direct) + "; with a user namespace: " + text(with_user) +
              " (see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and "
              "kernel.apparmor_restrict_unprivileged_userns)"};
}

}  // namespace buoy::os
