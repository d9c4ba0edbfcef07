#pragma once

#include <functional>

#include "cli/rehearse/result.h"
#include "cli/rehearse/stage.h"
#include "cli/rehearse/striker.h"
#include "os/terminal.h"

namespace buoy::cli {

struct RunnerOptions {
  Time until{};  // given up then: deadline_exceeded
  os::InterruptWatch* interrupts = nullptr;
  std::function<void(const RehearsedRun& so_far, engine::JobPhase phase)> progress;  // several times a second
};

// Runs the job once to its end on the stage and takes its machines as the striker says (null: never). It ends
// when all machines are gone. cancelled: Ctrl-C.
Result<RehearsedRun> runOnce(RehearsalStage& stage, const api::SubmitRequest& request, Striker* striker,
                             const RunnerOptions& options);

}  // namespace buoy::cli
