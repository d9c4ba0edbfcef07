#include "api/views.h"

#include "api/message_codec.h"
#include "api/view_codec.h"

namespace buoy::api {
namespace {

void writeOptional(JsonWriter& writer, std::string_view key, const auto& value) {
  writer.key(key);
  value ? writer.value(*value) : writer.null();
}

void writeMachine(JsonWriter& writer, const MachineView& machine) {
  writer.beginObject().field("id", machine.id).field("pool", machine.pool).field("type", machine.type);
  writer.field("market", toString(machine.market)).field("price", machine.price);
  writer.field("on_demand_price", machine.on_demand_price).field("phase", toString(machine.phase));
  writer.field("job", machine.job).field("epoch", machine.epoch).field("rank", machine.rank);
  writer.field("holder", machine.holder)
      .field("provider_ref", machine.provider_ref)
      .field("address", machine.address);
  writer.field("requested", machine.requested);
  writeOptional(writer, "billed_from", machine.billed_from);
  writer.field("use", toString(machine.use)).field("unreachable", machine.unreachable);
  writeOptional(writer, "notice_deadline", machine.notice_deadline);
  writer.field("launch_failures", machine.launch_failures);
  writeOptional(writer, "ended", machine.ended);
  writer.field("taken", machine.taken).field("reclaim_asked", machine.reclaim_asked);
  if (machine.host) {
    writer.field("host", machine.host).key("part").beginObject();
    writer.field("milli_cpus", machine.part.milli_cpus).field("gpus", machine.part.gpus);
    writer.field("memory", machine.part.memory).endObject();
  }
  writer.endObject();
}

MachineView readMachine(MapReader& reader) {
  MachineView machine;
  reader.get("id", machine.id);
  reader.get("pool", machine.pool);
  reader.get("type", machine.type);
  reader.word("market", machine.market);
  reader.get("price", machine.price);
  reader.get("on_demand_price", machine.on_demand_price);
  reader.word("phase", machine.phase);
  reader.get("job", machine.job);
  reader.get("epoch", machine.epoch);
  reader.get("rank", machine.rank);
  reader.get("holder", machine.holder);
  reader.get("provider_ref", machine.provider_ref);
  reader.get("address", machine.address);
  reader.get("requested", machine.requested);
  reader.get("billed_from", machine.billed_from);
  reader.word("use", machine.use);
  reader.get("unreachable", machine.unreachable);
  reader.get("notice_deadline", machine.notice_deadline);
  reader.get("launch_failures", machine.launch_failures);
  reader.get("ended", machine.ended);
  reader.get("taken", machine.taken);
  reader.get("reclaim_asked", machine.reclaim_asked);
  reader.get("host", machine.host);
  readChild(reader, "part", [&](MapReader& part) {
    part.get("milli_cpus", machine.part.milli_cpus);
    part.get("gpus", machine.part.gpus);
    part.get("memory", machine.part.memory);
  });
  reader.require("id");
  reader.require("phase");
  return machine;
}

// The engine's memory of failures: shown, and taken back only by this view.
void writePool(JsonWriter& writer, const PoolView& view) {
  const engine::Pool& pool = view.pool;
  const auto instant = [&](std::string_view key, Time time) {
    writeOptional(writer, key, time == Time{} ? std::nullopt : std::optional(time));
  };
  writer.beginObject();
  writePoolFields(writer, pool);
  writer.field("in_use", view.in_use).field("failures", pool.consecutive_failures);
  instant("retry_at", pool.retry_at);
  writer.field("spot_failures", pool.spot_failures);
  instant("spot_retry_at", pool.spot_retry_at);
  writer.endObject();
}

PoolView readPoolView(MapReader& reader) {
  PoolView view{.pool = readPool(reader)};
  reader.get("in_use", view.in_use);
  reader.get("failures", view.pool.consecutive_failures);
  reader.get("retry_at", view.pool.retry_at);
  reader.get("spot_failures", view.pool.spot_failures);
  reader.get("spot_retry_at", view.pool.spot_retry_at);
  return view;
}

void writeQueue(JsonWriter& writer, const QueueView& view) {
  writer.beginObject();
  writeQueueFields(writer, view.queue);
  writer.field("unfinished", view.unfinished).endObject();
}

QueueView readQueueView(MapReader& reader) {
  QueueView view{.queue = readQueue(reader)};
  reader.get("unfinished", view.unfinished);
  return view;
}

template <class Item, class Read>
Result<std::vector<Item>> parseList(std::string_view json, std::string_view key, Read read) {
  return parseObject(json, [&](MapReader& reader) {
    std::vector<Item> items;
    readList(reader, key, [&](MapReader& item) { items.push_back(read(item)); });
    reader.require(key);
    return items;
  });
}

template <class Item, class Write>
std::string writeOne(const Item& item, Write write) {
  std::string out;
  JsonWriter writer(out);
  write(writer, item);
  return out;
}

}  // namespace

std::string toJson(const MachineView& machine) {
  return writeOne(machine, writeMachine);
}
Result<MachineView> parseMachine(std::string_view json) {
  return parseObject(json, readMachine);
}
std::string toJson(std::span<const MachineView> machines) {
  return writeList("machines", machines, writeMachine);
}
Result<std::vector<MachineView>> parseMachines(std::string_view json) {
  return parseList<MachineView>(json, "machines", readMachine);
}

std::string toJson(const PoolView& pool) {
  return writeOne(pool, writePool);
}
Result<PoolView> parsePool(std::string_view json) {
  return parseObject(json, readPoolView);
}
std::string toJson(std::span<const PoolView> pools) {
  return writeList("pools", pools, writePool);
}
Result<std::vector<PoolView>> parsePools(std::string_view json) {
  return parseList<PoolView>(json, "pools", readPoolView);
}

std::string toJson(std::span<const engine::MarketEvent> events) {
  return writeList("events", events, [](JsonWriter& writer, const engine::MarketEvent& event) {
    writer.beginObject().field("pool", event.pool).field("at", event.at).field("what", toString(event.what));
    if (event.what == engine::MarketEvent::What::ended)
      writer.field("lived", event.lived).field("taken", event.taken);
    writer.endObject();
  });
}
Result<std::vector<engine::MarketEvent>> parseMarketEvents(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    std::vector<engine::MarketEvent> events;
    readList(reader, "events", [&](MapReader& item) {
      engine::MarketEvent& event = events.emplace_back();
      item.get("pool", event.pool);
      item.get("at", event.at);
      item.word("what", event.what);
      item.seconds("lived", event.lived);
      item.get("taken", event.taken);
    });
    return events;
  });
}
std::string toJson(const QueueView& queue) {
  return writeOne(queue, writeQueue);
}
Result<QueueView> parseQueue(std::string_view json) {
  return parseObject(json, readQueueView);
}
std::string toJson(std::span<const QueueView> queues) {
  return writeList("queues", queues, writeQueue);
}
Result<std::vector<QueueView>> parseQueues(std::string_view json) {
  return parseList<QueueView>(json, "queues", readQueueView);
}

