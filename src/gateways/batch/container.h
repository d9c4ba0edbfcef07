#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/job_spec.h"
#include "api/json_writer.h"
#include "cloud/storage.h"
#include "container/run_args.h"
#include "container/spec.h"
#include "gateways/front/body.h"

namespace buoy::gateways::batch {

// What of a job definition's container Buoy itself acts on; everything else is kept and shown.
struct Container {
  std::string image;
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> secret_files;  // name → path on the machine
  engine::Resources resources;
  container::Spec run;                              // how it is run; its image and variables are those above
  std::vector<cloud::FileSystemSpec> file_systems;  // of EFS, in which volumes of it are
};
using Parameters = std::map<std::string, std::string>;

// Lays the container of a definition or of an override over `container`. invalid_argument with the field.
Status layOver(front::Body& body, const api::Node* node, const std::string& path, Container& container);
// "Ref::name" in the command's words, where there is such a parameter.
std::vector<std::string> withParameters(const std::vector<std::string>& command,
                                        const Parameters& parameters);
// As JSON of a DescribeJobs answer: `node`, the definition's container, with what `container` says now. Open:
// the caller adds its own fields and ends the object.
void beginContainer(api::JsonWriter& writer, const api::Node* node, const Container& container);

// The shell text that runs a container's command as a process: AWS's variables from Buoy's, then the command
// in place of the shell.
std::string processScript(const Container& container, const std::vector<std::string>& command,
                          const std::map<std::string, std::string>& variables);

// What of it a machine runs that has a container runtime: with AWS's variables, which are put together from
// Buoy's when it begins.
container::Spec containerSpec(const Container& container,
                              const std::map<std::string, std::string>& variables);

// The rules of a registration: an image, a command that can be run, variables that are not AWS's own.
Status checkTemplate(front::Body& body);

}  // namespace buoy::gateways::batch
