#include "cli/server_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/exit_codes.h"
#include "os/files.h"
#include "os/process.h"
#include "os/terminal.h"

namespace buoy::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr auto kStartLimit = std::chrono::seconds{10};
constexpr int kLogLines = 12;
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

std::uint64_t sizeOf(const os::Fd& file) {
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  return size > 0 ? static_cast<std::uint64_t>(size) : 0;
}

// `said`: what the server wrote.
Error notStarted(const std::optional<os::ExitStatus>& status, std::string said,
                 const ServerAddress& address) {
  constexpr std::string_view kPrefix = "error: ";
  const int code = status && !status->signalled ? status->code : 0;
  // What it refused is for whoever started it, as if they had been refused themselves.
  if (code == static_cast<int>(ExitCode::usage) || code == static_cast<int>(ExitCode::not_found)) {
    if (said.starts_with(kPrefix)) said.erase(0, kPrefix.size());
    while (said.ends_with('\n')) said.pop_back();
    return {code == static_cast<int>(ExitCode::usage) ? ErrorCode::invalid_argument : ErrorCode::not_found,
            "the server did not start: " + said};
  }
  std::string message =
      strCat({"the server did not start (", status ? status->toString() : std::string("ended"), ")"});
  if (!said.empty()) message += strCat({"; the end of ", address.log(), ":\n", said});
  return {ErrorCode::unavailable, message};
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
  const std::uint64_t said_before = sizeOf(log);
  BUOY_TRY(os::Spawned server, os::spawn(options));

  const auto deadline = SteadyClock::now() + kStartLimit;
  bool ended = false;
  while (SteadyClock::now() < deadline) {
    if (serverAnswers(address)) return {};
    // When ours ended because another one holds the lock, that one is about to answer.
    if (!ended && server.handle.waitEnded(kLookAgain)) {
      ended = true;
      const auto status = server.handle.reap();
      const bool lost_the_race = status && status->code == static_cast<int>(ExitCode::refused);
      if (!lost_the_race)
        return fail(notStarted(status, lastLines(address.log(), kLogLines, said_before), address));
    } else if (ended) {
      os::waitReadable(-1, kLookAgain);
    }
  }
  return fail(ErrorCode::unavailable,
              strCat({"the server does not answer after 10 s; the end of ", address.log(), ":\n",
                      lastLines(address.log(), kLogLines, said_before)}),
              true);
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

std::string lastLines(const std::string& path, int lines, std::uint64_t from) {
  constexpr std::streamoff kMost = 64 << 10;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  file.seekg(std::max({std::streamoff{0}, size - kMost, static_cast<std::streamoff>(from)}));
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::size_t begin = text.ends_with('\n') ? text.size() - 1 : text.size();
  while (begin > 0) {
    if (text[begin - 1] == '\n' && --lines <= 0) break;
    --begin;
  }
  return text.substr(begin);
}

}  // namespace buoy::cli
