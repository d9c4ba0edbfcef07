#include "engine/retries.h"

#include "base/strings.h"

namespace buoy::engine {
namespace {

bool fits(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return true;
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  return text == pattern;
}

}  // namespace

std::string failureStatus(const Failure& failure) {
  if (failure.lost) return strCat({"Host EC2 (instance ", failure.machine.toString(), ") terminated."});
  if (failure.exit_code) return "Essential container in task exited";
  return "Task failed to start";
}

bool isRetried(const JobRequest& request, const Failure& failure) {
  const std::string code = failure.exit_code ? std::to_string(*failure.exit_code) : std::string();
  const std::string status = failureStatus(failure);
  for (const RetryRule& rule : request.retry_rules) {
    if (!rule.exit_code.empty() && code.empty()) continue;
    if (fits(code, rule.exit_code) && fits(failure.reason, rule.reason) && fits(status, rule.status))
      return rule.retry;
  }
  return true;
}

}  // namespace buoy::engine
