// buoy doctor: is everything there that Buoy can use?
#include <filesystem>
#include <memory>

#include "api/views.h"
#include "base/strings.h"
#include "cli/aws_checks.h"
#include "cli/commands/commands.h"
#include "cli/server_process.h"
#include "cli/submission.h"
#include "os/files.h"
#include "os/process.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLittleSpace = std::uint64_t{5} << 30;
constexpr Duration kPythonLimit = std::chrono::seconds{20};

Check good(std::string subject, std::string finding) {
  return {Check::State::good, std::move(subject), std::move(finding), ""};
}
Check limited(std::string subject, std::string finding, std::string advice) {
  return {Check::State::limited, std::move(subject), std::move(finding), std::move(advice)};
}
Check bad(std::string subject, std::string finding, std::string advice) {
  return {Check::State::bad, std::move(subject), std::move(finding), std::move(advice)};
}

Check checkServer(const ServerAddress& address) {
  Connection connection(address, Connection::Start::never);
  auto body = connection.get("/v1/server");
  if (!body) {
    if (address.own && body.error().code == ErrorCode::unavailable)
      return good("server", "not running; the next command starts it");
    return bad("server", body.error().message,
               "is $BUOY_SERVER right, and $BUOY_TOKEN? The server's own log: buoy server log");
  }
  auto server = api::parseServer(*body);
  if (!server) return bad("server", server.error().message, "is it of the same version as this program?");
  if (server->version != BUOY_VERSION)
    return limited("server", "version " + server->version + ", this program " BUOY_VERSION,
                   "restart it: buoy server stop");
  return good("server", "version " + server->version + ", process " + std::to_string(server->pid));
}

Check checkState(const ServerAddress& address) {
  const std::string probe = address.state_dir + "/.doctor";
  std::error_code error;
  Status written = os::makeDirectories(address.state_dir, 0700);
  if (written) written = os::writeFileAtomic(probe, "");
  fs::remove(probe, error);
  if (!written)
    return bad("state", written.error().message, "set BUOY_STATE_DIR to a directory that you may write");
  if (address.socket().size() > 107)
    return bad("state", address.state_dir + " is too long for a Unix socket's path",
               "set BUOY_STATE_DIR to a shorter one");
  return good("state", address.state_dir);
}

Check checkSpace(const ServerAddress& address) {
  std::error_code error;
  const fs::space_info space = fs::space(address.state_dir, error);
  if (error) return limited("disk", error.message(), "cannot tell how much room there is");
  const std::string finding =
      formatByteCount({space.available}) + " free of " + formatByteCount({space.capacity});
  if (space.available < kLittleSpace)
    return limited("disk", finding, "checkpoints need room: set `store:` in config.yaml to another disk");
  return good("disk", finding);
}

// Exit code of a program, its output thrown away; nullopt if it did not run or did not end in time.
std::optional<int> exitCodeOfProgram(const std::vector<std::string>& command) {
  os::SpawnOptions options;
  options.command = command;
  options.environment = {"PATH=" + environment("PATH").value_or("/usr/bin:/bin"),
                         "HOME=" + environment("HOME").value_or("/")};
  auto child = os::spawn(options);
  if (!child) return std::nullopt;
  if (!child->handle.waitEnded(kPythonLimit)) {
    (void)child->handle.signal(9);
    (void)child->handle.waitEnded(kPythonLimit);
    (void)child->handle.reap();
    return std::nullopt;
  }
  const auto status = child->handle.reap();
  return status ? std::optional<int>(status->code) : std::nullopt;
}

Check checkAgent() {
  const std::string agent = findAgent();
  if (agent.empty()) return bad("agent", "buoy-agent was not found", "put it beside buoy, or set BUOY_AGENT");
  if (exitCodeOfProgram({agent, "--version"}).value_or(1) != 0)
    return bad("agent", agent + " does not run", "is it complete, and executable?");
  return good("agent", agent);
}

Check checkPython() {
  std::vector<std::string> candidates;
  if (const auto given = environment("PYTHON")) candidates.push_back(*given);
  const std::string path = environment("PATH").value_or("/usr/bin:/bin");
  for (const std::string_view directory : split(path, ':'))
    candidates.push_back(std::string(directory) + "/python3");
  candidates.push_back("/usr/bin/python3");
  std::string first;
  std::error_code error;
  for (const std::string& candidate : candidates) {
    if (!fs::is_regular_file(candidate, error)) continue;
    const bool found =
        exitCodeOfProgram(
            {candidate, "-c",
             "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"}) == 0;
    // `python3` in a job is the first of these.
    if (found && first.empty()) return good("python", candidate + " has torch");
    if (found)
      return limited("python", first + " has no torch, but " + candidate + " has",
                     "name that one in `run:`, or put it first in PATH");
    if (first.empty()) first = candidate;
  }
  if (first.empty())
    return limited("python", "there is no python3",
                   "only needed for jobs in Python: apt-get install python3-torch");
  return limited("python", first + " has no torch",
                 "only needed for PyTorch jobs: apt-get install python3-torch");
}

std::string render(const Look& look, const std::vector<Check>& checks) {
  int width = 0;
  for (const Check& check : checks) width = std::max(width, displayWidth(check.subject));
  std::string text;
  for (const Check& check : checks) {
    const bool fine = check.state == Check::State::good, bad_one = check.state == Check::State::bad;
    const Color color = fine ? Color::green : bad_one ? Color::red : Color::yellow;
    const std::string_view sign = look.unicode ? (fine      ? "✓"
                                                  : bad_one ? "✗"
                                                            : "!")
                                               : (fine      ? "ok  "
                                                  : bad_one ? "BAD "
                                                            : "note");
    text += paint(look, color, sign) + " " + pad(check.subject, width) + "  " + cleaned(check.finding) + "\n";
    if (!check.advice.empty())
      text += repeat(" ", displayWidth(sign) + 1 + width + 2) + paint(look, Color::dim, check.advice) + "\n";
  }
  return text;
}

int report(const Context& context, const std::vector<Check>& checks) {
  context.print(render(context.out, checks));
  const bool any_bad = std::any_of(checks.begin(), checks.end(),
                                   [](const Check& check) { return check.state == Check::State::bad; });
  return any_bad ? 1 : 0;
}

struct AwsFlags {
  std::string region, profile;
};

int runAws(const Context& context, const AwsFlags& flags) {
  return report(context, checkAws(flags.profile, flags.region));
}

int runDoctor(const Context& context) {
  auto address = serverAddress(context.server);
  if (!address) return context.fail(address.error());
  std::vector<Check> checks{checkServer(*address)};
  if (address->own) {
    checks.push_back(checkState(*address));
    checks.push_back(checkSpace(*address));
    checks.push_back(checkAgent());
    for (Check& check : context.hooks.check_host()) checks.push_back(std::move(check));
    checks.push_back(checkPython());
  }
  return report(context, checks);
}

}  // namespace

void addDoctor(Command& root) {
  Command& command = root.add("doctor", "Check whether everything is there that Buoy can use");
  command.details = "Ends with 1 if something is there that Buoy cannot do without.";
  command.action = [](Context& context) { return runDoctor(context); };
  auto flags = std::make_shared<AwsFlags>();
  Command& aws = command.add("aws", "The same for machines on AWS: keys, rights, network, store");
  aws.option("--region", "REGION", flags->region, "instead of the pools' and of AWS_REGION");
  aws.option("--profile", "NAME", flags->profile, "of AWS's shared files");
  aws.action = [flags](Context& context) { return runAws(context, *flags); };
}

}  // namespace buoy::cli
