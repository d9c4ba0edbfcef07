#include "agent/mounts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/pause.h"
#include "base/strings.h"
#include "os/files.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

constexpr Duration kQuick = std::chrono::minutes{1};
constexpr Duration kMakeLimit = std::chrono::minutes{10};
constexpr Duration kGrowLimit = std::chrono::minutes{10};
constexpr Duration kFlushLimit = std::chrono::minutes{5};
constexpr std::uint64_t kMaxMounts = 4 << 20;
constexpr std::size_t kMostSaid = 400;
constexpr int kNothingFound = 2;  // blkid's status
constexpr int kCorrected = 1;     // e2fsck's status

// What a program said, on one line.
std::string saidBy(const os::CommandOutput& output) {
  std::string said;
  for (const std::string_view line : split(output.err.empty() ? output.out : output.err, '\n')) {
    if (trim(line).empty() || line.starts_with("resize2fs 1.") || said.size() > kMostSaid) continue;
    said += strCat({said.empty() ? "" : "; ", trim(line)});
  }
  return said.substr(0, kMostSaid);
}

std::string valueOf(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=')
      return std::string(trim(line.substr(key.size() + 1)));
  }
  return {};
}

bool succeeded(const os::CommandOutput& output) {
  return !output.status.signalled && output.status.code == 0;
}

}  // namespace

Mounts::Options Mounts::ofThisMachine(const std::vector<std::string>& environment) {
  Options options;
  options.run = [environment](const std::vector<std::string>& command, Duration limit) {
    return os::runCommand(command, environment, limit);
  };
  return options;
}

Mounts::~Mounts() {
  release();
}

std::vector<std::string> Mounts::takeEvents() {
  return std::exchange(events_, {});
}

Result<os::CommandOutput> Mounts::run(const std::vector<std::string>& command, Duration limit) {
  auto output = options_.run(command, limit);
  if (!output && output.error().code == ErrorCode::not_found)
    return fail(ErrorCode::invalid_argument,
                strCat({"the machine's image has no ", command[0], ": install it by the pool's `commands`"}));
  return output;
}

Status Mounts::must(const std::vector<std::string>& command, Duration limit) {
  BUOY_TRY(const os::CommandOutput output, run(command, limit));
  if (succeeded(output)) return {};
  return fail(ErrorCode::internal, strCat({command[0], ": ", saidBy(output)}));
}

// ---- mounting

Status Mounts::mount(std::vector<cloud::Mount> mounts, const std::stop_token& stop) {
  std::stable_sort(mounts.begin(), mounts.end(),
                   [](const auto& a, const auto& b) { return a.path < b.path; });
  for (const cloud::Mount& each : mounts) {
    if (const Status done = mountOne(each, stop); !done)
      return fail(done.error().wrap(strCat({each.volume.empty() ? "file system " : "volume ", each.name})));
  }
  return {};
}

Status Mounts::mountOne(const cloud::Mount& mount, const std::stop_token& stop) {
  if (std::find(paths_.begin(), paths_.end(), mount.path) != paths_.end()) return {};
  // An agent before this one left it: whatever it shows, it is not known to be this.
  if (isMounted(mount.path)) unmount(mount.path);
  BUOY_TRY_VOID(os::makeDirectories(mount.path));
  return mount.volume.empty() ? mountShared(mount, stop) : mountVolume(mount, stop);
}

bool Mounts::isMounted(const std::string& path) const {
  const auto text = os::readFile(options_.mounted, kMaxMounts);
  if (!text) return false;
  for (const std::string_view line : split(*text, '\n')) {
    const auto fields = split(line, ' ');
    if (fields.size() > 1 && fields[1] == path) return true;
  }
  return false;
}

// By what the instance's driver says of it; on instances without NVMe by the name that it was attached as.
std::string Mounts::findDevice(const cloud::Mount& mount) const {
  std::string serial = mount.volume;
  std::erase(serial, '-');
  const std::string by_id = strCat({options_.dev, "/disk/by-id/nvme-Amazon_Elastic_Block_Store_", serial});
  if (::access(by_id.c_str(), F_OK) == 0) return by_id;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.sys + "/block", error)) {
    const auto told = os::readFile(entry.path().string() + "/device/serial", 1000);
    const std::string device = strCat({options_.dev, "/", entry.path().filename().string()});
    if (told && trim(*told) == serial && ::access(device.c_str(), F_OK) == 0) return device;
  }
  std::string name = mount.device.substr(mount.device.rfind('/') + 1);
  for (int spelling = 0; spelling < 2 && !name.empty(); ++spelling) {
    const std::string device = strCat({options_.dev, "/", name});
    if (::access(device.c_str(), F_OK) == 0) return device;
    if (name.starts_with("sd")) name = "xvd" + name.substr(2);
  }
  return {};
}

Result<std::string> Mounts::awaitDevice(const cloud::Mount& mount, const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + options_.device_patience;
  for (;;) {
    if (std::string device = findDevice(mount); !device.empty()) return device;
    if (std::chrono::steady_clock::now() >= end || !pauseFor(options_.every, stop))
      return fail(ErrorCode::unavailable, strCat({"the machine has no device for ", mount.volume}), true);
  }
}

