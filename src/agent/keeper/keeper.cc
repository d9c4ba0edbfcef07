#include "agent/keeper/keeper.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <set>

#include "agent/keeper/container_host.h"
#include "agent/keeper/scripts.h"
#include "agent/keeper/shown_command.h"
#include "agent/keeper/terminals.h"
#include "agent/keeper/way_in.h"
#include "base/strings.h"
#include "os/files.h"
#include "os/system_clock.h"
#include "os/terminal.h"

namespace buoy::agent {
namespace {

constexpr Duration kLookEvery = std::chrono::seconds{2};
constexpr Duration kEndLookEvery = std::chrono::milliseconds{100};

void say(const std::string& text) {
  std::printf("%.*s%s\n", static_cast<int>(api::kWorkspaceSign.size()), api::kWorkspaceSign.data(),
              text.c_str());
  std::fflush(stdout);
}

class Keeper {
 public:
  Keeper(const Desk& desk, const Environment& environment, const KeepOptions& options,
         os::InterruptWatch& interrupts, ContainerHost host, Terminals terminals)
      : desk_(desk),
        environment_(environment),
        options_(options),
        interrupts_(interrupts),
        host_(std::move(host)),
        terminals_(std::move(terminals)) {}

  Status run() {
    BUOY_TRY_VOID(fetch());
    BUOY_TRY_VOID(host_.prepareMachine(&interrupts_, say));
    BUOY_TRY_VOID(host_.start(&interrupts_, say));
    BUOY_TRY_VOID(terminals_.startServer());
    restartScripts();
    for (const auto& port : host_.plan().ports) sayPort(port);
    if (host_.plan().isReachedBySsh()) say(strCat({api::kWorkspaceUser, loginUserHere().name}));
    say(std::string(api::kWorkspaceReady));
    stay();
    return end();
  }

 private:
  // After a reclaim what was changed on a volume since its copy was made is not to be undone.
  Status fetch() {
    if (!host_.plan().isReachedBySsh()) return {};
    BUOY_TRY_VOID(writeWayIn(desk_, environment_));
    say("fetching the project from " + host_.plan().source);
    BUOY_TRY(const std::string agent, os::executablePath());
    Words words = {agent, "workspace", "pull", "--directory", desk_.root()};
    if (options_.again) words.emplace_back("--keep-newer");
    BUOY_TRY(const int code, runShown(words, environment_, &interrupts_));
    if (code == 0) return {};
    return fail(ErrorCode::unavailable, "the project could not be fetched (see above)");
  }

  void sayPort(const api::WorkspacePlan::Port& port) {
    say(strCat({"port ", std::to_string(port.container), " at ", std::to_string(host_.portHere(port))}));
  }

  void notify(const std::string& what) {
    const std::string& command = host_.plan().notify;
    if (command.empty()) return;
    Environment environment = environment_;
    environment["SPOTTY_MESSAGE"] = strCat({host_.plan().container, ": ", what});
    // Its failure is its own: the output is in the log.
    (void)runShown({"/bin/sh", "-c", command}, environment, &interrupts_);
  }

  void restartScripts() {
    std::string started;
    for (const api::WorkspaceScript& script : desk_.records()) {
      if (script.ended) continue;
      if (const Status begun = startScript(desk_, terminals_, script); !begun) {
        say(strCat({"script ", script.name, " cannot be started again: ", begun.error().message}));
        continue;
      }
      say(strCat({"script ", script.name, " was started again (", script.session, ", start ",
                  std::to_string(script.starts + 1), ")"}));
      started += (started.empty() ? "" : ", ") + script.name;
    }
    if (options_.again)
      notify(started.empty() ? "is on another machine, after a reclaim"
                             : "is on another machine, after a reclaim; started again: " + started);
  }

  // What ended by itself, and when nothing is left to stay for.
  void stay() {
    const os::SystemClock clock;
    Time used = clock.now();
    while (!os::waitReadable(interrupts_.fd(), kLookEvery)) {
      bool busy = false;
      for (const Terminals::Session& session : terminals_.sessions())
        busy = busy || session.attached || !session.dead;
      for (const api::WorkspaceScript& script : desk_.records()) tellEnd(script);
      if (busy) used = clock.now();
      const Duration idle = host_.plan().idle;
      if (idle > Duration{} && clock.now() - used >= idle) {
        say("nothing has run for " + formatDuration(idle) + ": ending");
        notify("nothing has run for " + formatDuration(idle) + ": the machine is given back");
        return;
      }
    }
  }

  void tellEnd(const api::WorkspaceScript& script) {
    if (!script.ended) {
      told_.erase(script.session);
      return;
    }
    if (told_[script.session] == script.starts) return;
    told_[script.session] = script.starts;
    const std::string what =
        strCat({"script ", script.name, " ended with exit code ", std::to_string(script.exit_code)});
    say(what);
    notify(what);
  }

  Status end() {
    BUOY_TRY_VOID(os::writeFileAtomic(desk_.ending(), "", 0600));
    say("ending");
    const auto alive = [&] {
      auto all = terminals_.sessions();
      std::erase_if(all, [&](const auto& session) { return session.dead || !desk_.record(session.name); });
      return all;
    };
    const os::SystemClock clock;
    const Time give_up = clock.now() + options_.grace;
    std::set<std::string> told;
    for (auto left = alive(); !left.empty() && clock.now() < give_up; left = alive()) {
      // Once each; one that was only just started has not yet said which process it is.
      for (const Terminals::Session& session : left) {
        if (!told.contains(session.name) && host_.signalScript(session.name, "TERM"))
          told.insert(session.name);
      }
      os::waitReadable(-1, kEndLookEvery);
    }
    const Status removed = host_.end();
    // The attempt ends when nothing of it runs.
    terminals_.endServer();
    return removed;
  }

  const Desk& desk_;
  const Environment& environment_;
  const KeepOptions& options_;
  os::InterruptWatch& interrupts_;
  const ContainerHost host_;
  const Terminals terminals_;
  std::map<std::string, std::int32_t> told_;  // by session: the start whose end was told
};

Status keep(const Desk& desk, const Environment& environment, const KeepOptions& options,
            os::InterruptWatch& interrupts) {
  BUOY_TRY_VOID(desk.open(options.kept));
  ::unlink(desk.ending().c_str());
  BUOY_TRY(Terminals terminals, Terminals::open(desk, environment));
  BUOY_TRY(ContainerHost host, ContainerHost::open(desk, environment));
  return Keeper(desk, environment, options, interrupts, std::move(host), std::move(terminals)).run();
}

}  // namespace

int keepWorkspace(const Desk& desk, const Environment& environment, const KeepOptions& options) {
  auto interrupts = os::InterruptWatch::create();
  const Status kept =
      interrupts ? keep(desk, environment, options, *interrupts) : Status(fail(interrupts.error()));
  if (kept || kept.error().code == ErrorCode::cancelled) return 0;
  std::fprintf(stderr, "error: %s\n", kept.error().message.c_str());
  return 1;
}

}  // namespace buoy::agent
