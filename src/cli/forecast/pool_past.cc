#include "cli/forecast/pool_past.h"

#include <algorithm>
#include <iterator>

#include "api/views.h"
#include "base/strings.h"
#include "cli/connection.h"
#include "schedule/spot/pool_history.h"

namespace buoy::cli {
namespace {

Result<std::vector<std::string>> poolsOf(Connection& connection, const api::JobSpec& job) {
  if (!job.pools.empty()) return job.pools;
  BUOY_TRY(const std::string answer, connection.get("/v1/queues"));
  BUOY_TRY(const std::vector<api::QueueView> queues, api::parseQueues(answer));
  for (const api::QueueView& view : queues) {
    if (view.queue.name == job.queue) return view.queue.pools;
  }
  return fail(ErrorCode::not_found, strCat({"the server has no queue ", inQuotes(job.queue)}));
}

Result<PoolPast> read(const Context& context, const api::JobSpec& job) {
  BUOY_TRY(ServerAddress address, serverAddress(context.server));
  Connection connection(std::move(address), Connection::Start::never);
  BUOY_TRY(const std::vector<std::string> pools, poolsOf(connection, job));
  PoolPast past;
  std::size_t events = 0;
  for (const std::string& pool : pools) {
    BUOY_TRY(const std::string answer, connection.get("/v1/pools/" + pathPart(pool) + "/market"));
    BUOY_TRY(const std::vector<engine::MarketEvent> seen, api::parseMarketEvents(answer));
    auto histories = schedule::spot::historiesOf(seen, wallClock());
    std::move(histories.begin(), histories.end(), std::back_inserter(past.histories));
    events += seen.size();
  }
  const std::string names = join(pools, ", ");
  past.said =
      events == 0
          ? strCat({"buoy has learned nothing before: the server has seen no spot machines in ", names})
          : strCat({"buoy has learned from what the server has seen in ", names, " (",
                    counted(events, "event"), ")"});
  return past;
}

}  // namespace

PoolPast pastOfPools(const Context& context, const api::JobSpec& job) {
  auto past = read(context, job);
  if (past) return std::move(*past);
  return {{},
          strCat({"buoy has learned nothing before (--learn): no server told of the job's pools (",
                  past.error().message, ")"})};
}

}  // namespace buoy::cli
