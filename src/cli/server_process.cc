#include "cli/server_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/context.h"
#include "os/files.h"
#include "os/process.h"
#include "os/terminal.h"

namespace buoy::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kStartLimit = std::chrono::seconds{10};
constexpr Duration kLookAgain = std::chrono::milliseconds{5};

// This process's environment with the places made absolute: the server's working directory is another one.
std::vector<std::string> serverEnvironment(const ServerAddress& address) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("BUOY_STATE_DIR=") && !text.starts_with("BUOY_CONFIG="))
      variables.emplace_back(text);
  }
  variables.push_back("BUOY_STATE_DIR=" + address.state_dir);
  if (const std::string config = configFile(); !config.empty()) variables.push_back("BUOY_CONFIG=" + config);
  return variables;
}

std::string withLog(std::string message, const ServerAddress& address) {
  const std::string tail = lastLines(address.log(), 12);
  return tail.empty() ? message : message + "; the end of " + address.log() + ":\n" + tail;
}

}  // namespace

bool serverAnswers(const ServerAddress& address) {
  net::Request request;
  request.method = "GET";
  request.target = "/v1/server";
  auto client = net::makeClient(address.endpoint, address.options);
  return client->send(request, std::chrono::seconds{5}).has_value();
}

Status startServer(const ServerAddress& address, const std::vector<std::string>& arguments) {
  BUOY_TRY_VOID(os::makeDirectories(address.state_dir, 0700));
  BUOY_TRY(const std::string program, os::executablePath());
  BUOY_TRY(const os::Fd log, os::openFile(address.log(), O_WRONLY | O_CREAT | O_APPEND, 0600));
  os::SpawnOptions options;
  options.command = {program, "serve"};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  options.environment = serverEnvironment(address);
  options.directory = "/";
  options.fds = {{log.get(), 1}, {log.get(), 2}};
  options.new_session = true;
  BUOY_TRY(os::Spawned server, os::spawn(options));

  const auto deadline = SteadyClock::now() + kStartLimit;
  bool ended = false;
  while (SteadyClock::now() < deadline) {
    if (serverAnswers(address)) return {};
    // When ours ended because another one holds the lock, that one is about to answer.
    if (!ended && server.handle.waitEnded(kLookAgain)) {
      ended = true;
      const auto status = server.handle.reap();
      const bool lost_the_race = status && status->code == 5;
      if (!lost_the_race) {
        return fail(
            ErrorCode::unavailable,
            withLog("the server did not start (" + (status ? status->toString() : "ended") + ")", address));
      }
    } else if (ended) {
      os::waitReadable(-1, kLookAgain);
    }
  }
  return fail(ErrorCode::unavailable, withLog("the server does not answer after 10 s", address), true);
}

std::string findAgent() {
  std::error_code error;
  if (const auto given = environment("BUOY_AGENT")) return std::filesystem::absolute(*given, error).string();
  const auto program = os::executablePath();
  if (!program) return {};
  const std::filesystem::path directory = std::filesystem::path(*program).parent_path();
  for (const auto& candidate : {directory / "buoy-agent", directory.parent_path() / "libexec/buoy-agent",
                                directory.parent_path() / "libexec/buoy/buoy-agent"}) {
    if (std::filesystem::is_regular_file(candidate, error)) return candidate.string();
  }
  return {};
}

std::string lastLines(const std::string& path, int lines) {
  constexpr std::streamoff kMost = 64 << 10;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kMost));
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::size_t begin = text.ends_with('\n') ? text.size() - 1 : text.size();
  while (begin > 0) {
    if (text[begin - 1] == '\n' && --lines <= 0) break;
    --begin;
  }
  return text.substr(begin);
}

}  // namespace buoy::cli
