#include "gateways/logs/door.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "api/json_writer.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "gateways/front/body.h"
#include "gateways/logs/filter_pattern.h"
#include "gateways/logs/streams.h"

namespace buoy::gateways::logs {
namespace {

constexpr std::size_t kMostEvents = 10'000;
constexpr std::size_t kMostStreams = 50;
constexpr std::size_t kFilteredStreams = 100;  // that one FilterLogEvents looks through

std::int64_t millis(Time time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

// Both are inclusive of the first and exclusive of the second, as AWS has them.
struct Period {
  std::int64_t begin = std::numeric_limits<std::int64_t>::min();
  std::int64_t end = std::numeric_limits<std::int64_t>::max();
  bool has(Time time) const { return millis(time) >= begin && millis(time) < end; }
};

Period readPeriod(api::MapReader& fields) {
  Period period;
  fields.get("startTime", period.begin);
  fields.get("endTime", period.end);
  return period;
}

std::size_t readLimit(api::MapReader& fields, std::size_t most) {
  std::int64_t limit = 0;
  const bool given = fields.get("limit", limit) && limit > 0 && static_cast<std::size_t>(limit) < most;
  return given ? static_cast<std::size_t>(limit) : most;
}

// The body of a call that must name the one group that there is.
Result<front::Body> aboutTheGroup(const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::string group, identifier;
  fields.get("logGroupName", group);
  if (fields.get("logGroupIdentifier", identifier)) group = identifier.substr(identifier.rfind(':') + 1);
  if (group == kGroup) return body;
  return fail(ErrorCode::not_found,
              strCat({"The specified log group does not exist: there is only ", kGroup, " here"}));
}

void writeEvent(api::JsonWriter& writer, const LogPiece::Line& line) {
  writer.field("timestamp", millis(line.at))
      .field("message", line.text)
      .field("ingestionTime", millis(line.at));
}

// A token is the direction and an offset: "f/00000000000000001234". At the end of a stream the token that
// was given comes back, which is how clients know it.
std::string token(char direction, std::uint64_t offset) {
  const std::string digits = std::to_string(offset);
  return strCat({std::string(1, direction), "/",
                 std::string(20 - std::min<std::size_t>(20, digits.size()), '0'), digits});
}

struct Position {
  std::optional<std::uint64_t> offset;  // nullopt: from the end that is asked for
  bool backward = true;
};

Result<Position> readPosition(api::MapReader& fields) {
  Position position;
  bool from_head = false;
  std::string text;
  fields.get("startFromHead", from_head);
  if (!fields.get("nextToken", text)) {
    if (from_head) position = {0, false};
    return position;
  }
  const bool known = text.starts_with("f/") || text.starts_with("b/");
  const auto offset = known ? parseNumber<std::uint64_t>(std::string_view(text).substr(2)) : std::nullopt;
  if (!offset) return fail(ErrorCode::invalid_argument, "The specified nextToken is invalid.");
  return Position{offset, text.starts_with('b')};
}

Result<std::string> getLogEvents(Backend& backend, const front::Call& call) {
  BUOY_TRY(front::Body body, aboutTheGroup(call));
  auto fields = body.fields();
  std::string name;
  fields.get("logStreamName", name);
  const Period period = readPeriod(fields);
  const std::size_t limit = readLimit(fields, kMostEvents);
  BUOY_TRY(const Position position, readPosition(fields));
  BUOY_TRY_VOID(body.check());
  BUOY_TRY(const LogPlace place, parseStreamName(name));
  BUOY_TRY(const LogPiece piece, backend.readLog(place, position.offset, position.backward, limit));
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("events").beginArray();
  for (const LogPiece::Line& line : piece.lines) {
    if (!period.has(line.at)) continue;
    writer.beginObject();
    writeEvent(writer, line);
    writer.endObject();
  }
  writer.endArray().field("nextForwardToken", token('f', piece.end));
  writer.field("nextBackwardToken", token('b', piece.begin)).endObject();
  return json;
}

void writeStream(api::JsonWriter& writer, const std::string& region, const Stream& stream) {
  writer.beginObject().field("logStreamName", stream.name).field("creationTime", millis(stream.created));
  writer.field("arn", strCat({"arn:aws:logs:", region, ":000000000000:log-group:", kGroup,
                              ":log-stream:", stream.name}));
  writer.field("storedBytes", 0).endObject();
}

Result<std::string> describeLogStreams(Backend& backend, const front::Call& call) {
  BUOY_TRY(front::Body body, aboutTheGroup(call));
  auto fields = body.fields();
  std::string prefix, next;
  fields.get("logStreamNamePrefix", prefix);
  fields.get("nextToken", next);
  const std::size_t limit = readLimit(fields, kMostStreams);
  BUOY_TRY_VOID(body.check());
  BUOY_TRY(const StreamPage page, listStreams(backend, prefix, JobId::parse(next).value_or(JobId{}), limit));
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("logStreams").beginArray();
  for (const Stream& stream : page.streams) writeStream(writer, call.region, stream);
  writer.endArray();
  if (page.last) writer.field("nextToken", page.last.toString());
  writer.endObject();
  return json;
}

Result<std::string> describeLogGroups(Backend&, const front::Call& call) {
  BUOY_TRY(front::Body body, front::Body::parse(call.body));
  auto fields = body.fields();
  std::string prefix;
  fields.get("logGroupNamePrefix", prefix);
  BUOY_TRY_VOID(body.check());
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("logGroups").beginArray();
  if (kGroup.starts_with(prefix)) {
    writer.beginObject().field("logGroupName", kGroup).field("creationTime", 0);
    writer.field("arn", strCat({"arn:aws:logs:", call.region, ":000000000000:log-group:", kGroup, ":*"}));
    writer.endObject();
  }
  writer.endArray().endObject();
  return json;
}

struct Found {
  const Stream* stream;
  LogPiece::Line line;
};

// Everything of one stream that passes, up to `most`.
Status search(Backend& backend, const Stream& stream, const Period& period, const FilterPattern& pattern,
              std::size_t most, std::vector<Found>& found) {
  std::uint64_t offset = 0;
  for (std::size_t mine = 0; mine < most;) {
    BUOY_TRY(LogPiece piece, backend.readLog(stream.place, offset, false, kMostEvents));
    if (piece.lines.empty()) return {};
    for (LogPiece::Line& line : piece.lines) {
      if (!period.has(line.at) || !pattern.matches(line.text)) continue;
      found.push_back({&stream, std::move(line)});
      if (++mine == most) return {};
    }
    offset = piece.end;
  }
  return {};
}

Result<std::vector<Stream>> streamsFor(Backend& backend, api::MapReader& fields) {
  std::vector<std::string> names;
  std::string prefix;
  fields.get("logStreamNames", names);
  fields.get("logStreamNamePrefix", prefix);
  if (names.empty()) {
    BUOY_TRY(StreamPage page, listStreams(backend, prefix, {}, kFilteredStreams));
    return std::move(page.streams);
  }
  std::vector<Stream> streams;
  for (std::string& name : names) {
    BUOY_TRY(const LogPlace place, parseStreamName(name));
    streams.push_back({std::move(name), place, {}});
  }
  return streams;
}

Result<std::string> filterLogEvents(Backend& backend, const front::Call& call) {
  BUOY_TRY(front::Body body, aboutTheGroup(call));
  auto fields = body.fields();
  std::string pattern_text, next;
  fields.get("filterPattern", pattern_text);
  fields.get("nextToken", next);
  const Period period = readPeriod(fields);
  const std::size_t limit = readLimit(fields, kMostEvents);
  BUOY_TRY(const FilterPattern pattern, FilterPattern::parse(pattern_text));
  BUOY_TRY(const std::vector<Stream> streams, streamsFor(backend, fields));
  BUOY_TRY_VOID(body.check());
  // A page is a number of events to leave out: what is there stays in its order, because logs only grow.
  const std::size_t skip = next.empty() ? 0 : parseNumber<std::size_t>(next).value_or(SIZE_MAX);
  if (skip > 100 * kMostEvents)
    return fail(ErrorCode::invalid_argument, "The specified nextToken is invalid.");
  std::vector<Found> found;
  for (const Stream& stream : streams)
    BUOY_TRY_VOID(search(backend, stream, period, pattern, skip + limit + 1, found));
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.line.at < b.line.at; });
  std::string json;
  api::JsonWriter writer(json);
  writer.beginObject().key("events").beginArray();
  for (std::size_t i = skip; i < std::min(found.size(), skip + limit); ++i) {
    const Found& event = found[i];
    writer.beginObject().field("logStreamName", event.stream->name);
    writeEvent(writer, event.line);
    writer.field("eventId", strCat({event.stream->name, "@", std::to_string(event.line.begin)})).endObject();
  }
  writer.endArray().key("searchedLogStreams").beginArray().endArray();
  if (found.size() > skip + limit) writer.field("nextToken", std::to_string(skip + limit));
  writer.endObject();
  return json;
}

using Operation = Result<std::string> (*)(Backend& backend, const front::Call& call);

Operation find(std::string_view name) {
  if (name == "GetLogEvents") return getLogEvents;
  if (name == "DescribeLogStreams") return describeLogStreams;
  if (name == "DescribeLogGroups") return describeLogGroups;
  if (name == "FilterLogEvents") return filterLogEvents;
  return nullptr;
}

}  // namespace

void Door::handle(const front::Call& call, front::Reply reply) {
  const Operation operation = find(call.operation);
  if (operation == nullptr) {
    return reply(
        front::errorAnswer(400, "UnknownOperationException",
                           strCat({"CloudWatch Logs has no operation ", inQuotes(call.operation), " here"})));
  }
  const bool taken = backend_.background([&backend = backend_, operation, call, reply] {
    const auto body = operation(backend, call);
    if (!body) return reply(front::errorAnswer(front::Service::logs, body.error()));
    front::Answer answer;
    answer.body = *body;
    reply(std::move(answer));
  });
  if (!taken)
    reply(front::errorAnswer(front::Service::logs,
                             {ErrorCode::unavailable, "too many logs are being read; try again", true}));
}

}  // namespace buoy::gateways::logs
