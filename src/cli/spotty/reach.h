#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/spotty/choice.h"

namespace buoy::cli {

using Words = std::vector<std::string>;

// How programs are run on the machine of a workspace: beside it on this host, or over SSH. One thread.
class Reach {
 public:
  virtual ~Reach() = default;
  // The words that run `buoy-agent workspace VERB --directory DIR …` there. `terminal`: it needs this one's.
  virtual Words workspace(const std::string& verb, const Words& more, bool terminal) const = 0;
  // What the exit code of such words says of the way there; nullopt: it is the program's own.
  virtual std::optional<Error> brokenBy(int) const { return std::nullopt; }
  // The project's files are in a directory of this host; empty: they are not.
  virtual std::string projectHere() const { return {}; }
  // What has to stand on its own, before and beside the machine: `plan`, the files.
  virtual Words beside(const std::string& verb, const Words& more) const {
    return workspace(verb, more, false);
  }
  // Makes a port of the machine reachable at localhost, at `wanted` if that is free here: which it is. The
  // tunnel lasts until close().
  virtual Result<int> forward(int port, int wanted) const = 0;
  // Ends what is kept open to the machine, tunnels included.
  virtual void close() const {}
};

// A workspace on this host: its programs run inside its machine. Null: it does not run. `running` false: it
// need not.
Result<std::unique_ptr<Reach>> reachLocal(const SpottyChoice& choice, bool running);
// Over SSH; Buoy's agent is put there if it is not.
struct SshPlace {
  std::string user, host, key;
  int port = 22;
  bool known = true;     // its host key is remembered; false: addresses there are used again by others
  bool tunnels = false;  // the connection stays until it is closed
  std::string agent;     // there; empty: it is brought there
  bool as_root = false;  // by sudo
};
Result<std::unique_ptr<Reach>> reachBySsh(const SpottyChoice& choice, SshPlace place);
SshPlace placeOf(const SpottyChoice& choice);  // of provider remote
bool declaresPorts(const SpottyChoice& choice);

// Runs on this program's terminal; its exit code.
Result<int> runHere(const Words& words);
// The same with a text as its input.
Result<int> runFed(const Words& words, std::string_view input);
// What it writes, at most 256 MiB. unavailable: there is no way to the machine.
Result<std::string> askProgram(const Words& words);
std::vector<std::string> ownEnvironment();  // "NAME=value"

}  // namespace buoy::cli
