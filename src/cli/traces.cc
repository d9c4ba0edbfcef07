#include "cli/traces.h"

#include "os/files.h"

namespace buoy::cli {
namespace {

constexpr std::uint64_t kLongestFile = std::uint64_t{256} << 20;

}  // namespace

Result<std::vector<sim::Trace>> readTraces(std::span<const std::string> files) {
  std::vector<sim::Trace> traces;
  for (const std::string& file : files) {
    BUOY_TRY(const std::string text, os::readFile(file, kLongestFile));
    auto trace = sim::parseTrace(text);
    if (!trace) return fail(trace.error().wrap(file));
    traces.push_back(std::move(*trace));
  }
  return traces;
}

}  // namespace buoy::cli
