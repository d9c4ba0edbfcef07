// The views of what happened: records, spans, log lines, metrics, outputs.
#include <cmath>

#include "api/message_codec.h"
#include "api/view_codec.h"
#include "api/views.h"

namespace buoy::api {
namespace {

void writeCandidates(JsonWriter& writer, const std::vector<engine::Record::Candidate>& candidates) {
  writer.key("candidates").beginArray();
  for (const engine::Record::Candidate& candidate : candidates) {
    writer.beginObject().field("pool", candidate.pool).field("type", candidate.type);
    writer.field("market", toString(candidate.market)).field("price", candidate.price);
    writer.field("score", candidate.score).field("rejected", candidate.rejected).endObject();
  }
  writer.endArray();
}

engine::Record::Candidate readCandidate(MapReader& reader) {
  engine::Record::Candidate candidate{.market = engine::Market::spot, .score = 0};
  reader.get("pool", candidate.pool);
  reader.get("type", candidate.type);
  reader.word("market", candidate.market);
  reader.get("price", candidate.price);
  reader.get("score", candidate.score);
  reader.get("rejected", candidate.rejected);
  return candidate;
}

void writeSeen(JsonWriter& writer, const engine::Record::Decision::Seen& seen) {
  const engine::Pool& pool = *seen.pool;
  writer.beginObject();
  writePoolFields(writer, pool);
  writer.field("failures", pool.consecutive_failures).field("retry_at", pool.retry_at);
  writer.field("spot_failures", pool.spot_failures).field("spot_retry_at", pool.spot_retry_at);
  writer.field("free", seen.free)
      .field("idle_spot", seen.idle_spot)
      .field("idle_on_demand", seen.idle_on_demand);
  writer.field("trial_spot", seen.trial_spot).field("trial_on_demand", seen.trial_on_demand).endObject();
}

engine::Record::Decision::Seen readSeen(MapReader& reader) {
  engine::Pool pool = readKnownPool(reader);
  engine::Record::Decision::Seen seen;
  reader.get("failures", pool.consecutive_failures);
  reader.get("retry_at", pool.retry_at);
  reader.get("spot_failures", pool.spot_failures);
  reader.get("spot_retry_at", pool.spot_retry_at);
  reader.get("free", seen.free);
  reader.get("idle_spot", seen.idle_spot);
  reader.get("idle_on_demand", seen.idle_on_demand);
  reader.get("trial_spot", seen.trial_spot);
  reader.get("trial_on_demand", seen.trial_on_demand);
  seen.pool = std::make_shared<const engine::Pool>(std::move(pool));
  return seen;
}

void writeDecision(JsonWriter& writer, const engine::Record::Decision& decision) {
  if (decision.steered) return writeSteered(writer, *decision.steered);
  writer.key("known").beginObject().key("resources").beginObject();
  writeResourceFields(writer, decision.resources);
  writer.endObject().field("spot", toString(decision.spot)).field("machines", decision.count);
  writer.key("pools").beginArray();
  for (const auto& seen : decision.pools) writeSeen(writer, seen);
  writer.endArray().endObject().key("took").beginArray();
  for (const MachineId machine : decision.machines) writer.value(machine);
  writer.endArray();
}

std::shared_ptr<const engine::Record::Decision> readDecision(MapReader& record) {
  auto decision = std::make_shared<engine::Record::Decision>();
  if (record.find("answer") != nullptr) {
    decision->steered = readSteered(record);
    return decision;
  }
  readChild(record, "known", [&](MapReader& reader) {
    readResources(reader, decision->resources);
    readSpot(reader, decision->spot);
    reader.get("machines", decision->count);
    readList(reader, "pools", [&](MapReader& item) { decision->pools.push_back(readSeen(item)); });
  });
  std::vector<std::string> took;
  record.get("took", took);
  for (const std::string& word : took) {
    if (const auto machine = MachineId::parse(word)) decision->machines.push_back(*machine);
  }
  return decision;
}

void writeSeries(JsonWriter& writer, const MetricSeriesView& series) {
  writer.beginObject().field("name", series.name).key("points").beginArray();
  for (const MetricSeriesView::Point& point : series.points) {
    writer.beginObject()
        .field("attempt", point.attempt)
        .field("at", point.at)
        .field("value", point.value)
        .endObject();
  }
  writer.endArray().endObject();
}

MetricSeriesView readSeries(MapReader& reader) {
  MetricSeriesView series;
  reader.get("name", series.name);
  readList(reader, "points", [&](MapReader& item) {
    MetricSeriesView::Point& point = series.points.emplace_back();
    item.get("attempt", point.attempt);
    item.get("at", point.at);
    item.get("value", point.value);
  });
  reader.require("name");
  return series;
}

}  // namespace

void writeSpan(JsonWriter& writer, const SpanView& span) {
  const Duration length = span.end - span.begin;
  writer.beginObject().field("machine", span.machine).field("job", span.job).field("attempt", span.attempt);
  writer.field("use", toString(span.use))
      .field("begin", span.begin)
      .field("end", span.end)
      .field("seconds", length);
  writer.field("price", span.price).field("on_demand_price", span.on_demand_price);
  if (span.amount != Money{}) writer.field("amount", span.amount);
  writer.field("cost", span.cost()).endObject();
}

SpanView readSpan(MapReader& reader) {
  SpanView span;
  reader.get("machine", span.machine);
  reader.get("job", span.job);
  reader.get("attempt", span.attempt);
  reader.word("use", span.use);
  reader.get("begin", span.begin);
  reader.get("end", span.end);
  reader.get("price", span.price);
  reader.get("on_demand_price", span.on_demand_price);
  reader.get("amount", span.amount);
  return span;
}

std::string toJson(const SpanView& span) {
  std::string out;
  JsonWriter writer(out);
  writeSpan(writer, span);
  return out;
}

Result<SpanView> parseSpan(std::string_view json) {
  return parseObject(json, readSpan);
}

std::string toJson(const RecordView& view) {
  return writeObject([&](JsonWriter& writer) {
    const engine::Record& record = view.record;
    writer.field("seq", view.seq)
        .field("at", record.at)
        .field("job", record.job)
        .field("machine", record.machine);
    writer.field("attempt", record.attempt).field("kind", record.kind).field("detail", record.detail);
    if (!record.candidates.empty()) writeCandidates(writer, record.candidates);
    if (!view.rederived || !record.decision) return;
    writeDecision(writer, *record.decision);
    writer.field("rederived", *view.rederived);
  });
}

Result<RecordView> parseRecord(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    RecordView view;
    reader.get("seq", view.seq);
    reader.get("at", view.record.at);
    reader.get("job", view.record.job);
    reader.get("machine", view.record.machine);
    reader.get("attempt", view.record.attempt);
    reader.get("kind", view.record.kind);
    reader.get("detail", view.record.detail);
    readList(reader, "candidates",
             [&](MapReader& item) { view.record.candidates.push_back(readCandidate(item)); });
    if (bool rederived = false; reader.get("rederived", rederived)) {
      view.rederived = rederived;
      view.record.decision = readDecision(reader);
    }
    reader.require("seq");
    reader.require("kind");
    return view;
  });
}

