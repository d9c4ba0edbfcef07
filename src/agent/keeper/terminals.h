#pragma once

#include <string>
#include <vector>

#include "agent/keeper/container_words.h"
#include "agent/keeper/desk.h"
#include "base/result.h"

namespace buoy::agent {

// The terminals of a workspace: sessions of a tmux server of its own, which can be left and come back to.
class Terminals {
 public:
  struct Session {
    std::string name;
    bool attached = false;
    bool dead = false;  // its program has ended; what it wrote is still there
    int exit_code = 0;  // with dead
  };

  // failed_precondition: there is no tmux here.
  static Result<Terminals> open(const Desk& desk, const Environment& environment);

  Status startServer() const;
  void endServer() const;                 // with all sessions, if it runs
  std::vector<Session> sessions() const;  // none while no server runs
  bool has(const std::string& session) const;
  // A session of one window that runs `command`. `remain`: its output stays when the command ends. `log`: a
  // file of this machine that all output goes to as well; empty: none.
  Status create(const std::string& session, const std::string& window, const Words& command, bool remain,
                const std::string& log) const;
  Status remove(const std::string& session) const;
  Words attachWords(const std::string& session) const;

 private:
  Terminals(Words base, Environment environment)
      : base_(std::move(base)), environment_(std::move(environment)) {}
  Result<std::string> ask(const Words& words) const;

  Words base_;
  Environment environment_;
};

}  // namespace buoy::agent
