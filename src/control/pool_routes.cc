#include <algorithm>
#include <map>

#include "api/config.h"
#include "api/views.h"
#include "base/strings.h"
#include "control/answers.h"
#include "control/market_memory.h"
#include "control/services.h"
#include "store/codec.h"

namespace buoy::control {
namespace {

Result<std::string> listPools(store::Store& store) {
  BUOY_TRY(const std::vector<store::MachineRow> rows, store.machines(0));
  std::map<std::string, std::int32_t> in_use;
  for (const store::MachineRow& row : rows) {
    BUOY_TRY(const engine::Machine machine, store::decodeMachine(row.record));
    if (!machine.host) ++in_use[machine.pool];
  }
  BUOY_TRY(const std::vector<engine::Pool> pools, store.pools());
  std::vector<api::PoolView> views;
  for (const engine::Pool& pool : pools) views.push_back(api::viewOf(pool, in_use[pool.name]));
  return api::toJson(views);
}

Result<std::string> listQueues(store::Store& store) {
  BUOY_TRY(const std::vector<engine::Queue> queues, store.queues());
  std::vector<api::QueueView> views;
  for (const engine::Queue& queue : queues) {
    BUOY_TRY(const std::int64_t unfinished, store.countUnfinished(queue.name));
    views.push_back(api::viewOf(queue, unfinished));
  }
  return api::toJson(views);
}

std::vector<api::Problem> onlyProblem(std::string field, std::string message) {
  api::Problem problem;
  problem.field = std::move(field);
  problem.message = std::move(message);
  return {std::move(problem)};
}

void putPool(Services& services, const std::shared_ptr<net::Responder>& responder, engine::Event event,
             std::string json) {
  Submission submission;
  submission.events.push_back(std::move(event));
  submission.done = [responder, json = std::move(json)](const Result<engine::Reply>& reply,
                                                        const engine::State&) {
    if (!reply) return sendError(*responder, reply.error());
    sendJson(*responder, 200, json);
  };
  if (const Status taken = services.writer.offer(std::move(submission)); !taken)
    sendError(*responder, taken.error());
}

void putChecked(Services& services, const std::shared_ptr<net::Responder>& responder, engine::Pool pool) {
  std::string json = api::toJson(pool);
  putPool(services, responder, engine::PutPool{std::move(pool)}, std::move(json));
}

void putPool(Services& services, Call call) {
  auto pool = api::parsePoolJson(call.request.body);
  if (!pool) return sendProblems(*call.responder, std::move(pool).error());
  if (pool->name != call.captured[0]) {
    return sendProblems(*call.responder,
                        onlyProblem("name", strCat({"'", pool->name, "' is not the name in the path, '",
                                                    call.captured[0], "'"})));
  }
  if (std::find(services.providers.begin(), services.providers.end(), pool->provider) ==
      services.providers.end()) {
    return sendProblems(*call.responder,
                        onlyProblem("provider", strCat({"there is no provider '", pool->provider,
                                                        "'; known: ", join(services.providers, ", ")})));
  }
  if (pool->learn.empty()) return putChecked(services, call.responder, std::move(*pool));
  // Files are read.
  const bool taken = services.io.post(0, [&services, responder = call.responder, pool = *pool]() mutable {
    if (const Status kept = keepRecordings(services.store, pool); !kept)
      return sendProblems(*responder, onlyProblem("learn", kept.error().message));
    putChecked(services, responder, std::move(pool));
  });
  if (!taken) sendError(*call.responder, {ErrorCode::unavailable, "too much is being read; try again", true});
}

void putQueue(Services& services, Call call) {
  auto queue = api::parseQueueJson(call.request.body);
  if (!queue) return sendProblems(*call.responder, std::move(queue).error());
  if (queue->name != call.captured[0]) {
    return sendProblems(*call.responder,
                        onlyProblem("name", strCat({"'", queue->name, "' is not the name in the path, '",
                                                    call.captured[0], "'"})));
  }
  auto problems = checkQueue(*services.catalog.view(), *queue);
  if (!problems.empty()) return sendProblems(*call.responder, std::move(problems));
  std::string json = api::toJson(*queue);
  putPool(services, call.responder, engine::PutQueue{std::move(*queue)}, std::move(json));
}

Result<std::string> marketOf(store::Store& store, const std::string& name) {
  BUOY_TRY(const std::vector<engine::Pool> pools, store.pools());
  if (std::none_of(pools.begin(), pools.end(), [&](const engine::Pool& pool) { return pool.name == name; }))
    return fail(ErrorCode::not_found, strCat({"there is no pool ", inQuotes(name)}));
  BUOY_TRY(const std::vector<engine::MarketEvent> events, store.market(name, Time::max(), kMostMarketEvents));
  return api::toJson(events);
}

void answerMarket(Services& services, net::Responder& responder, const std::string& name) {
  const auto json = marketOf(services.store, name);
  if (!json) return sendError(responder, json.error());
  sendJson(responder, 200, *json);
}

}  // namespace

void addPoolRoutes(Router& router, Services& services) {
  router.add("GET", "/v1/pools", [&](Call call) {
    const auto list = listPools(services.store);
    if (!list) return sendError(*call.responder, list.error());
    sendJson(*call.responder, 200, *list);
  });
  router.add("GET", "/v1/queues", [&](Call call) {
    const auto list = listQueues(services.store);
    if (!list) return sendError(*call.responder, list.error());
    sendJson(*call.responder, 200, *list);
  });
  router.add("GET", "/v1/pools/{}/market", [&](Call call) {
    const bool taken = services.io.post(0, [&services, responder = call.responder, name = call.captured[0]] {
      answerMarket(services, *responder, name);
    });
    if (!taken)
      sendError(*call.responder, {ErrorCode::unavailable, "too much is being read; try again", true});
  });
  router.add("PUT", "/v1/pools/{}", [&](Call call) { putPool(services, std::move(call)); });
  router.add("PUT", "/v1/queues/{}", [&](Call call) { putQueue(services, std::move(call)); });
}

}  // namespace buoy::control
