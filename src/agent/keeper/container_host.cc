#include "agent/keeper/container_host.h"

#include <unistd.h>

#include "agent/keeper/shown_command.h"
#include "agent/keeper/way_in.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "os/command_output.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

constexpr Duration kAnswerPatience = std::chrono::seconds{30};

Status shown(const Words& words, const Environment& environment, os::InterruptWatch* interrupts,
             const std::string& what) {
  auto code = runShown(words, environment, interrupts);
  if (!code) return fail(code.error().wrap(what));
  if (*code == 0) return {};
  return fail(ErrorCode::failed_precondition,
              strCat({what, " failed with exit code ", std::to_string(*code), " (its output is above)"}));
}

}  // namespace

Result<ContainerHost> ContainerHost::open(const Desk& desk, const Environment& environment) {
  BUOY_TRY(api::WorkspacePlan plan, desk.plan());
  BuildFacts facts;
  BUOY_TRY(facts.runtime, findContainerRuntime(environment));
  const LoginUser owner = plan.isReachedBySsh() ? loginUserHere() : LoginUser{{}, ::getuid(), ::getgid()};
  facts.uid = owner.uid;
  facts.gid = owner.gid;
  facts.nvidia = ::access("/dev/nvidiactl", F_OK) == 0;
  facts.inside = desk.inside();
  return ContainerHost(std::move(plan), std::move(facts), environment);
}

Result<std::string> ContainerHost::ask(Words words) const {
  BUOY_TRY(const os::CommandOutput output,
           os::runCommand(std::move(words), environmentWords(environment_), kAnswerPatience));
  if (output.status.code != 0)
    return fail(ErrorCode::failed_precondition,
                std::string(trim(output.err.empty() ? output.out : output.err)));
  return std::string(trim(output.out));
}

Status ContainerHost::prepareMachine(os::InterruptWatch* interrupts,
                                     const std::function<void(const std::string&)>& step) const {
  if (plan_.host_commands.empty()) return {};
  step("running the instance's commands");
  return shown({"/bin/bash", "-xec", plan_.host_commands}, environment_, interrupts,
               "the instance's commands");
}

Status ContainerHost::start(os::InterruptWatch* interrupts,
                            const std::function<void(const std::string&)>& step) const {
  // Docker makes a directory that is missing, but as root.
  for (const auto& mount : plan_.mounts) BUOY_TRY_VOID(os::makeDirectories(mount.host));
  BUOY_TRY_VOID(remove());
  if (plan_.image.empty()) {
    step("building the image from " + plan_.dockerfile);
    BUOY_TRY_VOID(shown(buildWords(plan_, facts_), environment_, interrupts, "building the image"));
  }
  step("starting the container " + plan_.container);
  BUOY_TRY_VOID(shown(runWords(plan_, facts_), environment_, interrupts, "starting the container"));
  if (plan_.commands.empty()) return {};
  step("running the container's commands");
  return shown(enter({.user = "root"}, {"/bin/sh", "-c", plan_.commands}), environment_, interrupts,
               "the container's commands");
}

Status ContainerHost::remove() const {
  if (const auto removed = ask(removeWords(plan_, facts_.runtime)); removed) return {};
  // What an ended machine left may need a second look before it is understood to be gone.
  const auto again = ask(removeWords(plan_, facts_.runtime));
  if (again || again.error().message.find("o such container") != std::string::npos ||
      again.error().message.find("no container with") != std::string::npos)
    return {};
  return fail(again.error().wrap("remove the container " + plan_.container));
}

Status ContainerHost::end() const {
  (void)ask({facts_.runtime, "kill", plan_.container});
  return remove();
}

bool ContainerHost::running() const {
  const auto state = ask({facts_.runtime, "inspect", "-f", "{{.State.Running}}", plan_.container});
  return state && *state == "true";
}

int ContainerHost::portHere(const api::WorkspacePlan::Port& port) const {
  if (plan_.host_network) return port.container;
  const auto answer = ask({facts_.runtime, "port", plan_.container, std::to_string(port.container)});
  if (!answer) return 0;
  const std::string_view where = split(*answer, '\n').front();  // "0.0.0.0:49153"
  return parseNumber<int>(where.substr(where.rfind(':') + 1)).value_or(0);
}

Words ContainerHost::enterScript(const api::WorkspaceScript& script) const {
  const std::string inside = kInsidePath;
  Words command = {"/bin/sh", "-c", R"(echo $$ >"$0"; exec "$@")",
                   strCat({inside, "/scripts/", script.session, ".pid"}),
                   strCat({inside, "/scripts/", script.session})};
  command.insert(command.end(), script.arguments.begin(), script.arguments.end());
  return enter({.interactive = true, .terminal = true, .user = script.user}, command);
}

bool ContainerHost::signalScript(const std::string& session, const char* signal) const {
  const std::string pid = strCat({kInsidePath, "/scripts/", session, ".pid"});
  // busybox's shell takes no "--" before a process group, dash and bash none without it.
  constexpr const char* kill =
      R"sh(g=$(cat "$0") && [ "$g" ] && { kill -s "$1" -- "-$g" 2>/dev/null || kill -s "$1" "-$g"; })sh";
  return ask(enter({.user = "root"}, {"/bin/sh", "-c", kill, pid, signal})).has_value();
}

}  // namespace buoy::agent
