#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "objstore/checkpoint.h"

// Where the parts of a checkpoint lie in a store: docs/formats/checkpoint.md.
namespace buoy::objstore {

// 20 digits, so that byte order is the order of numbers.
std::string fixedWidth(std::uint64_t number);

// Below the checkpoints' prefix.
std::string slotKey(std::uint64_t slot);
// "00000000000000000003", or with a rank other than 0 "00000000000000000003.2".
std::string storedByText(const StoredBy& stored_by);
std::string objectKey(const StoredBy& stored_by, std::string_view sha256);
std::string objectPrefix(const StoredBy& stored_by);
std::string packKey(const StoredBy& stored_by, std::string_view pack);
// The key, below the checkpoints' prefix, of every object that the file's content lies in; no two in a row
// are equal.
std::vector<std::string> contentKeys(const CheckpointFile& file);

}  // namespace buoy::objstore
