#pragma once

#include <memory>

#include "cli/connection.h"
#include "cli/context.h"
#include "cli/job_flags.h"
#include "cli/job_input.h"

namespace buoy::cli {

struct Submitted {
  JobId job;
  std::string name;
  std::string answer;  // the server's JSON
};

// Reads and checks what was typed, and says what there is to say about it. On failure the problems have been
// printed and the exit code is the error.
tl::expected<JobInput, int> readInput(const Context& context, const JobFlags& flags, bool server_is_here);
// The files that a job starts with, with progress on a terminal: JobSpec::source.
Result<std::string> upload(const Context& context, Connection& connection, const SourceTree& source);

// Reads, checks, uploads and submits, saying what it does on standard error. On failure the problem has been
// printed and the exit code is the error.
tl::expected<Submitted, int> submit(const Context& context, Connection& connection, const JobFlags& flags);

// The connection for a command, by --server and the environment; on failure printed, with the exit code.
tl::expected<std::unique_ptr<Connection>, int> connect(
    const Context& context, Connection::Start start = Connection::Start::when_needed);

}  // namespace buoy::cli
