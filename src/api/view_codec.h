#pragma once

#include <memory>

#include "api/reader.h"
#include "api/views.h"

namespace buoy::api {

class JsonWriter;

// Shared by the files that write views; not for other folders.
void writeSpan(JsonWriter& writer, const SpanView& span);
SpanView readSpan(MapReader& reader);
// The keys known and answer of a record.
void writeSteered(JsonWriter& writer, const engine::Record::Steered& steered);
std::shared_ptr<const engine::Record::Steered> readSteered(MapReader& record);

}  // namespace buoy::api
