#include "agent/metrics.h"

#include <re2/re2.h>

#include <cmath>

#include "base/parse_number.h"
#include "base/strings.h"

namespace buoy::agent {
namespace {

constexpr std::int64_t kMemoryPerPattern = 1 << 20;

}  // namespace

MetricExtractor::MetricExtractor() = default;
MetricExtractor::~MetricExtractor() = default;
MetricExtractor::MetricExtractor(MetricExtractor&&) noexcept = default;
MetricExtractor& MetricExtractor::operator=(MetricExtractor&&) noexcept = default;

Result<MetricExtractor> MetricExtractor::create(const std::map<std::string, std::string>& patterns) {
  MetricExtractor extractor;
  for (const auto& [name, pattern] : patterns) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kMemoryPerPattern);
    auto compiled = std::make_unique<re2::RE2>(pattern, options);
    if (!compiled->ok()) {
      return fail(ErrorCode::invalid_argument, strCat({"metrics.", name, ": ", compiled->error()}));
    }
    if (compiled->NumberOfCapturingGroups() != 1) {
      return fail(ErrorCode::invalid_argument, strCat({"metrics.", name, ": needs exactly one group"}));
    }
    extractor.patterns_.emplace_back(name, std::move(compiled));
  }
  return extractor;
}

void MetricExtractor::extract(std::string_view line, std::vector<Value>& values) const {
  for (const auto& [name, pattern] : patterns_) {
    re2::StringPiece group;
    if (!RE2::PartialMatch(re2::StringPiece(line.data(), line.size()), *pattern, &group)) continue;
    std::string_view text(group.data(), group.size());
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto value = parseNumber<double>(text);
    if (value && std::isfinite(*value)) values.push_back(Value{name, *value});
  }
}

}  // namespace buoy::agent
