#include "os/cgroup.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::os {
namespace {

constexpr int kPeriodMicros = 100'000;

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::vector<std::string> words(std::string_view text, char separator) {
  std::vector<std::string> result;
  for (const auto part : split(text, separator)) {
    if (!part.empty()) result.emplace_back(part);
  }
  return result;
}

// Control files take one write and want no O_CREAT, fsync or rename.
Status writeControl(const std::string& path, std::string_view value) {
  BUOY_TRY(const Fd fd, openFile(path, O_WRONLY));
  if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return failErrno(errno, "write " + path);
  }
  return {};
}

Status makeGroup(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
    return failErrno(errno, "make cgroup " + directory);
  return {};
}

// Makes a group for a moment to see whether it is allowed and has the control file.
Status tryGroup(const std::string& parent, const std::string& control_file) {
  const std::string probe = parent + "/buoy-probe-" + std::to_string(::getpid());
  BUOY_TRY_VOID(makeGroup(probe));
  Status status;
  if (::access((probe + "/" + control_file).c_str(), W_OK) != 0)
    status = failErrno(errno, probe + "/" + control_file);
  // Moving a process needs the common ancestor's file too.
  if (status && ::access((parent + "/cgroup.procs").c_str(), W_OK) != 0)
    status = failErrno(errno, parent + "/cgroup.procs");
  ::rmdir(probe.c_str());
  return status;
}

std::string parentDirectory(const std::string& path) {
  return path.substr(0, path.find_last_of('/'));
}

// Version 2 lets a group either hold processes or hand controllers to its children, so a child of this
// process's own group has none: the nearest ancestor that hands on the controller and may be written to is
// the place.
std::string findV2Parent(const CgroupMount& mount, const std::string& own, const char* controller,
                         const char* file, std::string& reason) {
  for (std::string at = own; at.size() >= mount.path.size(); at = parentDirectory(at)) {
    const auto handed_on = readFile(at + "/cgroup.subtree_control", 4096);
    if (!handed_on || !contains(words(trim(*handed_on), ' '), controller)) continue;
    const Status tried = tryGroup(at, file);
    if (tried) return at;
    reason = tried.error().message;
  }
  if (reason.empty())
    reason = std::string("no ancestor in ") + mount.path + " hands on the " + controller + " controller";
  return {};
}

struct Controller {
  const char* name;
  const char* v1_file;
  const char* v2_file;
};
constexpr Controller kCpu{"cpu", "cpu.cfs_quota_us", "cpu.max"};
constexpr Controller kMemory{"memory", "memory.limit_in_bytes", "memory.max"};

struct Place {
  std::string parent;
  bool v2 = false;
  std::string reason;
};

Place findPlace(const std::vector<CgroupMount>& mounts, std::string_view self_cgroup,
                const Controller& controller) {
  Place place;
  for (const CgroupMount& mount : mounts) {
    const std::string own = ownGroupDirectory(mount, self_cgroup);
    if (own.empty()) continue;
    if (mount.v2) {
      place.parent = findV2Parent(mount, own, controller.name, controller.v2_file, place.reason);
    } else if (contains(mount.controllers, controller.name)) {
      const Status tried = tryGroup(own, controller.v1_file);
      if (tried) {
        place.parent = own;
      } else {
        place.reason = tried.error().message;
      }
    }
    if (place.parent.empty()) continue;
    place.v2 = mount.v2;
    place.reason =
        strCat({controller.name, mount.v2 ? " by cgroup v2 at " : " by cgroup v1 at ", place.parent});
    return place;
  }
  if (place.reason.empty()) place.reason = "no hierarchy with this controller is mounted";
  place.reason = strCat({"no ", controller.name, " cgroup (", place.reason, ")"});
  return place;
}

Status limitCpu(const std::string& directory, bool v2, int milli_cpus) {
  // Never below 1 ms in a period: less is refused by the kernel.
  const int quota = std::max(milli_cpus * (kPeriodMicros / 1000), 1000);
  if (v2)
    return writeControl(directory + "/cpu.max", std::to_string(quota) + " " + std::to_string(kPeriodMicros));
  BUOY_TRY_VOID(writeControl(directory + "/cpu.cfs_period_us", std::to_string(kPeriodMicros)));
  return writeControl(directory + "/cpu.cfs_quota_us", std::to_string(quota));
}