MachineView viewOf(const engine::Machine& machine) {
  MachineView view;
  view.id = machine.id;
  view.pool = machine.pool;
  view.type = machine.type;
  view.market = machine.market;
  view.price = machine.price;
  view.on_demand_price = machine.on_demand_price;
  view.phase = machine.phase;
  view.job = machine.job;
  view.epoch = machine.epoch;
  view.rank = machine.rank;
  view.holder = machine.holder;
  view.provider_ref = machine.provider_ref;
  view.address = machine.address;
  view.requested = machine.requested;
  if (machine.billed_from != Time{}) view.billed_from = machine.billed_from;
  view.use = machine.use;
  view.unreachable = machine.unreachable;
  view.notice_deadline = machine.notice_deadline;
  view.launch_failures = machine.launch_failures;
  if (machine.phase == engine::MachinePhase::gone) view.ended = machine.phase_since;
  view.taken = machine.taken;
  view.reclaim_asked = machine.reclaim_asked;
  view.host = machine.host;
  if (machine.host) view.part = machine.part;
  return view;
}

PoolView viewOf(const engine::Pool& pool, std::int32_t in_use) {
  return PoolView{pool, in_use};
}

QueueView viewOf(const engine::Queue& queue, std::int64_t unfinished) {
  return QueueView{queue, unfinished};
}

}  // namespace buoy::api
