#include "api/input_source.h"

#include <algorithm>
#include <array>

#include "api/job_spec.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

constexpr std::string_view kS3 = "s3://";
constexpr std::string_view kJob = "job:";
constexpr std::array kParts{InputSource::Part::output, InputSource::Part::state, InputSource::Part::source,
                            InputSource::Part::model};

Result<InputSource> wrong(std::string message) {
  return fail(ErrorCode::invalid_argument, std::move(message));
}

// As S3 allows them, and the older ones with capitals and '_' that other servers still take.
bool isBucketName(std::string_view name) {
  return name.size() >= 3 && name.size() <= 255 && name != "..." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '-' || c == '_';
         });
}

Result<InputSource> parseS3(std::string_view text) {
  InputSource source;
  source.kind = InputSource::Kind::s3;
  std::string_view rest = text.substr(kS3.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::string_view bucket = rest.substr(0, rest.find('/'));
  if (!bucket.empty() && !isBucketName(bucket)) {
    return wrong(inQuotes(bucket) + " cannot be a bucket's name: 3 to 63 letters, digits, dots and hyphens");
  }
  if (bucket.empty()) {
    return wrong(inQuotes(text) + " names no bucket: write s3://bucket/prefix");
  }
  if (rest.size() > bucket.size()) {
    for (const std::string_view part : split(rest.substr(bucket.size() + 1), '/')) {
      if (part.empty() || part == "." || part == "..") {
        return wrong(inQuotes(text) + " has an empty, '.' or '..' component, which no prefix of Buoy's has");
      }
    }
  }
  source.path = strCat({kS3, rest});
  return source;
}

Result<InputSource> parseJob(std::string_view text) {
  InputSource source;
  source.kind = InputSource::Kind::job;
  const std::string_view rest = text.substr(kJob.size());
  const auto slash = rest.find('/');
  source.job = rest.substr(0, slash);
  if (!isName(source.job))
    return wrong(inQuotes(text) + " names no job: write job:NAME/output or job:j42/output");
  std::string_view part = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  if (const auto at = part.find('@'); at != std::string_view::npos) {
    source.sha256 = part.substr(at + 1);
    part = part.substr(0, at);
    if (part != "source" || !isSha256(source.sha256))
      return wrong(inQuotes(text) + " has a '@' that means nothing");
  }
  for (const InputSource::Part known : kParts) {
    if (part != toString(known)) continue;
    source.part = known;
    return source;
  }
  return wrong(
      strCat({"must be job:", source.job, "/output, /model, /state or /source, not ", inQuotes(text)}));
}

}  // namespace

std::string_view toString(InputSource::Part part) {
  switch (part) {
    case InputSource::Part::output:
      return "output";
    case InputSource::Part::state:
      return "state";
    case InputSource::Part::source:
      return "source";
    case InputSource::Part::model:
      return "model";
  }
  return "output";
}

std::string toString(const InputSource& source) {
  if (source.kind != InputSource::Kind::job) return source.path;
  return strCat(
      {kJob, source.job, "/", toString(source.part), source.sha256.empty() ? "" : "@", source.sha256});
}

std::string stateOf(std::string_view job) {
  return job.find(':') == std::string_view::npos ? strCat({kJob, job, "/state"}) : std::string(job);
}

Result<InputSource> parseInputSource(std::string_view text) {
  if (text.starts_with(kS3)) return parseS3(text);
  if (text.starts_with(kJob)) return parseJob(text);
  if (text.find("://") != std::string_view::npos && text.find("://") < text.find('/')) {
    return wrong(inQuotes(text) +
                 " is of a kind that is not known: write a path, s3://bucket/prefix or job:NAME/output");
  }
  InputSource source;
  source.path = text;
  return source;
}

}  // namespace buoy::api
