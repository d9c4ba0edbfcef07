#include "objstore/checkpoint.h"

#include <algorithm>

#include "objstore/manifest.h"
#include "objstore/reader.h"
#include "objstore/restore.h"
#include "objstore/retention.h"
#include "objstore/slot_log.h"
#include "os/crash_point.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::objstore {
namespace {

// Others can take the slots before us only so often; a log that moves faster is broken.
constexpr int kClaims = 1000;
constexpr Duration kSweepEvery = std::chrono::hours{1};

bool sameVersion(const std::vector<CheckpointFile>& a, const std::vector<CheckpointFile>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const CheckpointFile& x, const CheckpointFile& y) {
                      return x.path == y.path && x.kind == y.kind && x.mode == y.mode && x.size == y.size &&
                             x.sha256 == y.sha256 && x.target == y.target;
                    });
}

bool unreadable(const Error& error) {
  return error.code == ErrorCode::data_loss || error.code == ErrorCode::invalid_argument;
}

CommitStats statsOf(const Manifest& manifest) {
  CommitStats stats;
  stats.version = manifest.version;
  for (const CheckpointFile& file : manifest.files) {
    if (file.kind != CheckpointFile::Kind::file) continue;
    ++stats.files;
    stats.bytes += file.size;
  }
  return stats;
}

std::string withSlash(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  return prefix.empty() ? prefix : prefix + "/";
}

}  // namespace

struct CheckpointRepository::Impl {
  Impl(ObjectStore& object_store, const std::string& prefix, Epoch own_epoch, std::uint32_t own_attempt,
       CheckpointOptions with)
      : store(object_store),
        objects(withSlash(prefix)),
        epoch(own_epoch),
        attempt(own_attempt),
        options(with),
        clock(with.clock != nullptr ? *with.clock : system_clock),
        log(object_store, objects),
        reader(object_store, objects, own_epoch) {
    BUOY_CHECK(own_epoch >= 1);
  }

  Error fence() {
    fenced = true;
    return Error{ErrorCode::failed_precondition,
                 "fenced: a later attempt of this job has begun, so attempt " + std::to_string(attempt) +
                     " (epoch " + std::to_string(epoch) + ") can save nothing any more",
                 false};
  }

  Slot ownSlot(Slot::Kind kind, std::uint64_t number) const {
    Slot slot;
    slot.kind = kind;
    slot.manifest.version = number;
    slot.manifest.epoch = epoch;
    slot.manifest.attempt = attempt;
    slot.manifest.created = clock.now();
    return slot;
  }

  Status ensureOpen() {
    if (fenced) return fail(fence());
    if (opened) return {};
    for (int tries = 0; tries < kClaims; ++tries) {
      BUOY_TRY(opened, tryOpen());
      if (opened) return {};
    }
    return fail(ErrorCode::unavailable, "the checkpoint log does not hold still", true);
  }

  // False: somebody else moved the log on meanwhile.
  Result<bool> tryOpen() {
    base.reset();
    damaged.clear();
    BUOY_TRY(const std::uint64_t tail, log.tail());
    BUOY_TRY(const std::uint64_t first, log.first());
    bool fence_found = false;
    bool commit_found = false;
    for (std::uint64_t number = tail; number >= first && !base; --number) {
      auto slot = log.read(number);
      if (!slot && slot.error().code == ErrorCode::not_found) return false;
      if (!slot && unreadable(slot.error())) {
        damaged.push_back(slot.error().message);
        continue;
      }
      if (!slot) return fail(slot.error());
      if (slot->manifest.epoch > epoch) return fail(fence());
      if (slot->manifest.epoch == epoch) {
        (slot->kind == Slot::Kind::fence ? fence_found : commit_found) = true;
      } else if (slot->kind == Slot::Kind::commit) {
        base = std::move(slot->manifest);
      }
    }
    last_read = tail;
    if (fence_found) return true;
    if (commit_found) {
      return fail(ErrorCode::failed_precondition,
                  "the version that this attempt began from is no longer kept: only a new attempt can go on");
    }
    BUOY_TRY(const SlotLog::Claim claim, log.claim(ownSlot(Slot::Kind::fence, tail + 1)));
    if (claim != SlotLog::Claim::claimed) return false;
    last_read = tail + 1;
    return true;
  }

