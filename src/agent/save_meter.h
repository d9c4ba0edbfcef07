#pragma once

#include <optional>
#include <string>

#include "engine/types.h"
#include "objstore/checkpoint.h"

namespace buoy::agent {

// How fast this machine saves into this store, from the saves themselves. Loop thread only.
class SaveMeter {
 public:
  explicit SaveMeter(Duration notice) { measure_.notice = notice; }

  // A version was committed that the job took `wrote` to write. The answer, once: a sentence, if a whole
  // checkpoint does not fit into the notice.
  std::optional<std::string> saved(const objstore::CommitStats& stats, Duration wrote);
  const engine::SaveMeasure& measure() const { return measure_; }

 private:
  engine::SaveMeasure measure_;
  std::uint64_t most_sent_ = 0;
  bool warned_ = false;
};

}  // namespace buoy::agent
