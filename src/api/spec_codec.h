#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/job_spec.h"
#include "api/json_writer.h"
#include "api/node.h"
#include "api/reader.h"

// Pieces of reading and writing that several codecs of this folder share; not for other folders.
namespace buoy::api {

// A job below `root`, which stands at `path` of the input; what is wrong goes to `problems`.
JobSpec readJob(Problems& problems, const Node& root, const std::string& path, std::string_view default_name);

void readResources(MapReader& parent, engine::Resources& resources);       // key "resources"
void readResourceFields(MapReader& reader, engine::Resources& resources);  // cpus, memory, gpus
void readSpot(MapReader& reader, engine::SpotPreference& spot);
void writeResourceFields(JsonWriter& writer, const engine::Resources& resources);
void writeTexts(JsonWriter& writer, std::string_view key, const std::vector<std::string>& texts);

// The fields of a pool or queue, inside an object that the caller opens and closes.
void writePoolFields(JsonWriter& writer, const engine::Pool& pool);
void writeQueueFields(JsonWriter& writer, const engine::Queue& queue);
// Everything but the refusal of unknown keys.
engine::Pool readPool(MapReader& reader);
// The same without what is its provider's own: what decisions know of a pool.
engine::Pool readKnownPool(MapReader& reader);
engine::Queue readQueue(MapReader& reader);

void writeSave(JsonWriter& writer, const engine::SaveMeasure& save);  // an object
engine::SaveMeasure readSave(MapReader& reader);

// A scalar as `parse` (text → Result) takes it; the message of its error says what it must be.
template <class T, class Parse>
void readScalar(MapReader& reader, std::string_view key, T& out, Parse parse) {
  const Node* node = reader.find(key);
  if (node == nullptr) return;
  const std::string* text = scalarText(*node);
  auto value = text == nullptr ? parse(describe(*node)) : parse(trim(*text));
  if (value) {
    out = std::move(*value);
  } else {
    reader.wrong(key, value.error().message);
  }
}

// Messages between our own programs: one error is enough, unknown fields are passed over.
Result<Node> parseMessage(std::string_view json);
Status firstProblem(Problems& problems);

}  // namespace buoy::api
