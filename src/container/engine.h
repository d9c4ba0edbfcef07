#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "container/runtime.h"
#include "net/http.h"

namespace buoy::container {

class Progress;

// A client of the Docker Engine API (https://docs.docker.com/engine/api/v1.41/), which podman's service
// speaks as well. Blocking; one thread, but cancel() from any. Errors: not_found (no such image or
// container), unavailable (nobody answers, or a registry cannot be reached: may pass), deadline_exceeded,
// cancelled, resource_exhausted (the disk is full), failed_precondition (a port is taken, a name is),
// invalid_argument (what was asked for is wrong), internal.
class Engine {
 public:
  struct Options {
    Duration quick = std::chrono::seconds{60};    // for what is answered at once, on a slow machine
    Duration silence = std::chrono::minutes{10};  // of a pull or a build
  };
  // Asks who is there.
  static Result<std::unique_ptr<Engine>> connect(const std::string& endpoint, Options options);
  explicit Engine(std::unique_ptr<net::Client> client, Options options);
  ~Engine();

  bool isPodman() const { return podman_; }
  std::string name() const { return podman_ ? "podman" : "docker"; }

  struct Image {
    std::string id;
    std::vector<std::string> entrypoint, command;
    std::string user;
  };
  Result<Image> image(const std::string& name);
  using OnText = std::function<void(std::string_view)>;
  // `on_text` is given lines of progress; `credentials`: of X-Registry-Auth, may be empty.
  Status pull(const std::string& name, const std::string& credentials, const OnText& on_text);

  struct Build {
    int context = -1;  // an open file: the build's context as a tar archive
    std::uint64_t context_size = 0;
    std::string dockerfile;  // its path in the archive
    std::string tag;
    std::map<std::string, std::string> args;
  };
  // The image's id. What the build writes goes to `on_text`. An instruction that fails: invalid_argument.
  Result<std::string> build(const Build& build, const OnText& on_text);

  // `body` is the request's JSON (create_request.h); empty name: the engine makes one up. The container's id.
  Result<std::string> create(const std::string& name, const std::string& body);
  Status start(const std::string& id);
  // Runs a command in a running container and does not wait for it.
  Status execute(const std::string& id, const std::vector<std::string>& command, const std::string& user);
  struct State {
    bool running = false;
    int exit_code = 0;
    std::string error;
    std::vector<std::pair<std::string, std::string>> ports;  // "8888/tcp" → "32768"
  };
  Result<State> inspect(const std::string& id);
  // What the container's own process 1 wrote, at most 4 KiB of its end.
  std::string lastWords(const std::string& id);
  // Kills it if it runs. A container that is not there is removed.
  Status remove(const std::string& id);
  struct Listed {
    std::string id, label;
    bool running = false;
  };
  // Those that have this label, also when they do not run.
  Result<std::vector<Listed>> list(const std::string& label);

  void cancel() { client_->cancel(); }

 private:
  Status ping();
  Result<net::Response> send(const char* method, const std::string& path,
                             std::vector<std::pair<std::string, std::string>> query, std::string body);
  Status follow(net::Request request, std::vector<net::BodyPiece> body, Progress& progress);

  std::unique_ptr<net::Client> client_;
  const Options options_;
  bool podman_ = false;
};

// The error that a message of the engine, or of a registry through it, stands for.
Error engineError(int status, const std::string& message);

// A reference to an image: "python" → {"python", "latest"}, "a:5000/b@sha256:…" → {"a:5000/b", "sha256:…"}.
struct Reference {
  std::string name, tag;
};
Reference parseReference(std::string_view image);
// The registry that it is pulled from: "docker.io" unless the name begins with another.
std::string registryOf(std::string_view image);

}  // namespace buoy::container
