#include "os/process_table.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <memory>

#include "os/files.h"
#include "os/pidfd.h"

namespace buoy::os {
namespace {

std::vector<pid_t> allProcesses() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return pids;
  while (const dirent* entry = ::readdir(proc.get())) {
    pid_t pid = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr == end && pid > 0 && pid != ::getpid())
      pids.push_back(pid);
  }
  return pids;
}

std::string procPath(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

bool holdsEntry(std::string_view environment, std::string_view entry) {
  while (!environment.empty()) {
    const auto end = std::min(environment.find('\0'), environment.size());
    if (environment.substr(0, end) == entry) return true;
    environment.remove_prefix(std::min(end + 1, environment.size()));
  }
  return false;
}

// The parent of a process that is no zombie; 0 otherwise.
pid_t livingParent(pid_t pid) {
  const auto stat = readFile(procPath(pid, "stat"), 4096);
  if (!stat) return 0;
  const auto name_end = stat->rfind(')');  // ") S 1234 …"
  if (name_end == std::string::npos || name_end + 4 >= stat->size()) return 0;
  if ((*stat)[name_end + 2] == 'Z' || (*stat)[name_end + 2] == 'X') return 0;
  pid_t parent = 0;
  std::from_chars(stat->data() + name_end + 4, stat->data() + stat->size(), parent);
  return parent;
}

}  // namespace

std::vector<pid_t> processesWithEnvironment(std::string_view entry) {
  std::vector<pid_t> found;
  for (const pid_t pid : allProcesses()) {
    const auto environment = readFile(procPath(pid, "environ"), 16u << 20);
    if (environment && holdsEntry(*environment, entry)) found.push_back(pid);
  }
  return found;
}

std::vector<pid_t> descendantsOf(pid_t ancestor, pid_t except) {
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : allProcesses()) {
    if (const pid_t parent = livingParent(pid); parent != 0) children.emplace(parent, pid);
  }
  std::vector<pid_t> found, open{ancestor};
  while (!open.empty()) {
    const auto [begin, end] = children.equal_range(open.back());
    open.pop_back();
    for (auto child = begin; child != end; ++child) {
      if (child->second == except) continue;
      found.push_back(child->second);
      open.push_back(child->second);
    }
  }
  return found;
}

bool catchesSignal(pid_t pid, int number) {
  const auto status = readFile(procPath(pid, "status"), 64u << 10);
  if (!status || number < 1 || number > 64) return false;
  constexpr std::string_view kField = "\nSigCgt:\t";
  const auto at = status->find(kField);
  if (at == std::string::npos) return false;
  std::uint64_t mask = 0;
  std::from_chars(status->data() + at + kField.size(), status->data() + status->size(), mask, 16);
  return ((mask >> (number - 1)) & 1) != 0;
}

bool killAll(const std::function<std::vector<pid_t>()>& find, Duration limit) {
  using std::chrono::steady_clock;
  const auto until = steady_clock::now() + limit;
  for (;;) {
    const std::vector<pid_t> found = find();
    if (found.empty()) return true;
    std::vector<Pidfd> dying;
    for (const pid_t pid : found) {
      auto handle = Pidfd::open(pid);
      if (!handle || !handle->signal(SIGKILL)) continue;
      dying.push_back(std::move(*handle));
    }
    for (const Pidfd& handle : dying) {
      const auto left = std::chrono::duration_cast<Duration>(until - steady_clock::now());
      if (!handle.waitEnded(std::max(left, Duration{}))) return false;
    }
    if (steady_clock::now() >= until) return false;
  }
}

}  // namespace buoy::os
