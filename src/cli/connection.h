#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "net/http.h"

namespace buoy::cli {

// Where the server is and how to speak to it.
struct ServerAddress {
  net::Endpoint endpoint;
  net::ClientOptions options;
  bool own = false;       // the background server of this state directory, which may be started when needed
  std::string state_dir;  // absolute; also when the server is elsewhere
  std::string socket() const { return state_dir + "/server.sock"; }
  std::string log() const { return state_dir + "/server.log"; }
};

// $BUOY_STATE_DIR, $XDG_STATE_HOME/buoy or ~/.local/state/buoy; absolute.
Result<std::string> stateDirectory();
// $BUOY_CONFIG or $XDG_CONFIG_HOME/buoy/config.yaml; empty if there is none.
std::string configFile();
// From --server (`given`), $BUOY_SERVER, else the Unix socket in the state directory. $BUOY_TOKEN or
// $BUOY_TOKEN_FILE, $BUOY_FINGERPRINT and $BUOY_CA_FILE say how to trust and be trusted.
Result<ServerAddress> serverAddress(const std::string& given);

// One client of the server. Errors of the server come back as Error, whatever its answer looks like. Not
// thread-safe.
class Connection {
 public:
  enum class Start { when_needed, never };
  // Does not connect yet. `start`: whether the first request may start the background server.
  Connection(ServerAddress address, Start start);

  // Answer of the server with a 2xx status; `target` is "/v1/jobs?limit=5", already percent-encoded.
  Result<std::string> get(const std::string& target);
  Result<std::string> post(const std::string& target, std::string body);
  Result<std::string> put(const std::string& target, std::string body);
  Result<std::string> remove(const std::string& target);
  // Any status; an Error only if no answer came.
  Result<net::Response> send(const std::string& method, const std::string& target, std::string body);
  // A body as it comes; see net::Client::stream.
  Status stream(const std::string& target, Duration idle_timeout,
                const std::function<bool(std::string_view)>& on_chunk);
  // Makes the running and every later call return `cancelled`. From any thread.
  void cancel() { client_->cancel(); }

  const ServerAddress& address() const { return address_; }

 private:
  Result<std::string> call(const std::string& method, const std::string& target, std::string body);

  ServerAddress address_;
  Start start_;
  std::unique_ptr<net::Client> client_;
};

// A path component of a request target.
std::string pathPart(std::string_view text);

}  // namespace buoy::cli
