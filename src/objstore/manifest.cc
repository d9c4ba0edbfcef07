#include "objstore/manifest.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "base/strings.h"
#include "objstore/checkpoint_path.h"
#include "objstore/object_store.h"
#include "objstore/sha256.h"

namespace buoy::objstore {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "buoy-checkpoint";
constexpr std::uint64_t kFormatVersion = 3;
// What has neither packed files nor parts of several machines is written so that older programs can read it.
constexpr std::uint64_t kFormatWithPacks = 2;
constexpr std::uint64_t kFormatPlain = 1;
constexpr std::uint64_t kSmallestSlice = 512u << 10;
constexpr std::uint64_t kMostSlices = 8192;
constexpr std::uint64_t kMaxRank = 1u << 20;
constexpr std::size_t kMaxFiles = 2'000'000;
constexpr std::uint64_t kMaxSize = 1ull << 62;
constexpr std::int64_t kMaxTime = 1ll << 60;  // microseconds
constexpr std::uint64_t kMaxNumber = 1ull << 62;

std::string_view toString(Slot::Kind kind) {
  switch (kind) {
    case Slot::Kind::commit:
      return "commit";
    case Slot::Kind::fence:
      return "fence";
    case Slot::Kind::removed:
      return "removed";
    case Slot::Kind::part:
      return "part";
  }
  return "";
}

bool hasFiles(Slot::Kind kind) {
  return kind == Slot::Kind::commit || kind == Slot::Kind::part;
}

void addStoredBy(Json& json, const StoredBy& stored_by) {
  json["stored_by"] = stored_by.epoch;
  if (stored_by.rank != 0) json["stored_rank"] = stored_by.rank;
}

std::string_view toString(CheckpointFile::Kind kind) {
  switch (kind) {
    case CheckpointFile::Kind::file:
      return "file";
    case CheckpointFile::Kind::directory:
      return "directory";
    case CheckpointFile::Kind::symlink:
      return "symlink";
  }
  return "";
}

// The packs of a version, each once, in the order in which files name them: slices say its number.
class PackTable {
 public:
  std::size_t numberOf(const Slice& slice) {
    const auto [it, added] = numbers_.try_emplace(std::pair(slice.stored_by, slice.pack), numbers_.size());
    if (added) {
      json_.push_back({{"id", slice.pack}});
      addStoredBy(json_.back(), slice.stored_by);
    }
    return it->second;
  }
  Json take() { return std::move(json_); }

 private:
  std::map<std::pair<StoredBy, std::string>, std::size_t> numbers_;
  Json json_ = Json::array();
};

Json encodeFile(const CheckpointFile& file, PackTable& packs) {
  Json json = {{"path", file.path},
               {"type", toString(file.kind)},
               {"modified_us", file.modified.time_since_epoch().count()}};
  if (file.rank != 0) json["rank"] = file.rank;
  switch (file.kind) {
    case CheckpointFile::Kind::file:
      json["mode"] = file.mode;
      json["size"] = file.size;
      json["sha256"] = file.sha256;
      if (!file.packed) {
        addStoredBy(json, file.stored_by);
        break;
      }
      json["slices"] = Json::array();
      for (const Slice& slice : file.slices)
        json["slices"].push_back(Json::array({packs.numberOf(slice), slice.offset, slice.sha256}));
      break;
    case CheckpointFile::Kind::directory:
      json["mode"] = file.mode;
      break;
    case CheckpointFile::Kind::symlink:
      json["target"] = file.target;
      break;
  }
  return json;
}

// Reads one JSON object; the first thing that is wrong is remembered and makes all later reads empty.
class Reader {
 public:
  Reader(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
    if (!json_.is_object()) wrong("is no object");
  }

  std::uint64_t number(const char* key, std::uint64_t max) {
    const Json* value = find(key);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > max) {
      wrong(strCat({key, " is no number from 0 to ", std::to_string(max)}));
      return 0;
    }
    return value->get<std::uint64_t>();
  }