  // The newest readable commit below `number`.
  Result<std::optional<Manifest>> commitBefore(std::uint64_t number,
                                               std::vector<std::string>& unreadable_slots) {
    BUOY_TRY(const std::uint64_t first, log.first());
    while (--number >= first) {
      auto slot = log.read(number);
      if (slot && slot->kind == Slot::Kind::commit) return std::move(slot->manifest);
      if (slot || slot.error().code == ErrorCode::not_found) continue;
      if (!unreadable(slot.error())) return fail(slot.error());
      unreadable_slots.push_back(slot.error().message);
    }
    return std::nullopt;
  }

  // Reads a slot that somebody else took after all that we knew.
  Status readNext() {
    const std::uint64_t number = last_read + 1;
    auto slot = log.read(number);
    // Removed since: the log went on without us.
    if (!slot && slot.error().code == ErrorCode::not_found) return fail(fence());
    // It may be a fence, so nothing may be committed after it until a new attempt has set its own.
    if (!slot) return fail(slot.error());
    if (slot->manifest.epoch > epoch) return fail(fence());
    last_read = number;
    // Our own, from a call that did not get the answer.
    if (slot->kind == Slot::Kind::commit && slot->manifest.epoch == epoch &&
        slot->manifest.attempt == attempt) {
      setCurrent(std::move(slot->manifest), true);
    }
    return {};
  }

  Status checkFence() {
    BUOY_TRY(const std::uint64_t tail, log.tail());
    while (last_read < tail) BUOY_TRY_VOID(readNext());
    return {};
  }

  // The number under which the version stands in the log.
  Result<std::uint64_t> append(const std::vector<CheckpointFile>& files) {
    Slot slot = ownSlot(Slot::Kind::commit, 0);
    slot.manifest.files = files;
    for (int tries = 0; tries < kClaims; ++tries) {
      slot.manifest.version = last_read + 1;
      BUOY_TRY(const SlotLog::Claim claim, log.claim(slot));
      if (claim == SlotLog::Claim::stale) return fail(fence());
      if (claim == SlotLog::Claim::claimed) return last_read = slot.manifest.version;
      BUOY_TRY_VOID(readNext());
      if (current && current->version == last_read && sameVersion(current->files, files)) return last_read;
    }
    return fail(ErrorCode::unavailable, "the checkpoint log does not hold still", true);
  }

  void setCurrent(Manifest manifest, bool is_sound) {
    reader.setLast(manifest.files, is_sound);
    current = std::move(manifest);
    sound = is_sound;
  }

  Result<Restored> restore(const std::string& directory) {
    BUOY_TRY_VOID(ensureOpen());
    Restored result;
    result.fallbacks = damaged;
    std::optional<Manifest> candidate = base;
    while (candidate) {
      const std::uint64_t version = candidate->version;
      auto bytes = restoreVersion(store, objects, *candidate, directory);
      if (bytes) {
        // After a fallback new versions name only what they store themselves.
        setCurrent(*candidate, result.fallbacks.empty());
        result.manifest = std::move(candidate);
        result.bytes = *bytes;
        return result;
      }
      if (bytes.error().code != ErrorCode::data_loss) return fail(bytes.error().wrap("restore"));
      result.fallbacks.push_back("version " + std::to_string(version) + ": " + bytes.error().message);
      BUOY_TRY(candidate, commitBefore(version, result.fallbacks));
    }
    if (!result.fallbacks.empty()) {
      return fail(ErrorCode::data_loss, "no version can be restored: " + result.fallbacks.front());
    }
    BUOY_TRY_VOID(os::makeDirectories(directory));
    return result;
  }

