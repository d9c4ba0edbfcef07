#pragma once

#include "api/reader.h"
#include "api/views.h"

namespace buoy::api {

class JsonWriter;

// Shared by the files that write views; not for other folders.
void writeSpan(JsonWriter& writer, const SpanView& span);
SpanView readSpan(MapReader& reader);

}  // namespace buoy::api
