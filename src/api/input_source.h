#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace buoy::api {

// Where an input comes from, taken apart. Written as a path, "s3://bucket/prefix" or "job:JOB/PART".
struct InputSource {
  enum class Kind { path, s3, job };
  enum class Part {
    output,  // what the job stored as its outputs
    state,   // its newest committed checkpoint
    source,  // the files that it was submitted with
    model,   // its outputs below "model/", or all of them if there are none
  };
  Kind kind = Kind::path;
  std::string path;  // of a path: as written; of s3: the whole URI, without slashes at its end
  std::string job;   // an id, or a name that the control plane replaces by the id of the newest such job
  Part part = Part::output;
  std::string sha256;  // of a source: its manifest; the control plane fills it in
};

// invalid_argument: a sentence that goes behind "inputs.NAME: ".
Result<InputSource> parseInputSource(std::string_view text);
// "job:JOB/state" of JOB, an id or a name; what is a source already stays as it is.
std::string stateOf(std::string_view job);
// parseInputSource of it gives an equal source back.
std::string toString(const InputSource& source);
std::string_view toString(InputSource::Part part);

}  // namespace buoy::api
