#include "agent/keeper/workspace_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "agent/keeper/container_host.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/project_source.h"
#include "agent/keeper/scripts.h"
#include "agent/keeper/shown_command.h"
#include "agent/keeper/terminals.h"
#include "api/json_writer.h"
#include "base/strings.h"
#include "objstore/transfer/local_walk.h"
#include "os/attached.h"
#include "os/environment.h"
#include "os/files.h"
#include "os/terminal.h"

namespace buoy::agent {
namespace {

constexpr int kBadWords = 2;
constexpr std::size_t kMostInput = 1 << 20;

struct WorkspaceWords {
  std::string verb, directory, session, user, kept;
  bool keep_newer = false;
  bool host = false, interactive = false, terminal = false;
  Words command;
};

Result<WorkspaceWords> parseWords(const std::vector<std::string>& words) {
  WorkspaceWords parsed;
  if (words.empty()) return fail(ErrorCode::invalid_argument, "workspace: expected a verb");
  parsed.verb = words[0];
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      parsed.command.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    std::string* value = nullptr;
    if (word == "--directory") value = &parsed.directory;
    if (word == "--session") value = &parsed.session;
    if (word == "--user") value = &parsed.user;
    if (word == "--kept") value = &parsed.kept;
    if (value != nullptr && i + 1 < words.size()) {
      *value = words[++i];
    } else if (word == "--host") {
      parsed.host = true;
    } else if (word == "--keep-newer") {
      parsed.keep_newer = true;
    } else if (word == "-i") {
      parsed.interactive = true;
    } else if (word == "-t") {
      parsed.terminal = true;
    } else {
      return fail(ErrorCode::invalid_argument, "workspace: unexpected " + inQuotes(word));
    }
  }
  const char* const home = std::getenv("HOME");
  if (parsed.directory.starts_with("~/") && home != nullptr) parsed.directory.replace(0, 1, home);
  if (parsed.directory.empty()) return fail(ErrorCode::invalid_argument, "workspace: --directory is missing");
  return parsed;
}

Result<std::string> readInput() {
  std::string text;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (size < 0) return failErrno(errno, "read standard input");
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (text.size() > kMostInput) return fail(ErrorCode::resource_exhausted, "standard input is too long");
  }
}

class WorkspaceProgram {
 public:
  WorkspaceProgram(WorkspaceWords words, Environment environment)
      : words_(std::move(words)), environment_(std::move(environment)), desk_(words_.directory) {}

  Result<int> run() {
    if (words_.verb == "keep") return keep();
    if (words_.verb == "plan") return plan();
    if (words_.verb == "up") return up();
    if (words_.verb == "down") return down();
    if (words_.verb == "script") return script();
    if (words_.verb == "attach") return attach();
    if (words_.verb == "shell") return shell();
    if (words_.verb == "exec") return exec();
    if (words_.verb == "list") return list();
    if (words_.verb == "files") return files();
    if (words_.verb == "ports") return ports();
    if (words_.verb == "pull") return pull();
    if (words_.verb == "receive") return tar({"-xpf", "-"});
    if (words_.verb == "send")
      return tar({"--null", "--verbatim-files-from", "-T", "-", "--format=posix", "-chf", "-"});
    if (words_.verb == "inside") return runScript(desk_, environment_, words_.session);
    return fail(ErrorCode::invalid_argument, "workspace: unknown verb " + inQuotes(words_.verb));
  }

 private:
  static void tell(const std::string& step) {
    std::printf("  - %s\n", step.c_str());
    std::fflush(stdout);
  }

  Result<int> keep() {
    const auto plan = environment_.find("WORKSPACE_PLAN");
    if (plan != environment_.end()) {
      BUOY_TRY(const api::WorkspacePlan parsed, api::parseWorkspacePlan(plan->second));
      BUOY_TRY_VOID(desk_.open(words_.kept));
      BUOY_TRY_VOID(desk_.writePlan(parsed));
      environment_.erase("WORKSPACE_PLAN");
    }
    const auto attempt = environment_.find("BUOY_ATTEMPT");
    KeepOptions options;
    options.kept = words_.kept;
    options.again = attempt != environment_.end() && attempt->second != "1";
    return keepWorkspace(desk_, environment_, options);
  }

  Result<int> plan() {
    BUOY_TRY(const std::string text, readInput());
    BUOY_TRY(const api::WorkspacePlan plan, api::parseWorkspacePlan(text));
    BUOY_TRY_VOID(desk_.open({}));
    BUOY_TRY_VOID(desk_.writePlan(plan));
    return 0;
  }

  Result<int> up() {
    BUOY_TRY_VOID(desk_.open({}));
    ::unlink(desk_.ending().c_str());
    BUOY_TRY(const Terminals terminals, Terminals::open(desk_, environment_));
    BUOY_TRY(const ContainerHost host, ContainerHost::open(desk_, environment_));
    BUOY_TRY_VOID(host.start(nullptr, tell));
    BUOY_TRY_VOID(terminals.startServer());
    return 0;
  }

  Result<int> down() {
    BUOY_TRY(const ContainerHost host, ContainerHost::open(desk_, environment_));
    BUOY_TRY_VOID(host.end());
    if (const auto terminals = Terminals::open(desk_, environment_)) terminals->endServer();
    return 0;
  }

  Result<int> script() {
    BUOY_TRY(const std::string text, readInput());
    BUOY_TRY(api::WorkspaceScript script, api::parseWorkspaceScript(text));
    BUOY_TRY(const Terminals terminals, Terminals::open(desk_, environment_));
    for (const Terminals::Session& session : terminals.sessions()) {
      if (session.name != script.session) continue;
      if (!session.dead) return 0;  // whoever asks comes back to it
      BUOY_TRY_VOID(terminals.remove(session.name));
    }
    BUOY_TRY_VOID(startScript(desk_, terminals, std::move(script)));
    return 0;
  }

