#include "objstore/transfer/sync_plan.h"

#include "base/strings.h"

namespace buoy::objstore {

bool mustTransfer(const SyncRules& rules, const TreeEntry& source, const TreeEntry& destination) {
  if (source.size != destination.size) return true;
  if (rules.size_only) return false;
  switch (rules.direction) {
    case Direction::upload:
    case Direction::copy:
      return destination.modified < source.modified;
    case Direction::download:
      return rules.exact_timestamps ? destination.modified != source.modified
                                    : destination.modified > source.modified;
  }
  return true;
}

SyncPlan::SyncPlan(const SyncRules& rules, TreeStream& source, TreeStream* destination) : rules_(rules) {
  source_.stream = &source;
  source_.name = "source";
  destination_.stream = destination;
  destination_.name = "destination";
  destination_.ended = destination == nullptr;
}

Status SyncPlan::fill(Side& side) {
  if (side.filled || side.ended) return {};
  BUOY_TRY(const bool more, side.stream->next(side.entry));
  side.filled = more;
  side.ended = !more;
  if (!more) return {};
  if (side.begun && side.entry.path <= side.last) {
    return fail(ErrorCode::internal,
                strCat({"the list of the ", side.name, " is not in byte order: ", inQuotes(side.entry.path),
                        " comes after ", inQuotes(side.last), "; nothing more was done"}));
  }
  side.begun = true;
  side.last = side.entry.path;
  return {};
}

SyncStep SyncPlan::take(Side& side, SyncStep::Kind kind) {
  side.filled = false;
  return {kind, std::move(side.entry)};
}

Result<SyncStep> SyncPlan::next() {
  while (true) {
    BUOY_TRY_VOID(fill(source_));
    BUOY_TRY_VOID(fill(destination_));
    if (!source_.filled && !destination_.filled) return SyncStep{};
    const int order = !destination_.filled ? -1
                      : !source_.filled    ? 1
                                           : source_.entry.path.compare(destination_.entry.path);
    if (order < 0) return take(source_, SyncStep::Kind::transfer);
    if (order == 0) {
      destination_.filled = false;
      const bool differs = mustTransfer(rules_, source_.entry, destination_.entry);
      return take(source_, differs ? SyncStep::Kind::transfer : SyncStep::Kind::same);
    }
    if (rules_.remove_extra) return take(destination_, SyncStep::Kind::remove);
    destination_.filled = false;
  }
}

Status checkFilePath(std::string_view path) {
  const auto refuse = [path](const char* why) {
    return fail(ErrorCode::invalid_argument, "the key " + inQuotes(path) + " " + why);
  };
  if (path.starts_with('/')) return refuse("would leave the directory: it begins with '/'");
  if (path.empty() || path.ends_with('/')) return refuse("names no file: it ends in '/'");
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return refuse("would leave the directory: it has '..' in it");
    if (part == ".") return refuse("cannot be a file: it has '.' for a directory in it");
    if (part.empty()) return refuse("cannot be a file: it has '//' in it");
  }
  if (path.find('\0') != std::string_view::npos) return refuse("cannot be a file: it has a zero byte in it");
  return {};
}

Status KeyNesting::add(std::string_view key) {
  while (!open_.empty() && !key.starts_with(open_.back())) open_.pop_back();
  for (const std::string& above : open_) {
    if (key.size() > above.size() && key[above.size()] == '/') {
      return fail(ErrorCode::invalid_argument,
                  strCat({"the key ", inQuotes(key), " cannot be a file below the file ", inQuotes(above),
                          ": a directory cannot hold both"}));
    }
  }
  open_.emplace_back(key);
  return {};
}

}  // namespace buoy::objstore
