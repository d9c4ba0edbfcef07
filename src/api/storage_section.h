#pragma once

#include "api/json_writer.h"
#include "api/reader.h"
#include "cloud/storage.h"

namespace buoy::api {

// The keys `volumes` and `file_systems` of a job (docs/aws.md).
void readStorage(MapReader& job, cloud::Storage& storage);
void writeStorage(JsonWriter& writer, const cloud::Storage& storage);

}  // namespace buoy::api