  Time time(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    const bool fits =
        value->is_number_integer() &&
        (!value->is_number_unsigned() || value->get<std::uint64_t>() <= std::uint64_t{kMaxTime}) &&
        value->get<std::int64_t>() >= -kMaxTime;
    if (!fits) {
      wrong(strCat({key, " is no time"}));
      return {};
    }
    return Time{Duration{value->get<std::int64_t>()}};
  }

  std::string text(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) {
      wrong(strCat({key, " is no string"}));
      return {};
    }
    return value->get<std::string>();
  }

  void wrong(std::string_view what) {
    if (!error_) error_ = strCat({place_, " ", what});
  }
  void take(const Status& status) {
    if (!status) wrong(status.error().message);
  }
  Status status() const {
    if (error_) return fail(ErrorCode::invalid_argument, *error_);
    return {};
  }
  bool has(const char* key) const { return json_.is_object() && json_.contains(key); }
  const Json* find(const char* key) {
    if (error_) return nullptr;
    const auto it = json_.find(key);
    if (it != json_.end()) return &*it;
    wrong(strCat({"has no ", key}));
    return nullptr;
  }

 private:
  const Json& json_;
  std::string place_;
  std::optional<std::string> error_;
};

std::uint32_t decodeRank(Reader& reader, const char* key) {
  return reader.has(key) ? static_cast<std::uint32_t>(reader.number(key, kMaxRank)) : 0;
}

StoredBy decodeStoredBy(Reader& reader) {
  return {reader.number("stored_by", kMaxNumber), decodeRank(reader, "stored_rank")};
}

struct Pack {
  StoredBy stored_by;
  std::string id;
};

Result<std::vector<PartNumber>> decodeParts(const Json& json) {
  std::vector<PartNumber> parts;
  if (!json.contains("parts")) return parts;
  if (!json["parts"].is_array() || json["parts"].size() > kMaxRank)
    return fail(ErrorCode::invalid_argument, "slot has no list of parts");
  for (const Json& entry : json["parts"]) {
    Reader reader(entry, "part " + std::to_string(parts.size()));
    const PartNumber part{decodeRank(reader, "rank"), reader.number("number", kMaxNumber)};
    if (part.rank <= (parts.empty() ? 0 : parts.back().rank)) reader.wrong("is out of order");
    BUOY_TRY_VOID(reader.status());
    parts.push_back(part);
  }
  return parts;
}

Result<std::vector<Pack>> decodePacks(const Json& json) {
  std::vector<Pack> packs;
  if (!json.contains("packs")) return packs;
  if (!json["packs"].is_array()) return fail(ErrorCode::invalid_argument, "slot has no list of packs");
  for (const Json& entry : json["packs"]) {
    Reader reader(entry, "pack " + std::to_string(packs.size()));
    Pack pack{decodeStoredBy(reader), reader.text("id")};
    if (!isSha256(pack.id)) reader.wrong("has no id");
    BUOY_TRY_VOID(reader.status());
    packs.push_back(std::move(pack));
  }
  return packs;
}

// [pack's number, offset, hash]
std::optional<Slice> decodeSlice(const Json& json, const std::vector<Pack>& packs) {
  if (!json.is_array() || json.size() != 3 || !json[0].is_number_unsigned() ||
      !json[1].is_number_unsigned() || !json[2].is_string())
    return std::nullopt;
  const auto number = json[0].get<std::uint64_t>();
  Slice slice;
  slice.offset = json[1].get<std::uint64_t>();
  slice.sha256 = json[2].get<std::string>();
  if (number >= packs.size() || slice.offset > kMaxSize || !isSha256(slice.sha256)) return std::nullopt;
  slice.stored_by = packs[number].stored_by;
  slice.pack = packs[number].id;
  return slice;
}

