// The view of what a spot policy was asked about a job with a deadline, and what it answered.
#include "api/message_codec.h"
#include "api/view_codec.h"

namespace buoy::api {
namespace {

using engine::SpotQuestion;

void writeSource(JsonWriter& writer, const engine::SpotSource& source) {
  writer.beginObject().field("pool", source.pool).field("until", source.until).key("recorded").beginArray();
  for (const std::string& name : source.recorded) writer.value(name);
  writer.endArray().field("machines", source.machines).endObject();
}

engine::SpotSource readSource(MapReader& reader) {
  engine::SpotSource source;
  reader.get("pool", source.pool);
  reader.get("until", source.until);
  reader.get("recorded", source.recorded);
  reader.get("machines", source.machines);
  return source;
}

void writePlace(JsonWriter& writer, const SpotQuestion::Place& place) {
  writer.beginObject().field("pool", place.pool).field("type", place.type).field("price", place.price);
  writer.field("changeover", place.changeover).field("move_cost", place.move_cost).key("past").beginArray();
  for (const engine::AvailabilitySpan& span : place.past)
    writer.beginObject().field("seconds", span.length).field("up", span.up).endObject();
  writer.endArray().endObject();
}

void writePlan(JsonWriter& writer, const engine::SpotPlan& plan) {
  writer.beginObject().field("places", plan.places).field("time", plan.time).field("slack", plan.slack);
  writer.field("step", plan.step).field("changeover", plan.changeover);
  writer.field("on_demand_price", plan.on_demand_price).field("spot_price", plan.spot_price);
  writer.field("whole_work", plan.whole_work);
  writer.field("pace_up", plan.pace_up).field("pace_down", plan.pace_down).key("learned").beginArray();
  for (const engine::SpotSource& source : plan.learned) writeSource(writer, source);
  writer.endArray().endObject();
}

std::shared_ptr<const engine::SpotPlan> readPlan(MapReader& reader) {
  auto plan = std::make_shared<engine::SpotPlan>();
  reader.get("places", plan->places);
  reader.seconds("time", plan->time);
  reader.seconds("slack", plan->slack);
  reader.seconds("step", plan->step);
  reader.seconds("changeover", plan->changeover);
  reader.get("on_demand_price", plan->on_demand_price);
  reader.get("spot_price", plan->spot_price);
  reader.seconds("whole_work", plan->whole_work);
  reader.get("pace_up", plan->pace_up);
  reader.get("pace_down", plan->pace_down);
  readList(reader, "learned", [&](MapReader& item) { plan->learned.push_back(readSource(item)); });
  return plan;
}

SpotQuestion::Place readPlace(MapReader& reader) {
  SpotQuestion::Place place;
  reader.get("pool", place.pool);
  reader.get("type", place.type);
  reader.get("price", place.price);
  reader.seconds("changeover", place.changeover);
  reader.get("move_cost", place.move_cost);
  readList(reader, "past", [&](MapReader& item) {
    engine::AvailabilitySpan& span = place.past.emplace_back();
    item.seconds("seconds", span.length);
    item.get("up", span.up);
  });
  return place;
}

}  // namespace

void writeSteered(JsonWriter& writer, const engine::Record::Steered& steered) {
  const SpotQuestion& known = steered.question;
  writer.key("known").beginObject().field("policy", toString(known.rule));
  writer.field("work", known.work_total).field("work_left", known.work_left).field("unsaved", known.unsaved);
  writer.field("begins_again", known.begins_again);
  writer.field("time", known.time_total).field("time_left", known.time_left);
  writer.field("changeover", known.changeover).field("step", known.step);
  writer.field("on_demand_price", known.on_demand_price).field("machines", known.machines);
  writer.field("holding", toString(known.holding)).field("held", known.held);
  writer.field("changeover_left", known.changeover_left).key("places").beginArray();
  for (const SpotQuestion::Place& place : known.places) writePlace(writer, place);
  writer.endArray();
  if (known.plan) {
    writer.key("plan");
    writePlan(writer, *known.plan);
  }
  writer.endObject();
  writer.key("answer").beginObject().field("hold", toString(steered.take)).field("pool", steered.pool);
  writer.field("reason", steered.reason).endObject();
}

std::shared_ptr<const engine::Record::Steered> readSteered(MapReader& record) {
  auto steered = std::make_shared<engine::Record::Steered>();
  readChild(record, "known", [&](MapReader& reader) {
    SpotQuestion& known = steered->question;
    reader.word("policy", known.rule);
    reader.seconds("work", known.work_total);
    reader.seconds("work_left", known.work_left);
    reader.seconds("unsaved", known.unsaved);
    reader.get("begins_again", known.begins_again);
    reader.seconds("time", known.time_total);
    reader.seconds("time_left", known.time_left);
    reader.seconds("changeover", known.changeover);
    reader.seconds("step", known.step);
    reader.get("on_demand_price", known.on_demand_price);
    reader.get("machines", known.machines);
    reader.word("holding", known.holding);
    reader.get("held", known.held);
    reader.seconds("changeover_left", known.changeover_left);
    readList(reader, "places", [&](MapReader& item) { known.places.push_back(readPlace(item)); });
    readChild(reader, "plan", [&](MapReader& plan) { known.plan = readPlan(plan); });
  });
  readChild(record, "answer", [&](MapReader& reader) {
    reader.word("hold", steered->take);
    reader.get("pool", steered->pool);
    reader.get("reason", steered->reason);
  });
  return steered;
}

}  // namespace buoy::api
