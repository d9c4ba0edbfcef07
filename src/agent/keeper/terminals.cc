#include "agent/keeper/terminals.h"

#include <algorithm>
#include <charconv>

#include "base/shell.h"
#include "base/strings.h"
#include "os/attached.h"
#include "os/command_output.h"

namespace buoy::agent {
namespace {

constexpr Duration kTmuxPatience = std::chrono::seconds{10};

}  // namespace

Result<Terminals> Terminals::open(const Desk& desk, const Environment& environment) {
  auto tmux = os::findProgram("tmux", environmentWords(environment));
  if (!tmux)
    return fail(ErrorCode::failed_precondition,
                "tmux is not installed on this machine: scripts and shells run in its sessions");
  // A client inside another tmux is a new one all the same.
  Environment own = environment;
  own.erase("TMUX");
  return Terminals({*tmux, "-u", "-S", desk.socket(), "-f", desk.tmuxConfig()}, std::move(own));
}

Result<std::string> Terminals::ask(const Words& words) const {
  Words command = base_;
  command.insert(command.end(), words.begin(), words.end());
  BUOY_TRY(const os::CommandOutput output,
           os::runCommand(std::move(command), environmentWords(environment_), kTmuxPatience));
  if (output.status.code != 0)
    return fail(ErrorCode::failed_precondition, "tmux: " + std::string(trim(output.err)));
  return output.out;
}

Status Terminals::startServer() const {
  BUOY_TRY_VOID(ask({"start-server"}));
  return {};
}

std::vector<Terminals::Session> Terminals::sessions() const {
  // No tab between: without a locale tmux writes it as something else.
  const auto listed =
      ask({"list-panes", "-a", "-F", "#{session_name}:#{session_attached}:#{pane_dead}:#{pane_dead_status}"});
  std::vector<Session> all;
  if (!listed) return all;
  for (const std::string_view line : split(*listed, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 4) continue;
    Session session{std::string(fields[0]), fields[1] != "0", fields[2] == "1", 0};
    std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), session.exit_code);
    if (all.empty() || all.back().name != session.name) all.push_back(std::move(session));
  }
  return all;
}

bool Terminals::has(const std::string& session) const {
  const auto all = sessions();
  return std::any_of(all.begin(), all.end(), [&](const Session& one) { return one.name == session; });
}

Status Terminals::create(const std::string& session, const std::string& window, const Words& command,
                         bool remain, const std::string& log) const {
  // Of tmux's usual size: a terminal that comes later is larger, and growing loses no line.
  Words words = {"new-session", "-d", "-s", session, "-n", window};
  words.insert(words.end(), command.begin(), command.end());
  // In one message to the server: before it can see that the program has ended.
  if (remain) words.insert(words.end(), {";", "set-option", "-w", "-t", session, "remain-on-exit", "on"});
  if (!log.empty())
    words.insert(words.end(), {";", "pipe-pane", "-t", session, "exec cat >>" + quotedForShell(log)});
  BUOY_TRY_VOID(ask(words));
  return {};
}

Status Terminals::remove(const std::string& session) const {
  BUOY_TRY_VOID(ask({"kill-session", "-t", "=" + session}));
  return {};
}

void Terminals::endServer() const {
  (void)ask({"kill-server"});
}

Words Terminals::attachWords(const std::string& session) const {
  Words words = base_;
  words.insert(words.end(), {"attach-session", "-t", "=" + session});
  return words;
}

}  // namespace buoy::agent
