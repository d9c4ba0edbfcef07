#include "gateways/logs/streams.h"

#include "base/parse_number.h"
#include "base/strings.h"
#include "gateways/front/body.h"
#include "store/codec.h"

namespace buoy::gateways::logs {
namespace {

constexpr int kJobsLookedAt = 1000;

std::string definitionOf(const store::JobRow& row, const engine::Job& job) {
  const auto spec = front::Body::parse(row.spec);
  const api::Node* const door = spec ? spec->root().find("door") : nullptr;
  const std::string definition = door == nullptr ? std::string() : front::textOf(*door, "definition");
  return definition.empty() ? job.request.name : definition.substr(0, definition.find(':'));
}

}  // namespace

Result<LogPlace> parseStreamName(std::string_view name) {
  const auto missing = [&] {
    return fail(ErrorCode::not_found, strCat({"The specified log stream does not exist: ", inQuotes(name)}));
  };
  const auto parts = split(name.substr(name.rfind('/') + 1), '.');
  const auto job = JobId::parse(parts[0]);
  if (!job || parts.size() < 2 || parts.size() > 3) return missing();
  const auto attempt = parseNumber<std::uint32_t>(parts[1]);
  const auto rank =
      parts.size() == 3 ? parseNumber<std::uint32_t>(parts[2]) : std::optional<std::uint32_t>(0);
  if (!attempt || !rank) return missing();
  return LogPlace{*job, *attempt, *rank};
}

Result<StreamPage> listStreams(Backend& backend, std::string_view prefix, JobId before, std::size_t most) {
  StreamPage page;
  store::JobQuery query;
  query.before = before;
  query.limit = kJobsLookedAt;
  BUOY_TRY(const std::vector<store::JobRow> rows, backend.store().jobs(query));
  for (const store::JobRow& listed : rows) {
    BUOY_TRY(const store::JobRow row, backend.store().job(listed.id));
    BUOY_TRY(const engine::Job job, store::decodeJob(row.record));
    const std::string base = definitionOf(row, job) + "/default/" + job.id.toString();
    page.last = job.id;
    const std::string_view common = std::string_view(base).substr(0, std::min(base.size(), prefix.size()));
    if (!prefix.starts_with(common)) continue;
    BUOY_TRY(const std::vector<LogPlace> places, backend.logs(job.id));
    for (const LogPlace& place : places) {
      std::string name = base + "." + std::to_string(place.attempt);
      if (place.rank > 0) name += "." + std::to_string(place.rank);
      if (name.starts_with(prefix)) page.streams.push_back({std::move(name), place, job.submitted});
    }
    if (page.streams.size() >= most) return page;
  }
  if (rows.size() < static_cast<std::size_t>(kJobsLookedAt)) page.last = JobId{};
  return page;
}

}  // namespace buoy::gateways::logs
