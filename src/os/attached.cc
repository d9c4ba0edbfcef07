#include "os/attached.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "os/files.h"
#include "os/process.h"

namespace buoy::os {
namespace {

constexpr std::string_view kUsualPath = "/usr/local/bin:/usr/bin:/bin";

int awaitEnd(const Spawned& child) {
  while (!child.handle.waitEnded(std::chrono::hours{1})) {
  }
  const auto status = child.handle.reap();
  return status ? status->code : 1;
}

Result<Spawned> start(std::vector<std::string> command, const std::vector<std::string>& environment,
                      int input, int output) {
  SpawnOptions options;
  BUOY_TRY(command[0], findProgram(command[0], environment));
  options.command = std::move(command);
  options.environment = environment;
  options.fds = {{output, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
  if (input >= 0) options.fds.emplace_back(input, STDIN_FILENO);
  return spawn(options);
}

}  // namespace

Result<std::string> findProgram(const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) return name;
  std::string_view path = kUsualPath;
  for (const std::string& variable : environment) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  for (const std::string_view directory : split(path, ':')) {
    std::string candidate = strCat({directory.empty() ? "." : directory, "/", name});
    if (!name.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(ErrorCode::not_found, "there is no program " + inQuotes(name) + " in PATH");
}

Result<int> runAttached(std::vector<std::string> command, const std::vector<std::string>& environment) {
  BUOY_TRY(const Spawned child, start(std::move(command), environment, STDIN_FILENO, STDOUT_FILENO));
  return awaitEnd(child);
}

Result<std::vector<int>> runPipeline(std::vector<std::vector<std::string>> commands,
                                     const std::vector<std::string>& environment, int input) {
  std::vector<Spawned> children;
  Fd from;  // what the command before writes into
  Status begun;
  for (std::size_t i = 0; i < commands.size() && begun; ++i) {
    int ends[2] = {-1, -1};
    const bool last = i + 1 == commands.size();
    if (!last && ::pipe2(ends, O_CLOEXEC) != 0) begun = failErrno(errno, "pipe");
    Fd to(ends[1]);
    if (!begun) break;
    auto child = start(std::move(commands[i]), environment, i == 0 ? input : from.get(),
                       last ? STDOUT_FILENO : to.get());
    from = Fd(ends[0]);
    if (!child) {
      begun = fail(child.error());
    } else {
      children.push_back(std::move(*child));
    }
  }
  from.reset();
  std::vector<int> codes;
  for (const Spawned& child : children) codes.push_back(awaitEnd(child));
  if (!begun) return fail(begun.error());
  return codes;
}

Result<Fd> memoryFile(std::string_view content) {
  Fd fd(::memfd_create("input", MFD_CLOEXEC));
  if (!fd) return failErrno(errno, "memory file");
  BUOY_TRY_VOID(writeAll(fd.get(), content));
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

}  // namespace buoy::os
