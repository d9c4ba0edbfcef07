#include "objstore/merge_parts.h"

#include <optional>
#include <string_view>
#include <utility>

namespace buoy::objstore {
namespace {

using Kind = CheckpointFile::Kind;

// Everything that is known of one path.
struct Claims {
  const CheckpointFile* base = nullptr;
  const CheckpointFile* previous = nullptr;
  std::vector<std::pair<std::uint32_t, const CheckpointFile*>> held;  // by rank, rising

  const CheckpointFile* of(std::uint32_t rank) const {
    for (const auto& [holder, file] : held) {
      if (holder == rank) return file;
    }
    return nullptr;
  }
};

std::optional<CheckpointFile> owned(const CheckpointFile& file, std::uint32_t rank) {
  CheckpointFile entry = file;
  entry.rank = rank;
  return entry;
}

}  // namespace

bool sameContent(const CheckpointFile& a, const CheckpointFile& b) {
  return a.path == b.path && a.kind == b.kind && a.mode == b.mode && a.size == b.size &&
         a.sha256 == b.sha256 && a.target == b.target;
}

std::vector<CheckpointFile> mergeParts(const std::vector<CheckpointFile>& base,
                                       const std::vector<CheckpointFile>& previous,
                                       const std::map<std::uint32_t, std::vector<CheckpointFile>>& parts) {
  std::map<std::string_view, Claims> paths;
  for (const CheckpointFile& file : base) paths[file.path].base = &file;
  for (const CheckpointFile& file : previous) {
    if (const auto it = paths.find(file.path); it != paths.end()) it->second.previous = &file;
  }
  for (const auto& [rank, files] : parts) {
    for (const CheckpointFile& file : files) paths[file.path].held.emplace_back(rank, &file);
  }

  const auto choose = [&](const Claims& claims) -> std::optional<CheckpointFile> {
    for (const auto& [rank, file] : claims.held) {
      if (claims.base == nullptr || !sameContent(*file, *claims.base)) return owned(*file, rank);
    }
    if (claims.base == nullptr) return std::nullopt;
    const std::uint32_t owner = claims.base->rank;
    if (parts.contains(owner)) {
      const CheckpointFile* file = claims.of(owner);
      return file != nullptr ? owned(*file, owner) : std::nullopt;
    }
    if (const CheckpointFile* copy = claims.of(0)) return owned(*copy, owner);
    if (claims.previous == nullptr || !sameContent(*claims.previous, *claims.base)) return std::nullopt;
    return owned(*claims.previous, owner);
  };

  std::map<std::string, CheckpointFile> merged;
  // A file's directories may be another rank's, who has removed them.
  const auto hasDirectories = [&](const CheckpointFile& file) {
    for (auto slash = file.path.find('/'); slash != std::string::npos;
         slash = file.path.find('/', slash + 1)) {
      const std::string directory = file.path.substr(0, slash);
      CheckpointFile made;
      made.path = directory;
      made.kind = Kind::directory;
      made.mode = 0755;
      made.modified = file.modified;
      made.rank = file.rank;
      const auto claims = paths.find(directory);
      if (claims != paths.end()) {
        if (const CheckpointFile* held = claims->second.of(file.rank)) made = *owned(*held, file.rank);
      }
      // One rank's file where another has a directory: the file was chosen, so what is below has no place.
      if (merged.try_emplace(directory, std::move(made)).first->second.kind != Kind::directory) return false;
    }
    return true;
  };
  for (const auto& [path, claims] : paths) {
    auto file = choose(claims);
    if (file && hasDirectories(*file)) merged.insert_or_assign(std::string(path), std::move(*file));
  }

  std::vector<CheckpointFile> files;
  files.reserve(merged.size());
  for (auto& [path, file] : merged) files.push_back(std::move(file));
  return files;
}

}  // namespace buoy::objstore
