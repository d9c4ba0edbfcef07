#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

// The command line's entry, and what apps/ hands in because the command line must not know the server's or a
// provider's code.
namespace buoy::cli {

struct ServeOptions {
  std::string state_dir;                 // absolute
  std::string config_file;               // empty: none
  std::vector<std::string> listen;       // "host:port"; none: the Unix socket only
  std::string tls_certificate, tls_key;  // PEM; empty: self-signed
  bool insecure = false;                 // TCP without TLS
  bool unsigned_aws = false;             // AWS's clients need no signature; on loopback only
  std::string agent;                     // path of buoy-agent; empty: none found
  std::string executable;                // path of this program
};

struct Check {
  enum class State : std::uint8_t { good, limited, bad } state = State::good;
  std::string subject;  // "process isolation"
  std::string finding;  // "PID namespaces"
  std::string advice;   // what to do; empty when good
};

struct Hooks {
  // Runs the server until it is told to stop. failed_precondition: another one has the state directory.
  std::function<Status(const ServeOptions&)> serve;
  // What this host offers to local machines, for `buoy doctor`.
  std::function<std::vector<Check>()> check_host;
};

// Parses, runs, and returns the exit code (exit_codes.h).
int run(int argc, char** argv, const Hooks& hooks);

}  // namespace buoy::cli
