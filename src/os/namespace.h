#pragma once

#include <string>

namespace buoy::os {

// How processes can be shut into a PID namespace of their own, in which the end of the first ends all.
enum class NamespaceMode {
  none,      // not possible here
  pid,       // with CAP_SYS_ADMIN: PID and mount namespaces
  user_pid,  // without: a user namespace first, in which the user stays who they are
};
std::string_view toString(NamespaceMode mode);

struct NamespaceSupport {
  NamespaceMode mode = NamespaceMode::none;
  std::string reason;  // for people: why this mode and not a better one
};
// Tries it with a process that ends at once. Threads: any.
NamespaceSupport detectNamespaces();

// The flags for clone(2). The child then calls setUpNamespace before anything else.
int cloneFlags(NamespaceMode mode);

// In the child, before exec: maps the user to itself and puts a /proc of the new namespace over the old one,
// in a mount namespace that goes on following the host's mounts. Only async-signal-safe calls (it may run
// after vfork). Returns 0 or an errno. A /proc that cannot be mounted is not an error: the old one then shows
// the host's processes. `uid` and `gid` are those of the parent before the clone.
int setUpNamespace(NamespaceMode mode, unsigned uid, unsigned gid);

}  // namespace buoy::os
