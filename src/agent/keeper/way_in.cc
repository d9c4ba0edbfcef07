#include "agent/keeper/way_in.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/parse_number.h"
#include "base/shell.h"
#include "base/strings.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

constexpr std::uint64_t kMostPasswd = 1 << 20;
constexpr unsigned kFirstPerson = 1000, kNobody = 65534;
constexpr std::size_t kFields = 7;
constexpr std::array kPassedOn = {"AWS_", "CONTAINER",      "DOCKER_",
                                  "PATH", "STORAGE_DRIVER", "XDG_RUNTIME_DIR"};

}  // namespace

LoginUser loginUser(std::string_view passwd, const std::function<bool(const std::string& home)>& has_keys) {
  for (const std::string_view line : split(passwd, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < kFields) continue;
    const auto uid = parseNumber<unsigned>(fields[2]);
    const auto gid = parseNumber<unsigned>(fields[3]);
    if (uid && gid && *uid >= kFirstPerson && *uid < kNobody && has_keys(std::string(fields[5])))
      return {std::string(fields[0]), *uid, *gid};
  }
  return {};
}

LoginUser loginUserHere() {
  const auto passwd = os::readFile("/etc/passwd", kMostPasswd);
  return loginUser(passwd ? *passwd : std::string(), [](const std::string& home) {
    return ::access((home + "/.ssh/authorized_keys").c_str(), F_OK) == 0;
  });
}

Status writeWayIn(const Desk& desk, const Environment& environment) {
  BUOY_TRY(const std::string program, os::executablePath());
  std::string script = "#!/bin/sh\n";
  for (const auto& [name, value] : environment) {
    const bool passed = std::any_of(kPassedOn.begin(), kPassedOn.end(),
                                    [&own = name](const char* each) { return own.starts_with(each); });
    if (passed) script += strCat({"export ", name, "=", quotedForShell(value), "\n"});
  }
  script += strCat({"exec ", quotedForShell(program), " \"$@\"\n"});
  return os::writeFileAtomic(desk.wayIn(), script, 0700);
}

}  // namespace buoy::agent
