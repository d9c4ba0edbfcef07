// buoy init: a first buoy.yaml.
#include <filesystem>

#include "api/job_spec.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;

std::string jobFile(const std::string& name, const std::string& script) {
  return "# A Buoy job. Every key: docs/job.md. Run it: buoy run\n"
         "name: " +
         name +
         "\n"
         "run: python3 " +
         script +
         "\n"
         "resources: {cpus: 1, memory: 1GiB}\n"
         "spot: prefer                       # prefer | only | never\n"
         "checkpoint: {dir: checkpoints}     # what the job writes here survives a reclaim\n"
         "# inputs: {data: ./data}           # found in $BUOY_INPUT_DATA\n"
         "# outputs: [model.pt]              # kept; fetch them with: buoy download " +
         name +
         "\n"
         "# metrics: {loss: 'loss=([0-9.]+)'}  # a curve in buoy show\n"
         "# max_run: 2h\n"
         "# retry: {failures: 1}\n";
}

int runInit(const Context& context) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  std::string script = "train.py";
  for (const char* candidate : {"train.py", "main.py", "run.py"}) {
    if (!fs::exists(here / candidate, error)) continue;
    script = candidate;
    break;
  }
  std::string name = api::jobNameFrom(here.filename().string());
  if (name.empty()) name = "job";
  const Status written = os::createFileExclusive((here / "buoy.yaml").string(), jobFile(name, script));
  if (!written) {
    const bool exists = written.error().code == ErrorCode::already_exists;
    return context.fail({written.error().code,
                         exists ? "there is a buoy.yaml here already" : written.error().message, false});
  }
  context.print("wrote buoy.yaml; look at its `run:`, then: buoy run\n");
  return 0;
}

}  // namespace

void addInit(Command& root) {
  root.add("init", "Write a first buoy.yaml").action = [](Context& context) { return runInit(context); };
}

}  // namespace buoy::cli
