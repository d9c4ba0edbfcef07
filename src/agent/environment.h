#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/agent_protocol.h"
#include "api/job_spec.h"

namespace buoy::agent {

// Where things are on a machine: the one place that knows the layout below AgentConfig::directory.
struct MachinePaths {
  std::string root;
  std::string work() const { return root + "/work"; }
  std::string inputs() const { return root + "/inputs"; }
  std::string logs() const { return root + "/logs"; }
  std::string cache() const { return root + "/cache"; }  // unless the machines of a host share one
  std::string log(JobId job, std::uint32_t attempt, std::int32_t rank) const;
  // The metrics found in that log, as JSON lines.
  std::string metrics(JobId job, std::uint32_t attempt, std::int32_t rank) const;
  std::string job() const { return root + "/job"; }  // what the job may read, also from within a container
  std::string notice() const { return job() + "/notice.json"; }     // the job's copy: BUOY_NOTICE_FILE
  std::string saveControl() const { return job() + "/save.json"; }  // BUOY_CHECKPOINT_CONTROL
  std::string volumes() const { return root + "/volumes"; }         // a container's that have no other place
  std::string parts() const { return root + "/parts"; }             // a directory like this one for each
  std::string owner() const { return root + "/work.job"; }  // the job and epoch that work/ was last made for
};

struct EnvironmentInputs {
  const api::AgentConfig& config;
  const engine::Directive& directive;
  const api::JobSpec& spec;
  std::string checkpoint_directory;              // empty: the job has none
  std::string restored_version;                  // empty: started afresh
  Duration checkpoint_interval{};                // as it is at the start
  std::map<std::string, std::string> inherited;  // what the agent itself was started with
  std::string agent_path;                        // of this program; empty: not known
};
using Variables = std::map<std::string, std::string>;
// What the job is told by variables, over those that it brings itself. `work`: where it sees its workspace.
Variables jobVariables(const EnvironmentInputs& inputs, const std::string& work);
// "NAME=value" each.
std::vector<std::string> entriesOf(const Variables& variables);
// The whole environment of a job's process on the machine. What the job asks for wins over what is
// inherited, and Buoy's own variables over both.
Variables jobEnvironment(const EnvironmentInputs& inputs);

// "train-data" → "BUOY_INPUT_TRAIN_DATA".
std::string inputVariable(std::string_view name);

}  // namespace buoy::agent
