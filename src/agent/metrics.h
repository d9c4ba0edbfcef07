#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace re2 {
class RE2;
}

namespace buoy::agent {

// Finds numbers in a job's output: the metrics of its specification, each a pattern with one group. Matching
// takes time linear in the line, whatever the pattern (RE2). Not thread-safe.
class MetricExtractor {
 public:
  struct Value {
    std::string name;
    double value = 0;
  };

  // invalid_argument naming the metric whose pattern is wrong.
  static Result<MetricExtractor> create(const std::map<std::string, std::string>& patterns);
  MetricExtractor();  // no metrics
  ~MetricExtractor();
  MetricExtractor(MetricExtractor&&) noexcept;
  MetricExtractor& operator=(MetricExtractor&&) noexcept;

  // Appends what `line` says. A group that is not a finite number ("nan", "inf", text) is no value.
  void extract(std::string_view line, std::vector<Value>& values) const;

 private:
  std::vector<std::pair<std::string, std::unique_ptr<re2::RE2>>> patterns_;
};

}  // namespace buoy::agent
