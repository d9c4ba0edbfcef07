#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateways/backend.h"

namespace buoy::gateways::logs {

inline constexpr std::string_view kGroup = "/aws/batch/job";

struct Stream {
  std::string name;
  LogPlace place;
  Time created{};  // when its job was submitted
};
// not_found: no such stream.
Result<LogPlace> parseStreamName(std::string_view name);
// The streams of the newest jobs whose names begin with `prefix`, newest job first; behind `before`, if that
// is a job. Looks at so many jobs at most; `last` is the last one looked at.
struct StreamPage {
  std::vector<Stream> streams;
  JobId last;  // none: there are no more jobs
};
Result<StreamPage> listStreams(Backend& backend, std::string_view prefix, JobId before, std::size_t most);

}  // namespace buoy::gateways::logs
