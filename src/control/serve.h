#pragma once

#include <functional>
#include <string>

#include "control/control_plane.h"

namespace buoy::control {

struct ServeOptions {
  ControlOptions control;  // on_stop_requested is set by serve
  // Called once when everything listens: print it, tell a waiting parent.
  std::function<void(const ControlPlane& plane)> ready;
};

// Runs a control plane in this process until SIGTERM, SIGINT or POST /v1/server/stop, and returns the
// process's exit code. Call it before any other thread is started: it blocks those signals for all threads to
// come.
Result<int> serve(ServeOptions options);

}  // namespace buoy::control
