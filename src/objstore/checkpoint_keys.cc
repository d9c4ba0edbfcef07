#include "objstore/checkpoint_keys.h"

#include "base/strings.h"

namespace buoy::objstore {

std::string fixedWidth(std::uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits;
}

std::string slotKey(std::uint64_t slot) {
  return "log/" + fixedWidth(slot);
}

std::string storedByText(const StoredBy& stored_by) {
  std::string text = fixedWidth(stored_by.epoch);
  if (stored_by.rank != 0) text += "." + std::to_string(stored_by.rank);
  return text;
}

std::string packKey(const StoredBy& stored_by, std::string_view pack) {
  return strCat({"packs/", storedByText(stored_by), "/", pack});
}

std::string objectPrefix(const StoredBy& stored_by) {
  return strCat({"objects/", storedByText(stored_by), "/"});
}

std::string objectKey(const StoredBy& stored_by, std::string_view sha256) {
  return strCat({objectPrefix(stored_by), sha256});
}

std::vector<std::string> contentKeys(const CheckpointFile& file) {
  if (file.kind != CheckpointFile::Kind::file) return {};
  if (!file.packed) return {objectKey(file.stored_by, file.sha256)};
  std::vector<std::string> keys;
  for (const Slice& slice : file.slices) {
    std::string key = packKey(slice.stored_by, slice.pack);
    if (keys.empty() || keys.back() != key) keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace buoy::objstore
