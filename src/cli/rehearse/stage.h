#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/job_spec.h"
#include "cli/connection.h"
#include "os/files.h"

namespace buoy::cli {

// A control plane with a local pool of its own, in a temporary directory: what happens there touches nothing
// else. Not thread-safe.
class RehearsalStage {
 public:
  // With a machine type that is just as large as the job asks for, and room for its gang and one more.
  static Result<std::unique_ptr<RehearsalStage>> open(const api::JobSpec& spec);
  // Ends all jobs, machines and the server, and removes the directory. Errors are of no interest any more.
  ~RehearsalStage();
  RehearsalStage(const RehearsalStage&) = delete;
  RehearsalStage& operator=(const RehearsalStage&) = delete;

  Connection& connection() { return *connection_; }
  const std::string& directory() const { return directory_.path(); }
  // The working directory of the job on this machine.
  std::string workOf(MachineId machine) const;
  // Cancels what is not finished and takes its machines; returns when they are gone.
  void endJobs();
  // Until no machine is left, or 20 s have passed: then all that agents had to tell is told.
  void waitForMachines();

 private:
  explicit RehearsalStage(os::TempDir directory);
  void endEverything();
  bool machinesGone();

  os::TempDir directory_;
  ServerAddress address_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace buoy::cli
