#pragma once

#include <sys/types.h>

#include <functional>
#include <string_view>
#include <vector>

#include "base/units.h"

// Looking through /proc. Only a picture: processes come and go while it is taken. Threads: any.
namespace buoy::os {

// Processes whose environment at exec held exactly `entry` ("NAME=value"); those that this user may not
// inspect are left out.
std::vector<pid_t> processesWithEnvironment(std::string_view entry);
// Children of `ancestor`, their children and so on, without zombies, and without `except` and what is below
// it.
std::vector<pid_t> descendantsOf(pid_t ancestor, pid_t except = 0);

// Whether the process has a handler of its own for this signal; false if it cannot be looked at.
bool catchesSignal(pid_t pid, int number);

// Kills by SIGKILL what `find` finds, again and again, until it finds nothing: a process may fork while it is
// looked for. The caller's own process is spared. False if some were still there at `limit`, or may not be
// killed by this user.
bool killAll(const std::function<std::vector<pid_t>()>& find, Duration limit);

}  // namespace buoy::os
