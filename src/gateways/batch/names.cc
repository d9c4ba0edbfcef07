#include "gateways/batch/names.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace buoy::gateways::batch {
namespace {

constexpr std::array kThings = {Thing::compute_environment, Thing::job_queue, Thing::job_definition,
                                Thing::job, Thing::scheduling_policy};
constexpr std::size_t kLongestName = 128;

bool isLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string_view wordOf(Thing thing) {
  switch (thing) {
    case Thing::compute_environment:
      return "compute-environment";
    case Thing::job_queue:
      return "job-queue";
    case Thing::job_definition:
      return "job-definition";
    case Thing::job:
      return "job";
    case Thing::scheduling_policy:
      return "scheduling-policy";
  }
  return "?";
}

std::string arnOf(std::string_view region, Thing thing, std::string_view name) {
  return strCat({"arn:aws:batch:", region, ":", kAccount, ":", wordOf(thing), "/", name});
}

Result<Named> parseArn(std::string_view arn) {
  const auto slash = arn.find('/');
  const std::string_view head = arn.substr(0, slash);
  const auto parts = split(head, ':');
  if (slash != std::string_view::npos && parts.size() == 6 && parts[0] == "arn" && parts[2] == "batch" &&
      slash + 1 < arn.size()) {
    for (const Thing thing : kThings) {
      if (parts[5] == wordOf(thing)) return Named{thing, std::string(arn.substr(slash + 1))};
    }
  }
  return fail(ErrorCode::invalid_argument, strCat({inQuotes(arn), " is not an ARN of AWS Batch"}));
}

std::string nameIn(std::string_view reference, Thing thing) {
  if (!reference.starts_with("arn:")) return std::string(reference);
  auto named = parseArn(reference);
  return named && named->thing == thing ? std::move(named->name) : std::string(reference);
}

Status checkName(std::string_view field, std::string_view name) {
  if (name.empty()) return fail(ErrorCode::invalid_argument, strCat({field, " is required"}));
  const bool good = name.size() <= kLongestName && isLetterOrDigit(name.front()) &&
                    std::all_of(name.begin(), name.end(),
                                [](char c) { return isLetterOrDigit(c) || c == '-' || c == '_'; });
  if (good) return {};
  return fail(ErrorCode::invalid_argument,
              strCat({field,
                      " must be 1 to 128 letters, digits, hyphens or underscores, beginning with a letter "
                      "or digit, not ",
                      inQuotes(name)}));
}

}  // namespace buoy::gateways::batch
