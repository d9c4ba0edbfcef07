#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "cloud/storage.h"
#include "os/command_output.h"

namespace buoy::agent {

// A job's volumes and shared file systems on this machine, by the system's own programs (blkid, mkfs, mount,
// resize2fs, xfs_growfs, umount). What is mounted is unmounted by the destructor at the latest. Worker
// thread; blocks.
class Mounts {
 public:
  struct Options {
    // Runs a program to its end; `command[0]` is looked for in the PATH.
    std::function<Result<os::CommandOutput>(const std::vector<std::string>& command, Duration limit)> run;
    std::string dev = "/dev", sys = "/sys";  // where devices are
    std::string mounted = "/proc/self/mounts";
    Duration device_patience = std::chrono::minutes{2};  // for a device to show up
    Duration server_patience = std::chrono::minutes{5};  // for a shared file system's server to answer
    Duration busy_patience = std::chrono::seconds{10};   // for the last process to leave, when unmounting
    Duration every = std::chrono::milliseconds{200};
  };
  // With the machine's own programs and devices.
  static Options ofThisMachine(const std::vector<std::string>& environment);

  explicit Mounts(Options options) : options_(std::move(options)) {}
  ~Mounts();
  Mounts(const Mounts&) = delete;
  Mounts& operator=(const Mounts&) = delete;

  // All of them, in order of their paths. A device without any file system gets one; nothing else is ever
  // made on a device that holds something. File systems are made as large as their devices. unavailable: the
  // device or the server is not there (yet); `stop` ends the wait.
  Status mount(std::vector<cloud::Mount> mounts, const std::stop_token& stop);
  // What is written is on the volumes afterwards. Again: nothing.
  void release();
  // Sentences for the job's history since the last call.
  std::vector<std::string> takeEvents();

 private:
  Status mountOne(const cloud::Mount& mount, const std::stop_token& stop);
  Status mountVolume(const cloud::Mount& mount, const std::stop_token& stop);
  Status mountShared(const cloud::Mount& mount, const std::stop_token& stop);
  Result<std::string> awaitDevice(const cloud::Mount& mount, const std::stop_token& stop);
  std::string findDevice(const cloud::Mount& mount) const;
  Result<std::string> formatOf(const std::string& device);
  Status makeFileSystem(const cloud::Mount& mount, const std::string& device);
  Status grow(const cloud::Mount& mount, const std::string& device, const std::string& format);
  bool isMounted(const std::string& path) const;
  Result<os::CommandOutput> run(const std::vector<std::string>& command, Duration limit);
  Status must(const std::vector<std::string>& command, Duration limit);
  void unmount(const std::string& path);

  const Options options_;
  std::vector<std::string> paths_;  // mounted by this, in order
  std::vector<std::string> events_;
};

// How a shared file system is mounted: as AWS recommends for EFS
// (https://docs.aws.amazon.com/efs/latest/ug/mounting-fs-nfs-mount-settings.html).
std::vector<std::string> sharedMountCommand(const cloud::Mount& mount);

}  // namespace buoy::agent