Status limitMemory(const std::string& directory, bool v2, ByteCount memory) {
  return writeControl(directory + (v2 ? "/memory.max" : "/memory.limit_in_bytes"),
                      std::to_string(memory.value));
}

}  // namespace

std::vector<CgroupMount> parseCgroupMounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const auto line : split(mountinfo, '\n')) {
    // "36 35 98:0 /root /mount/point opts optional… - type source super-opts"
    const auto fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash == fields.end() || fields.end() - dash < 4 || dash - fields.begin() < 6) continue;
    const std::string_view type = dash[1];
    if (type != "cgroup" && type != "cgroup2") continue;
    CgroupMount mount;
    mount.root = fields[3];
    mount.path = fields[4];
    mount.v2 = type == "cgroup2";
    if (!mount.v2) mount.controllers = words(dash[3], ',');
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::string ownGroupDirectory(const CgroupMount& mount, std::string_view self_cgroup) {
  for (const auto line : split(self_cgroup, '\n')) {
    // "4:cpu,cpuacct:/path", and "0::/path" for version 2
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const auto controllers = words(line.substr(first + 1, second - first - 1), ',');
    const bool matches =
        mount.v2 ? controllers.empty() : !controllers.empty() && contains(mount.controllers, controllers[0]);
    if (!matches) continue;
    std::string_view path = line.substr(second + 1);
    if (mount.root != "/") {  // a part of the hierarchy is mounted here
      if (!path.starts_with(mount.root)) return {};
      path.remove_prefix(mount.root.size());
      if (!path.empty() && path[0] != '/') return {};
    }
    while (path.ends_with('/')) path.remove_suffix(1);
    return mount.path + std::string(path);
  }
  return {};
}

CgroupSupport detectCgroups() {
  CgroupSupport support;
  const auto mountinfo = readFile("/proc/self/mountinfo", 4u << 20);
  const auto self = readFile("/proc/self/cgroup", 64u << 10);
  if (!mountinfo || !self) {
    support.reason = "cgroups cannot be read from /proc/self";
    return support;
  }
  const auto mounts = parseCgroupMounts(*mountinfo);
  Place cpu = findPlace(mounts, *self, kCpu);
  Place memory = findPlace(mounts, *self, kMemory);
  support.cpu_parent = std::move(cpu.parent);
  support.cpu_v2 = cpu.v2;
  support.memory_parent = std::move(memory.parent);
  support.memory_v2 = memory.v2;
  support.reason = cpu.reason + "; " + memory.reason;
  return support;
}

Result<Cgroup> Cgroup::create(const CgroupSupport& support, const std::string& name,
                              const CgroupLimits& limits) {
  Cgroup group;
  if (support.cpu() && limits.milli_cpus > 0) {
    const std::string directory = support.cpu_parent + "/" + name;
    BUOY_TRY_VOID(makeGroup(directory));
    group.directories_.push_back(directory);
    BUOY_TRY_VOID(limitCpu(directory, support.cpu_v2, limits.milli_cpus));
  }
  if (support.memory() && limits.memory.value > 0) {
    const std::string directory = support.memory_parent + "/" + name;
    if (!contains(group.directories_, directory)) {
      BUOY_TRY_VOID(makeGroup(directory));
      group.directories_.push_back(directory);
    }
    BUOY_TRY_VOID(limitMemory(directory, support.memory_v2, limits.memory));
  }
  return group;
}

Result<std::vector<Fd>> Cgroup::openProcs() const {
  std::vector<Fd> files;
  for (const std::string& directory : directories_) {
    BUOY_TRY(Fd fd, openFile(directory + "/cgroup.procs", O_WRONLY));
    files.push_back(std::move(fd));
  }
  return files;
}

std::vector<pid_t> Cgroup::processes() const {
  std::vector<pid_t> pids;
  if (directories_.empty()) return pids;
  const auto content = readFile(directories_.front() + "/cgroup.procs", 16u << 20);
  if (!content) return pids;
  for (const auto line : split(*content, '\n')) {
    pid_t pid = 0;
    std::from_chars(line.data(), line.data() + line.size(), pid);
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

// Version 1 tells nobody when a group becomes empty, so this looks again and again.
Status removeCgroup(const std::string& directory, Duration limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (::rmdir(directory.c_str()) != 0 && errno != ENOENT) {
    if (errno != EBUSY || std::chrono::steady_clock::now() >= until)
      return failErrno(errno, "remove cgroup " + directory);
    ::poll(nullptr, 0, 1);
  }
  return {};
}

}  // namespace buoy::os
