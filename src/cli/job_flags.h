#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/job_spec.h"
#include "cli/command_line.h"

// The flags of `buoy run` and `buoy submit`: the keys of buoy.yaml, spelt as options.
namespace buoy::cli {

struct JobFlags {
  std::string file;                  // FILE; empty: ./buoy.yaml unless a command is given
  std::vector<std::string> command;  // words after the flags
  std::string name, image, queue, cpus, memory, gpus, machines, spot, checkpoint, checkpoint_from, keep,
      signal, settle, interval, save_signal, max_run, max_wait, retries, array, race, timeout, stop_grace,
      deadline, work, budget, policy, priority, share, source, request_id;
  std::vector<std::string> pools, inputs, outputs, metrics, env, env_files, depends_on;
  bool no_source = false;
};
// `flags` must live as long as `command`.
void addJobFlags(Command& command, JobFlags& flags);

// What `flags` say, put over `spec`: single values and the lists pools and outputs replace, entries of
// inputs, metrics and env are added. Problems name the flag. Files of --env-file are read relative to
// `directory`; `lookup` gives the value for --env NAME without one.
using Lookup = std::function<std::optional<std::string>(const std::string&)>;
std::vector<api::Problem> applyFlags(const JobFlags& flags, const std::string& directory,
                                     const Lookup& lookup, api::JobSpec& spec);

// The flag that sets this field of a job ("resources.memory" → "--memory"), if it was given; else empty.
std::string flagFor(const JobFlags& flags, const std::string& field);

// A command line as the shell text of JobSpec::run; a first word that is a Python script is given to python3.
std::string commandText(const std::vector<std::string>& words);
// "train" for python3 train.py, "sleep" for /bin/sleep 5.
std::string nameForCommand(const std::vector<std::string>& words);

}  // namespace buoy::cli
