#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "engine/types.h"

// What the program ends with. Documented in docs/cli.md and `buoy help exit-codes`, both made from
// kExitCodes.
namespace buoy::cli {

enum class ExitCode : int {
  ok = 0,
  failure = 1,
  usage = 2,
  not_found = 3,
  unreachable = 4,
  refused = 5,
  drifts = 10,
  restarts = 11,
  fails_after_reclaim = 12,
  unrepeatable = 13,
  inconclusive = 14,
  paused = 75,
  timed_out = 124,
  cancelled = 130,
};

struct ExitCodeMeaning {
  const char* code;
  const char* meaning;
};
inline constexpr ExitCodeMeaning kExitCodes[] = {
    {"0", "success; of `buoy run`: the job succeeded"},
    {"1", "failed for another reason than those below (see the message)"},
    {"2", "wrong usage or a mistake in an input; nothing was changed"},
    {"3", "no such job, machine, pool, queue, file, bucket or object"},
    {"4", "the server does not answer"},
    {"5", "the server refused: conflict, limit reached, no permission"},
    {"10", "of `buoy rehearse`: the job drifts: it resumes, and ends with something else"},
    {"11", "of `buoy rehearse`: the job restarts from zero"},
    {"12", "of `buoy rehearse`: the job fails after a reclaim"},
    {"13", "of `buoy rehearse`: two undisturbed runs differ, so nothing can be compared"},
    {"14", "of `buoy rehearse`: a reclaim could not come as meant"},
    {"75", "of `buoy run`: the job is paused, its budget used up; `buoy resume` lets it go on"},
    {"124",
     "of `buoy run`, `wait` and `logs -f`: the job passed its max_run or max_wait; of `buoy save --wait` and "
     "`wait --timeout`: not in time"},
    {"130",
     "of `buoy run`, `wait` and `logs -f`: the job was cancelled, or Ctrl-C left it; of cp, sync and rm: "
     "Ctrl-C"},
    {"N", "of `buoy run`, `wait` and `logs -f`: the job's own exit code; 128 + N if signal N ended it"},
};

int exitCodeOf(ErrorCode code);
// Of a finished job. A job that failed without an exit code of its own (it could not be set up) gives
// `failure`.
int exitCodeOf(engine::JobPhase phase, std::optional<std::int32_t> exit_code);

}  // namespace buoy::cli