  Result<CommitStats> commit(const std::string& directory, const std::vector<std::string>& skip,
                             const std::stop_token& stop) {
    const Time began = clock.now();
    BUOY_TRY_VOID(ensureOpen());
    BUOY_TRY_VOID(checkFence());
    const auto batch = store.newBatch();
    BUOY_TRY(ReadVersion version, reader.read(directory, skip, *batch, stop));
    const bool nothing = !current && version.files.empty();
    if (nothing || (current && sound && sameVersion(current->files, version.files))) {
      CommitStats stats = nothing ? CommitStats{} : statsOf(*current);
      stats.took = clock.now() - began;
      return stats;
    }
    BUOY_TRY_VOID(batch->finish());
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    os::crashPoint("objstore.before_slot");
    BUOY_TRY(const std::uint64_t number, append(version.files));
    os::crashPoint("objstore.after_slot");
    Manifest manifest = ownSlot(Slot::Kind::commit, number).manifest;
    manifest.files = std::move(version.files);
    CommitStats stats = statsOf(manifest);
    setCurrent(std::move(manifest), true);
    stats.new_files = version.new_files;
    stats.new_bytes = version.new_bytes;
    stats.took = clock.now() - began;
    return stats;
  }

  Status retain(int keep) {
    if (keep < 1) return fail(ErrorCode::invalid_argument, "at least one version must be kept");
    BUOY_TRY_VOID(ensureOpen());
    const Time now = clock.now();
    RetentionRequest request{epoch, keep, options.grace, now, !swept || now - *swept >= kSweepEvery};
    if (Status status = applyRetention(log, request, seen); !status) {
      if (status.error().code == ErrorCode::failed_precondition) return fail(fence());
      return fail(status.error().wrap("retention"));
    }
    if (request.sweep) swept = now;
    return {};
  }

  Result<std::vector<Manifest>> list() {
    std::vector<Manifest> commits;
    BUOY_TRY(const std::uint64_t tail, log.tail());
    BUOY_TRY(const std::uint64_t first, log.first());
    for (std::uint64_t number = first; number <= tail; ++number) {
      auto slot = log.read(number);
      if (slot && slot->kind == Slot::Kind::commit) commits.push_back(std::move(slot->manifest));
      if (slot || slot.error().code == ErrorCode::not_found || unreadable(slot.error())) continue;
      return fail(slot.error());
    }
    return commits;
  }

  ObjectStore& store;
  const std::string objects;  // the prefix, "" or ending with '/'
  const Epoch epoch;
  const std::uint32_t attempt;
  const CheckpointOptions options;
  const os::SystemClock system_clock;
  const Clock& clock;
  SlotLog log;
  DirectoryReader reader;

  bool opened = false;
  bool fenced = false;
  std::uint64_t last_read = 0;       // all slots up to here were seen: none of a later epoch
  std::optional<Manifest> base;      // the newest commit before our fence
  std::vector<std::string> damaged;  // slots between base and fence that cannot be read
  std::optional<Manifest> current;   // what the directory was last brought to or committed as
  bool sound = false;                // `current` is ours, or was restored as the newest version
  std::optional<Time> swept;
  SeenSlots seen;  // by retention
};

CheckpointRepository::CheckpointRepository(ObjectStore& store, std::string prefix, Epoch epoch,
                                           std::uint32_t attempt, CheckpointOptions options)
    : impl_(std::make_shared<Impl>(store, prefix, epoch, attempt, options)) {}

Result<std::optional<Manifest>> CheckpointRepository::open() {
  BUOY_TRY_VOID(impl_->ensureOpen());
  return impl_->base;
}

Result<CheckpointRepository::Restored> CheckpointRepository::restore(const std::string& directory) {
  return impl_->restore(directory);
}

Result<CommitStats> CheckpointRepository::commit(const std::string& directory,
                                                 const std::vector<std::string>& skip, std::stop_token stop) {
  return impl_->commit(directory, skip, stop);
}

Status CheckpointRepository::retain(int keep) {
  return impl_->retain(keep);
}

Result<std::vector<Manifest>> CheckpointRepository::list() {
  return impl_->list();
}

}  // namespace buoy::objstore
