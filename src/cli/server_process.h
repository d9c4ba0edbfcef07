#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/connection.h"

namespace buoy::cli {

// Starts `buoy serve` in the background on the address' state directory, detached from this process and
// terminal, with `arguments` more, and waits until it answers. Safe when several do it at once: the server
// takes the state directory's lock, and a loser uses the winner. If it does not come up, the error ends with
// what it wrote; invalid_argument and not_found where it refused what it was given.
Status startServer(const ServerAddress& address, const std::vector<std::string>& arguments);

// True if a server answers at this address now.
bool serverAnswers(const ServerAddress& address);

// buoy-agent: $BUOY_AGENT, beside this program, or in ../libexec; empty if it is in none of these.
std::string findAgent();

// The last lines of a text file beyond its first `from` bytes, at most `lines`; empty if it cannot be read.
std::string lastLines(const std::string& path, int lines, std::uint64_t from = 0);

}  // namespace buoy::cli
