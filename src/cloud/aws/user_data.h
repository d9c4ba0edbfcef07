#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace buoy::cloud::aws {

// What a machine does at its first boot. Nothing in it is secret but the URL, which ends.
struct UserData {
  std::string agent_url;                           // presigned
  std::string agent_sha256;                        // hex
  std::string boot_config;                         // JSON for `buoy-agent boot`
  std::string commands;                            // the user's own; empty: none
  std::map<std::string, std::string> environment;  // of the agent, where the machine has not its own
};

// A shell script for any Linux with curl or wget, under systemd or any other init: fetches the agent, proves
// it by its hash, runs the user's commands, starts the agent, and ends the machine when the agent has ended
// or anything before it failed. BUOY_ROOT in its environment says where it puts things instead of
// /var/lib/buoy, and BUOY_END what ends the machine. invalid_argument: more than EC2's 16 KiB.
Result<std::string> userDataScript(const UserData& data);

// 'text' for a shell.
std::string shellQuoted(const std::string& text);

}  // namespace buoy::cloud::aws
