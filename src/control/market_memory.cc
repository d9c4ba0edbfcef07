#include "control/market_memory.h"

#include <iterator>

#include "base/strings.h"
#include "objstore/sha256.h"
#include "os/files.h"
#include "os/log.h"
#include "schedule/spot/pool_history.h"
#include "schedule/spot/trace_history.h"

namespace buoy::control {
namespace {

constexpr std::uint64_t kLongestRecording = std::uint64_t{16} << 20;
constexpr std::size_t kDigits = 16;

std::string keyOf(const std::string& name) {
  return "market/" + name;
}

Result<std::string> keepRecording(store::Store& store, const std::string& file) {
  BUOY_TRY(const auto kept, store.value(keyOf(file)));
  if (kept) return file;
  if (!file.starts_with('/'))
    return fail(ErrorCode::invalid_argument,
                strCat({inQuotes(file), " is no absolute path of a file on the server's machine"}));
  BUOY_TRY(std::string text, os::readFile(file, kLongestRecording));
  if (const auto trace = sim::parseTrace(text); !trace) return fail(trace.error().wrap(file));
  std::string name = strCat({file, "#", objstore::sha256Hex(text).substr(0, kDigits)});
  BUOY_TRY_VOID(store.putValue(keyOf(name), text));
  return name;
}

Result<schedule::spot::History> recording(store::Store& store, const std::string& name,
                                          std::int32_t machines) {
  BUOY_TRY(const auto text, store.value(keyOf(name)));
  if (!text) return fail(ErrorCode::not_found, "it is not kept");
  BUOY_TRY(const sim::Trace trace, sim::parseTrace(*text));
  return schedule::spot::historyOf(trace, machines);
}

void logFailure(const std::string& what, const Error& error) {
  os::log(os::LogLevel::error, "market_unreadable", {{"of", what}, {"error", error.message}});
}

}  // namespace

Status keepRecordings(store::Store& store, engine::Pool& pool) {
  for (std::string& file : pool.learn) {
    auto name = keepRecording(store, file);
    if (!name) return fail(name.error().wrap("learn"));
    file = std::move(*name);
  }
  return {};
}

std::vector<schedule::spot::History> recall(store::Store& store, const engine::SpotSource& source) {
  std::vector<schedule::spot::History> histories;
  for (const std::string& name : source.recorded) {
    auto history = recording(store, name, source.machines);
    if (!history) {
      logFailure(name, history.error());
      continue;
    }
    histories.push_back(std::move(*history));
  }
  if (source.until == Time{}) return histories;
  const auto events = store.market(source.pool, source.until, kMostMarketEvents);
  if (!events) {
    logFailure(source.pool, events.error());
    return histories;
  }
  auto own = schedule::spot::historiesOf(*events, source.until);
  std::move(own.begin(), own.end(), std::back_inserter(histories));
  return histories;
}

}  // namespace buoy::control