std::string toJson(const LogLineView& line) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("cursor", line.cursor)
        .field("at", line.at)
        .field("attempt", line.attempt)
        .field("rank", line.rank);
    writer.field("stream", line.is_stderr ? "stderr" : "stdout");
    if (line.partial) writer.field("partial", true);
    writer.field("text", line.text);
  });
}

Result<LogLineView> parseLogLine(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    LogLineView line;
    reader.get("cursor", line.cursor);
    reader.get("at", line.at);
    reader.get("attempt", line.attempt);
    reader.get("rank", line.rank);
    if (std::string stream; reader.get("stream", stream)) {
      line.is_stderr = stream == "stderr";
      if (!line.is_stderr && stream != "stdout")
        reader.wrong("stream", "must be stdout or stderr, not " + inQuotes(stream));
    }
    reader.get("partial", line.partial);
    reader.get("text", line.text);
    reader.require("cursor");
    return line;
  });
}

std::string toJson(const MetricSeriesView& series) {
  std::string out;
  JsonWriter writer(out);
  writeSeries(writer, series);
  return out;
}

Result<MetricSeriesView> parseMetricSeries(std::string_view json) {
  return parseObject(json, readSeries);
}

std::string toJson(std::span<const MetricSeriesView> series) {
  return writeList("metrics", series, writeSeries);
}

Result<std::vector<MetricSeriesView>> parseMetrics(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    std::vector<MetricSeriesView> all;
    readList(reader, "metrics", [&](MapReader& item) { all.push_back(readSeries(item)); });
    reader.require("metrics");
    return all;
  });
}

MetricSummaryView summaryOf(const MetricSeriesView& series) {
  MetricSummaryView summary{.name = series.name, .points = series.points.size()};
  if (series.points.empty()) return summary;
  summary.first = series.points.front().value;
  summary.last = series.points.back().value;
  summary.min = summary.max = std::nan("");
  for (const MetricSeriesView::Point& point : series.points) {
    summary.min = std::fmin(summary.min, point.value);  // fmin and fmax pass over NaN
    summary.max = std::fmax(summary.max, point.value);
  }
  return summary;
}

std::string toJson(std::span<const OutputView> outputs) {
  return writeList("outputs", outputs, [](JsonWriter& writer, const OutputView& output) {
    writer.beginObject().field("path", output.path).field("size", output.size).endObject();
  });
}

Result<std::vector<OutputView>> parseOutputs(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    std::vector<OutputView> outputs;
    readList(reader, "outputs", [&](MapReader& item) {
      OutputView& output = outputs.emplace_back();
      item.get("path", output.path);
      item.get("size", output.size);
      item.require("path");
    });
    reader.require("outputs");
    return outputs;
  });
}

}  // namespace buoy::api