void decodeSlices(Reader& reader, const std::vector<Pack>& packs, CheckpointFile& file) {
  const Json* slices = reader.find("slices");
  if (slices == nullptr) return;
  const std::uint64_t size = sliceSize(file.size);
  if (!slices->is_array() || slices->size() != (file.size + size - 1) / size) {
    return reader.wrong("has not as many slices as its size needs");
  }
  for (const Json& entry : *slices) {
    auto slice = decodeSlice(entry, packs);
    if (!slice) return reader.wrong("has a slice that is none");
    slice->size = std::min(size, file.size - file.slices.size() * size);
    file.slices.push_back(std::move(*slice));
  }
  if (file.size > 0 && sliceHash(file.slices) != file.sha256)
    reader.wrong("has a hash that is not that of its slices");
}

Result<CheckpointFile> decodeFile(const Json& json, const std::vector<Pack>& packs, std::size_t index) {
  Reader reader(json, "file " + std::to_string(index));
  CheckpointFile file;
  file.path = reader.text("path");
  file.modified = reader.time("modified_us");
  const std::string type = reader.text("type");
  if (type == "file") {
    file.kind = CheckpointFile::Kind::file;
    file.mode = static_cast<std::uint32_t>(reader.number("mode", 0777));
    file.size = reader.number("size", kMaxSize);
    file.sha256 = reader.text("sha256");
    if (!isSha256(file.sha256)) reader.wrong("has no SHA-256");
    file.packed = reader.has("slices");
    if (file.packed) {
      decodeSlices(reader, packs, file);
    } else {
      file.stored_by = decodeStoredBy(reader);
    }
  } else if (type == "directory") {
    file.kind = CheckpointFile::Kind::directory;
    file.mode = static_cast<std::uint32_t>(reader.number("mode", 0777));
  } else if (type == "symlink") {
    file.kind = CheckpointFile::Kind::symlink;
    file.mode = 0777;
    file.target = reader.text("target");
    reader.take(validateLink(file.path, file.target));
  } else {
    reader.wrong("has an unknown type");
  }
  file.rank = decodeRank(reader, "rank");
  reader.take(validatePath(file.path));
  BUOY_TRY_VOID(reader.status());
  return file;
}

// In byte order, unique, and below directories only: what restore relies on to stay inside its directory.
Status validateTree(const std::vector<CheckpointFile>& files) {
  std::unordered_set<std::string_view> directories;
  const std::string* previous = nullptr;
  for (const CheckpointFile& file : files) {
    const auto wrong = [&](std::string_view why) {
      return fail(ErrorCode::invalid_argument, strCat({"\"", escaped(file.path), "\" ", why}));
    };
    if (previous != nullptr && !(*previous < file.path)) return wrong("is out of order or twice");
    previous = &file.path;
    const auto slash = file.path.rfind('/');
    if (slash != std::string::npos && !directories.contains(std::string_view(file.path).substr(0, slash))) {
      return wrong("is not in a directory of the manifest");
    }
    if (file.kind == CheckpointFile::Kind::directory) directories.insert(file.path);
  }
  return {};
}

