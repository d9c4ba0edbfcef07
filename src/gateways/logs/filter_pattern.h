#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace buoy::gateways::logs {

// The patterns of FilterLogEvents for unstructured text
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html): every word must be
// there, one of the words with '?' in front, none with '-'; words with other signs stand in double quotes.
// Patterns for JSON and for columns are refused. Pure.
class FilterPattern {
 public:
  static Result<FilterPattern> parse(std::string_view text);  // invalid_argument; at most 1024 bytes
  bool matches(std::string_view message) const;

 private:
  std::vector<std::string> all_, any_, none_;
};

}  // namespace buoy::gateways::logs
