#pragma once

#include <string>
#include <vector>

#include "api/job_spec.h"
#include "cli/job_flags.h"
#include "cli/render/look.h"
#include "cli/source.h"

// From what a person typed to what the server is asked for: reading, merging and checking, without changing
// anything.
namespace buoy::cli {

struct JobInput {
  api::JobSpec spec;               // without `source`
  std::string file;                // the job file as it was named; empty: flags only
  std::string text;                // its content
  SourceTree source;               // root empty: nothing is uploaded
  std::vector<std::string> notes;  // for the user, not errors
  std::vector<std::string> hints;  // for a person who looks on
};

struct JobInputOptions {
  std::string directory;        // working directory, absolute
  std::string home;             // never taken as a project by itself
  bool inputs_are_here = true;  // the server is on this host, so inputs can be looked at
  Lookup environment;
};

// Every mistake that can be seen from here, with its place.
api::Parsed<JobInput> readJob(const JobFlags& flags, const JobInputOptions& options);

// A problem that the server found, with its place in the job file or the flag that caused it.
api::Problem placed(const JobFlags& flags, const JobInput& input, api::Problem problem);

// "error: buoy.yaml:7:3: checkpoint.keep: must be …", a line each.
std::string renderProblems(const Look& look, const std::vector<api::Problem>& problems);

}  // namespace buoy::cli