Result<Slot> decodeJson(const Json& json) {
  Reader reader(json, "slot");
  Slot slot;
  if (reader.text("format") != kFormat) reader.wrong("is not of the format buoy-checkpoint");
  const std::uint64_t version = reader.number("format_version", kMaxNumber);
  BUOY_TRY_VOID(reader.status());
  if (version > kFormatVersion) {
    return fail(ErrorCode::invalid_argument,
                "written by a newer Buoy: format version " + std::to_string(version));
  }
  const std::string kind = reader.text("kind");
  slot.kind = kind == "commit"    ? Slot::Kind::commit
              : kind == "removed" ? Slot::Kind::removed
              : kind == "part"    ? Slot::Kind::part
                                  : Slot::Kind::fence;
  if (kind != toString(slot.kind)) reader.wrong("has an unknown kind");
  slot.manifest.version = reader.number("slot", kMaxNumber);
  slot.manifest.epoch = reader.number("epoch", kMaxNumber);
  slot.manifest.attempt = static_cast<std::uint32_t>(reader.number("attempt", UINT32_MAX));
  slot.manifest.rank = decodeRank(reader, "rank");
  if (reader.has("begun_from")) slot.manifest.begun_from = reader.number("begun_from", kMaxNumber);
  slot.manifest.created = reader.time("created_us");
  BUOY_TRY_VOID(reader.status());
  if (!hasFiles(slot.kind)) return slot;

  const Json* files = reader.find("files");
  if (files == nullptr || !files->is_array() || files->size() > kMaxFiles) {
    return fail(ErrorCode::invalid_argument, "slot has no list of files");
  }
  BUOY_TRY(const std::vector<Pack> packs, decodePacks(json));
  slot.manifest.files.reserve(files->size());
  for (const Json& entry : *files) {
    BUOY_TRY(CheckpointFile file, decodeFile(entry, packs, slot.manifest.files.size()));
    slot.manifest.files.push_back(std::move(file));
  }
  BUOY_TRY_VOID(validateTree(slot.manifest.files));
  BUOY_TRY(slot.manifest.parts, decodeParts(json));
  return slot;
}

}  // namespace

std::string encodeSlot(const Slot& slot) {
  const Manifest& manifest = slot.manifest;
  Json json = {{"format", kFormat},
               {"format_version", kFormatPlain},
               {"kind", toString(slot.kind)},
               {"slot", manifest.version},
               {"epoch", manifest.epoch},
               {"attempt", manifest.attempt},
               {"created_us", manifest.created.time_since_epoch().count()}};
  if (manifest.rank != 0) json["rank"] = manifest.rank;
  if (manifest.begun_from != 0) json["begun_from"] = manifest.begun_from;
  if (hasFiles(slot.kind)) {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    Json files = Json::array();
    PackTable packs;
    for (const CheckpointFile& file : manifest.files) {
      files.push_back(encodeFile(file, packs));
      if (file.kind != CheckpointFile::Kind::file) continue;
      ++count;
      bytes += file.size;
    }
    json["files"] = std::move(files);
    if (std::any_of(manifest.files.begin(), manifest.files.end(),
                    [](const auto& file) { return file.packed; })) {
      json["format_version"] = kFormatWithPacks;
      json["packs"] = packs.take();
    }
    if (manifest.rank != 0 || !manifest.parts.empty()) json["format_version"] = kFormatVersion;
    for (const PartNumber& part : manifest.parts)
      json["parts"].push_back({{"rank", part.rank}, {"number", part.number}});
    json["totals"] = {{"files", count}, {"bytes", bytes}};
  }
  std::string line = json.dump();
  const std::string digest = sha256Hex(line);
  return strCat({line, "\n", digest, "\n"});
}

Result<Slot> decodeSlot(std::string_view content) {
  const auto end = content.find('\n');
  if (end == std::string_view::npos) return fail(ErrorCode::data_loss, "the slot is torn: no second line");
  const std::string_view line = content.substr(0, end);
  if (content.substr(end) != strCat({"\n", sha256Hex(line), "\n"})) {
    return fail(ErrorCode::data_loss, "the slot is damaged: its hash does not match");
  }
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded()) return fail(ErrorCode::invalid_argument, "the slot is not JSON");
  return decodeJson(json);
}

std::uint64_t sliceSize(std::uint64_t file_size) {
  std::uint64_t size = kSmallestSlice;
  while (file_size / size >= kMostSlices) size *= 2;
  return size;
}

std::string sliceHash(const std::vector<Slice>& slices) {
  if (slices.size() == 1) return slices.front().sha256;
  Sha256 hash;
  for (const Slice& slice : slices) hash.update(slice.sha256);
  return hash.hexDigest();
}

}  // namespace buoy::objstore
