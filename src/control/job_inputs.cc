#include "control/job_inputs.h"

#include "api/input_source.h"
#include "base/strings.h"
#include "control/services.h"
#include "store/codec.h"

namespace buoy::control {
namespace {

using api::InputSource;

// What this job can never have, as a sentence; empty: nothing is known against it.
std::string lacks(const api::JobSpec& job, InputSource::Part part) {
  switch (part) {
    case InputSource::Part::output:
    case InputSource::Part::model:
      return job.outputs.empty() ? "names no outputs" : "";
    case InputSource::Part::state:
      return job.checkpoint ? "" : "keeps no checkpoints";
    case InputSource::Part::source:
      return job.source.empty() ? "was submitted without a source" : "";
  }
  return "";
}

// `from` becomes that of one job; which one is the answer, if it is a job's.
Result<std::optional<store::JobRow>> resolve(store::Store& store, std::string& from, JobId before) {
  BUOY_TRY(InputSource source, api::parseInputSource(from));
  if (source.kind != InputSource::Kind::job) return std::optional<store::JobRow>();
  BUOY_TRY(const store::JobRow row, findJob(store, source.job, before));
  source.job = row.id.toString();
  const auto spec = api::parseJobJson(row.spec);
  if (!spec)
    return fail(ErrorCode::invalid_argument,
                source.job + " was submitted with a specification of another version");
  if (const std::string why = lacks(*spec, source.part); !why.empty()) {
    return fail(ErrorCode::invalid_argument, strCat({source.job, " ", why}));
  }
  if (source.part == InputSource::Part::source) source.sha256 = spec->source;
  from = api::toString(source);
  return row;
}

Status resolveBeginning(store::Store& store, api::JobSpec& spec, JobId before) {
  BUOY_TRY(const auto job, resolve(store, spec.checkpoint->from, before));
  if (!job) return {};
  BUOY_TRY(const engine::Job made, store::decodeJob(job->record));
  const std::string id = made.id.toString();
  if (made.request.array > 0)
    return fail(ErrorCode::invalid_argument, id + " is an array: name the job of one of its tasks");
  // What one machine finds there the next must find, too.
  if (spec.machines > 1 && !engine::isTerminal(made.phase))
    return fail(ErrorCode::invalid_argument,
                strCat({id,
                        " has not ended: its checkpoint changes, and a job of several machines "
                        "begins with one version"}));
  return {};
}

std::vector<api::Problem> resolveAll(store::Store& store, api::JobSpec& spec, JobId before) {
  std::vector<api::Problem> problems;
  for (auto& [name, input] : spec.inputs) {
    const auto resolved = resolve(store, input.from, before);
    if (!resolved) problems.push_back({{}, 0, 0, "inputs." + name, resolved.error().message});
  }
  if (spec.checkpoint && !spec.checkpoint->from.empty()) {
    const Status resolved = resolveBeginning(store, spec, before);
    if (!resolved) problems.push_back({{}, 0, 0, "checkpoint.from", resolved.error().message});
  }
  return problems;
}

}  // namespace

std::vector<api::Problem> resolveInputs(store::Store& store, api::JobSpec& spec,
                                        const std::string& request_id) {
  const api::JobSpec asked = spec;
  auto problems = resolveAll(store, spec, {});
  if ((problems.empty() && spec == asked) || request_id.empty()) return problems;
  // Asked after the names were looked up: if one of them meant the job that this very request has made, it is
  // found.
  const auto made = store.findRequest(request_id);
  if (!made || !*made) return problems;
  spec = asked;
  return resolveAll(store, spec, **made);
}

}  // namespace buoy::control
