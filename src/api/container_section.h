#pragma once

#include <optional>
#include <string>

#include "api/json_writer.h"
#include "api/reader.h"
#include "container/spec.h"

namespace buoy::api {

// The keys `container` and, in short, `image` of a job (docs/containers.md).
void readContainer(MapReader& job, std::optional<container::Spec>& container);
void writeContainer(JsonWriter& writer, const std::optional<container::Spec>& container);

}  // namespace buoy::api
