#include "agent/keeper/scripts.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/keeper/shown_command.h"
#include "os/attached.h"
#include "os/files.h"
#include "os/terminal.h"

namespace buoy::agent {
namespace {

constexpr unsigned kRunnable = 0755;
constexpr unsigned kAnybodys = 0666;  // whatever the umask says
constexpr int kCannotRun = 126;

}  // namespace

Status startScript(const Desk& desk, const Terminals& terminals, api::WorkspaceScript script) {
  // Of its last start: another process may have that number now. The container's user is to write the new
  // one.
  const std::string pid_file = desk.pidFile(script.session);
  BUOY_TRY_VOID(os::writeFileAtomic(pid_file, "", kAnybodys));
  if (::chmod(pid_file.c_str(), kAnybodys) != 0) return failErrno(errno, pid_file);
  BUOY_TRY_VOID(os::writeFileAtomic(desk.scriptFile(script.session), script.text, kRunnable));
  ++script.starts;
  script.ended = false;
  BUOY_TRY_VOID(desk.writeRecord(script));
  BUOY_TRY(const std::string agent, os::executablePath());
  return terminals.create(
      script.session, script.name,
      {agent, "workspace", "inside", "--directory", desk.root(), "--session", script.session}, true,
      script.logged ? desk.logFile(script.session) : std::string());
}

int runScript(const Desk& desk, const Environment& environment, const std::string& session) {
  // Who closes the session ends the script: that is to be noted, so this program outlives the terminal.
  ::signal(SIGHUP, SIG_IGN);
  const auto complain = [](const Error& error) {
    std::fprintf(stderr, "%s\n", error.message.c_str());
    return kCannotRun;
  };
  const auto script = desk.record(session);
  if (!script) return complain({ErrorCode::not_found, "there is no script of the session " + session});
  const auto host = ContainerHost::open(desk, environment);
  if (!host) return complain(host.error());
  const auto code = os::runAttached(host->enterScript(*script), environmentWords(environment));
  if (!code) return complain(code.error());
  if (::access(desk.ending().c_str(), F_OK) == 0) return *code;
  if (*code == 128 + SIGHUP) host->signalScript(session, "HUP");
  auto ended = desk.record(session).value_or(*script);
  ended.ended = true;
  ended.exit_code = *code;
  if (const Status noted = desk.writeRecord(ended); !noted) return complain(noted.error());
  return *code;
}

}  // namespace buoy::agent
