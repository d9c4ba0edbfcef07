#pragma once

#include <string>
#include <vector>

#include "cli/connection.h"
#include "cli/rehearse/result.h"

namespace buoy::cli {

// The outputs of the undisturbed run, kept as files to compare others with. Not thread-safe.
class ReferenceOutputs {
 public:
  static Result<ReferenceOutputs> fetch(Connection& connection, const RehearsedRun& reference,
                                        const std::string& directory);
  // What is not byte for byte the same. With a tolerance, texts are compared word for word where their bytes
  // differ, and numbers may be so far off.
  Result<std::vector<Difference>> compare(Connection& connection, const RehearsedRun& run,
                                          double tolerance) const;
  bool empty() const { return outputs_.empty(); }

 private:
  std::string directory_;
  std::vector<api::OutputView> outputs_;
};

}  // namespace buoy::cli