  Result<int> attachTo(const Terminals& terminals, const std::string& session) {
    BUOY_TRY(const int left, runAsTerminal(terminals.attachWords(session)));
    for (const Terminals::Session& one : terminals.sessions()) {
      if (one.name == session) return one.dead ? one.exit_code : 0;
    }
    // Its window was closed: what it ended with is in its record, if it was a script.
    const auto record = desk_.record(session);
    return record && record->ended ? record->exit_code : left;
  }

  Result<int> runAsTerminal(const Words& command) const {
    Environment environment = environment_;
    environment.erase("TMUX");
    return os::runAttached(command, environmentWords(environment));
  }

  Result<int> attach() {
    BUOY_TRY(const Terminals terminals, Terminals::open(desk_, environment_));
    if (!terminals.has(words_.session))
      return fail(ErrorCode::not_found, "there is no session " + inQuotes(words_.session));
    return attachTo(terminals, words_.session);
  }

  Result<int> shell() {
    BUOY_TRY(const Terminals terminals, Terminals::open(desk_, environment_));
    if (!terminals.has(words_.session)) {
      Words command;
      if (words_.host) {
        command = hostShell();
      } else {
        BUOY_TRY(const ContainerHost host, ContainerHost::open(desk_, environment_));
        command = host.enter({.interactive = true, .terminal = true, .user = words_.user},
                             {"/bin/sh", "-c", "command -v bash >/dev/null && exec bash; exec sh"});
      }
      BUOY_TRY_VOID(terminals.create(words_.session, "shell", command, false, {}));
    }
    return attachTo(terminals, words_.session);
  }

  // Of whoever came in; over SSH that is not root, as whom this program runs.
  Words hostShell() const {
    const auto came = environment_.find("SUDO_USER");
    if (came != environment_.end()) return {"su", "-", came->second};
    const auto wanted = environment_.find("SHELL");
    return {wanted == environment_.end() ? "/bin/sh" : wanted->second, "-l"};
  }

  Result<int> exec() {
    BUOY_TRY(const ContainerHost host, ContainerHost::open(desk_, environment_));
    const ExecOptions options{
        .interactive = words_.interactive, .terminal = words_.terminal, .user = words_.user};
    return fail(becomeCommand(host.enter(options, words_.command), environment_));
  }

  Result<int> list() {
    BUOY_TRY(const Terminals terminals, Terminals::open(desk_, environment_));
    std::string json;
    api::JsonWriter writer(json);
    writer.beginObject().key("sessions").beginArray();
    for (const Terminals::Session& session : terminals.sessions()) {
      writer.beginObject().field("name", session.name).field("attached", session.attached);
      writer.field("dead", session.dead).field("exit_code", session.exit_code).endObject();
    }
    writer.endArray().key("scripts").beginArray();
    for (const api::WorkspaceScript& script : desk_.records()) writer.raw(api::toJson(script));
    writer.endArray().endObject();
    std::printf("%s\n", json.c_str());
    return 0;
  }

  // Files of the project, as an archive from or to whoever asks.
  Result<int> tar(const Words& options) {
    BUOY_TRY(const api::WorkspacePlan plan, desk_.plan());
    BUOY_TRY_VOID(os::makeDirectories(plan.project));
    Words command = {"tar", "-C", plan.project};
    command.insert(command.end(), options.begin(), options.end());
    return fail(becomeCommand(command, environment_));
  }

  Result<int> ports() {
    BUOY_TRY(const ContainerHost host, ContainerHost::open(desk_, environment_));
    for (const auto& port : host.plan().ports) std::printf("%d %d\n", port.container, host.portHere(port));
    return 0;
  }

  Result<int> pull() {
    BUOY_TRY(const api::WorkspacePlan plan, desk_.plan());
    BUOY_TRY_VOID(fetchProject(plan.source, plan.project, words_.keep_newer, environment_));
    if (plan.run_as_host_user) BUOY_TRY_VOID(giveProject(plan.project, loginUserHere()));
    return 0;
  }

  Result<int> files() {
    BUOY_TRY(const api::WorkspacePlan plan, desk_.plan());
    auto walk = objstore::LocalWalk::open(plan.project, {});
    if (!walk && walk.error().code == ErrorCode::not_found) return 0;
    if (!walk) return fail(walk.error());
    objstore::TreeEntry entry;
    for (;;) {
      BUOY_TRY(const bool more, walk->next(entry));
      if (!more) break;
      const std::string line =
          strCat({std::to_string(entry.size), " ", std::to_string(entry.modified.time_since_epoch().count()),
                  " ", entry.path});
      std::fwrite(line.c_str(), 1, line.size() + 1, stdout);
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
  }

  WorkspaceWords words_;
  Environment environment_;
  Desk desk_;
};

}  // namespace

int runWorkspaceCommand(const std::vector<std::string>& words) {
  // The agent of a machine of a cloud keeps what it writes to itself. What is made here is for the
  // container's user as well, whoever that is; what is secret says so.
  ::umask(022);
  auto parsed = parseWords(words);
  if (!parsed) {
    std::fprintf(stderr, "error: %s\n", parsed.error().message.c_str());
    return kBadWords;
  }
  const auto code = WorkspaceProgram(std::move(*parsed), os::processEnvironment()).run();
  if (code) return *code;
  std::fprintf(stderr, "error: %s\n", code.error().message.c_str());
  return 1;
}

}  // namespace buoy::agent