// "": there is nothing on it.
Result<std::string> Mounts::formatOf(const std::string& device) {
  BUOY_TRY(const os::CommandOutput output, run({"blkid", "-p", "-o", "export", device}, kQuick));
  if (!output.status.signalled && output.status.code == kNothingFound) return std::string();
  if (!succeeded(output))
    return fail(ErrorCode::internal, strCat({"blkid cannot tell what is on it: ", saidBy(output)}));
  std::string format = valueOf(output.out, "TYPE");
  if (!format.empty()) return format;
  return fail(ErrorCode::invalid_argument,
              strCat({"it holds a partition table (", valueOf(output.out, "PTTYPE"),
                      ") and no file system of its own: only volumes without partitions can be mounted"}));
}

Status Mounts::makeFileSystem(const cloud::Mount& mount, const std::string& device) {
  const std::string format(toString(mount.format));
  if (mount.format == cloud::VolumeFormat::xfs) return must({"mkfs.xfs", "-q", device}, kMakeLimit);
  return must({"mkfs.ext4", "-q", "-m", "0", device}, kMakeLimit);
}

Status Mounts::mountVolume(const cloud::Mount& mount, const std::stop_token& stop) {
  BUOY_TRY(const std::string device, awaitDevice(mount, stop));
  BUOY_TRY(std::string format, formatOf(device));
  const bool is_new = format.empty();
  if (is_new) {
    BUOY_TRY_VOID(makeFileSystem(mount, device));
    format = toString(mount.format);
  }
  std::vector<std::string> command{"mount", "-t", format};
  // A volume made from a snapshot has the UUID of its origin.
  if (format == "xfs") command.insert(command.end(), {"-o", "nouuid"});
  command.insert(command.end(), {device, mount.path});
  BUOY_TRY_VOID(must(command, kFlushLimit));
  paths_.push_back(mount.path);
  if (is_new) {
    // Whoever runs the job's programs, also in containers, is to write there.
    ::chmod(mount.path.c_str(), 0777);
  } else {
    const Status grown = grow(mount, device, format);
    if (!grown && !isMounted(mount.path)) return grown;
    if (!grown)
      events_.push_back(strCat(
          {"volume ", mount.name, " could not be made as large as its device: ", grown.error().message}));
  }
  events_.push_back(
      strCat({"volume ", mount.name, " is at ", mount.path, " (", is_new ? "new " : "", format, ")"}));
  return {};
}

// Nothing happens where it is as large as the device.
Status Mounts::grow(const cloud::Mount& mount, const std::string& device, const std::string& format) {
  if (format == "xfs") return must({"xfs_growfs", mount.path}, kGrowLimit);
  if (!format.starts_with("ext")) return {};
  const Status online = must({"resize2fs", device}, kGrowLimit);
  // Without CAP_SYS_RESOURCE (in a container) only while it is not mounted, and checked.
  if (online || online.error().message.find("ermission denied") == std::string::npos) return online;
  BUOY_TRY_VOID(must({"umount", mount.path}, kFlushLimit));
  BUOY_TRY(const os::CommandOutput checked, run({"e2fsck", "-f", "-p", device}, kGrowLimit));
  const bool sound = !checked.status.signalled && checked.status.code <= kCorrected;
  const Status grown = sound ? must({"resize2fs", device}, kGrowLimit)
                             : Status(fail(ErrorCode::internal, strCat({"e2fsck: ", saidBy(checked)})));
  BUOY_TRY_VOID(must({"mount", "-t", format, device, mount.path}, kFlushLimit));
  return grown;
}

std::vector<std::string> sharedMountCommand(const cloud::Mount& mount) {
  return {"mount",
          "-t",
          "nfs4",
          "-o",
          "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport",
          mount.server,
          mount.path};
}

// Its server may come up later than the machine.
Status Mounts::mountShared(const cloud::Mount& mount, const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + options_.server_patience;
  Duration pause = options_.every;
  for (;;) {
    const Status done = must(sharedMountCommand(mount), kQuick);
    if (done) break;
    const std::string& why = done.error().message;
    if (why.find("helper program") != std::string::npos ||
        why.find("unknown filesystem") != std::string::npos)
      return fail(ErrorCode::invalid_argument,
                  "the machine's image has no NFS client: install it by the pool's `commands` (nfs-utils or "
                  "nfs-common)");
    if (std::chrono::steady_clock::now() + pause >= end || !pauseFor(pause, stop))
      return fail(ErrorCode::unavailable, why, true);
    pause = std::min(pause * 2, std::chrono::duration_cast<Duration>(std::chrono::seconds{10}));
  }
  paths_.push_back(mount.path);
  events_.push_back(strCat({"file system ", mount.name, " is at ", mount.path, " (", mount.server, ")"}));
  return {};
}

// ---- unmounting

void Mounts::release() {
  while (!paths_.empty()) {
    unmount(paths_.back());
    paths_.pop_back();
  }
}

void Mounts::unmount(const std::string& path) {
  const auto end = std::chrono::steady_clock::now() + options_.busy_patience;
  Status done;
  for (;;) {
    done = must({"umount", path}, kFlushLimit);
    if (done || std::chrono::steady_clock::now() >= end || !pauseFor(options_.every, {})) break;
  }
  if (done) return;
  os::log(os::LogLevel::warn, "unmount_failed", {{"path", path}, {"error", done.error().message}});
  events_.push_back(
      strCat({path, " is still in use (", done.error().message, "): it is let go when that ends"}));
  (void)must({"sync", "-f", path}, kFlushLimit);
  (void)must({"umount", "-l", path}, kQuick);
}

}  // namespace buoy::agent
