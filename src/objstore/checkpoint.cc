#include "objstore/checkpoint.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "objstore/checkpoint_keys.h"
#include "objstore/gang_parts.h"
#include "objstore/manifest.h"
#include "objstore/merge_parts.h"
#include "objstore/part_collector.h"
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
// So often a version waits for rank 0 to hold still while others save.
constexpr int kMoves = 3;
constexpr Duration kSweepEvery = std::chrono::hours{1};

bool sameVersion(const std::vector<CheckpointFile>& a, const std::vector<CheckpointFile>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), sameContent);
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
  static inline const std::vector<CheckpointFile> kNoFiles;

  Impl(ObjectStore& object_store, const std::string& prefix, Epoch own_epoch, std::uint32_t own_attempt,
       CheckpointOptions with)
      : store(object_store),
        objects(withSlash(prefix)),
        epoch(own_epoch),
        attempt(own_attempt),
        options(with),
        clock(with.clock != nullptr ? *with.clock : system_clock),
        log(object_store, objects),
        reader(object_store, objects, {own_epoch, with.rank}),
        gang_parts(object_store, objects, own_epoch),
        collector(gang_parts, with.ranks, with.gang_patience, clock) {
    BUOY_CHECK(own_epoch >= 1 && with.rank < with.ranks);
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
    slot.manifest.rank = kind == Slot::Kind::part ? options.rank : 0;
    slot.manifest.created = clock.now();
    return slot;
  }

  Status ensureOpen() {
    if (fenced) return fail(fence());
    if (opened) return {};
    for (int tries = 0; tries < kClaims; ++tries) {
      BUOY_TRY(opened, tryOpen());
      opened_at = clock.now();
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
      collector.adopt(slot->manifest.parts);
      setCurrent(std::move(slot->manifest), true);
    }
    return {};
  }

  Status checkFence() {
    BUOY_TRY(const std::uint64_t tail, log.tail());
    // Rank 0 commits and removes meanwhile; epochs only rise along the log, so its end says all.
    if (options.rank != 0) return checkEnd(tail);
    while (last_read < tail) BUOY_TRY_VOID(readNext());
    return {};
  }

  Status checkEnd(std::uint64_t tail) {
    while (last_read < tail) {
      const auto slot = log.read(tail);
      if (slot && slot->manifest.epoch > epoch) return fail(fence());
      if (slot) last_read = tail;
      if (!slot && slot.error().code != ErrorCode::not_found) return fail(slot.error());
      if (slot) return {};
      BUOY_TRY(tail, log.tail());
    }
    return {};
  }

  // The number under which the version stands in the log.
  Result<std::uint64_t> append(const std::vector<CheckpointFile>& files) {
    Slot slot = ownSlot(Slot::Kind::commit, 0);
    slot.manifest.files = files;
    if (inGang()) slot.manifest.parts = collector.numbers();
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

  // Of a gang, `current` is the version and `own` this rank's directory. A rank other than 0 may name only
  // what it looks after itself: the others' content stays only as long as they keep it.
  void setCurrent(Manifest manifest, bool is_sound) {
    current = std::move(manifest);
    sound = is_sound;
    if (!inGang()) return reader.setLast(current->files, is_sound ? current->files : kNoFiles);
    if (options.rank == 0) return reader.setLast(own, is_sound ? current->files : kNoFiles);
    reader.setLast(own, is_sound ? mine(own) : kNoFiles);
  }

  bool inGang() const { return options.ranks > 1; }

  // What this rank has stored itself in this epoch, and so looks after.
  std::vector<CheckpointFile> mine(const std::vector<CheckpointFile>& files) const {
    const StoredBy self{epoch, options.rank};
    std::vector<CheckpointFile> result;
    std::copy_if(files.begin(), files.end(), std::back_inserter(result), [&](const CheckpointFile& file) {
      if (!file.packed) return file.stored_by == self;
      return std::all_of(file.slices.begin(), file.slices.end(),
                         [&](const Slice& slice) { return slice.stored_by == self; });
    });
    return result;
  }

  // The gang goes on from this version, of which every rank has a whole copy.
  void beginGang(const Manifest& from, bool is_sound) {
    gang_base = own = from.files;
    gang_begun_from = from.version;
    sound_part = is_sound;
    for (CheckpointFile& file : gang_base) {
      if (file.rank >= options.ranks) file.rank = 0;  // the gang was larger once
    }
    collector.beginFrom(from.version, gang_base);
    std::vector<CheckpointFile> foreign;
    if (is_sound) {
      std::copy_if(gang_base.begin(), gang_base.end(), std::back_inserter(foreign),
                   [&](const CheckpointFile& file) { return file.rank != options.rank; });
    }
    reader.setForeign(foreign);
  }

  // Without a version: what lies in the directory is told from what ranks will write. It counts as rank 0's.
  Status beginWith(const std::string& directory) {
    if (!inGang() || gang_begun_from != 0) return {};
    BUOY_TRY(gang_base, reader.describe(directory));
    reader.setForeign(options.rank == 0 ? std::vector<CheckpointFile>{} : gang_base);
    return {};
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
        if (inGang()) beginGang(*candidate, result.fallbacks.empty());
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
    if (inGang()) return commitOfGang({directory, skip, began}, std::move(version), *batch, stop);
    const bool nothing = !current && version.files.empty();
    if (nothing || (current && sound && sameVersion(current->files, version.files))) {
      saved_state = std::move(version.state.files);
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
    saved_state = std::move(version.state.files);
    stats.new_files = version.new_files;
    stats.new_bytes = version.new_bytes;
    stats.took = clock.now() - began;
    return stats;
  }

  struct GangCommit {
    const std::string& directory;
    const std::vector<std::string>& skip;
    Time began{};
  };

  Result<CommitStats> commitOfGang(const GangCommit& call, ReadVersion version, ObjectBatch& batch,
                                   const std::stop_token& stop) {
    const bool news = !sameVersion(own, version.files);
    BUOY_TRY_VOID(batch.finish());
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    CommitStats stats;
    if (options.rank == 0) {
      BUOY_TRY(stats, commitWhole(call, version, news, stop));
    } else {
      BUOY_TRY(stats, publishPart(call, version, news));
    }
    saved_state = std::move(version.state.files);
    stats.new_files = version.new_files;
    stats.new_bytes = version.new_bytes;
    stats.took = clock.now() - call.began;
    return stats;
  }

  static Result<bool> hasMovedOn(const GangCommit& call, const ReadVersion& version) {
    BUOY_TRY(const Snapshot now, scanDirectory(call.directory, {call.skip.begin(), call.skip.end()}));
    return !now.sameState(version.state);
  }

  // Of rank 0: its own directory and the others' parts.
  Result<CommitStats> commitWhole(const GangCommit& call, ReadVersion& version, bool news,
                                  const std::stop_token& stop) {
    const Time stored = clock.now();
    BUOY_TRY(std::vector<std::uint32_t> missed, collector.collect(news, stop));
    const Duration waited = clock.now() - stored;
    // If this rank went on meanwhile, so may the others have: what they saved then belongs to what comes. A
    // job that never rests is saved all the same.
    BUOY_TRY(const bool moved_on, hasMovedOn(call, version));
    if (moved_on && ++times_moved_on < kMoves) {
      collector.passOver();
      return fail(ErrorCode::unavailable, "files were changed while other ranks were saving", true);
    }
    times_moved_on = 0;
    std::map<std::uint32_t, std::vector<CheckpointFile>> parts;
    for (const auto& [rank, saved] : collector.parts()) parts.emplace(rank, saved.files);
    own = version.files;
    parts.emplace(0, std::move(version.files));
    std::vector<CheckpointFile> files =
        mergeParts(gang_base, current && sound ? current->files : kNoFiles, parts);
    const bool nothing = !current && files.empty();
    if (nothing || (current && sound && sameVersion(current->files, files))) {
      collector.passOver();
    } else {
      os::crashPoint("objstore.before_slot");
      BUOY_TRY(const std::uint64_t number, append(files));
      os::crashPoint("objstore.after_slot");
      Manifest manifest = ownSlot(Slot::Kind::commit, number).manifest;
      manifest.files = std::move(files);
      setCurrent(std::move(manifest), true);
      collector.committed(news);
    }
    CommitStats stats = nothing ? CommitStats{} : statsOf(*current);
    stats.missed = std::move(missed);
    stats.waited = waited;
    return stats;
  }

  // Of any other rank.
  Result<CommitStats> publishPart(const GangCommit& call, ReadVersion& version, bool news) {
    BUOY_TRY(const bool moved_on, hasMovedOn(call, version));
    if (!news && sound_part) {
      if (part_begun && !moved_on) {
        BUOY_TRY_VOID(gang_parts.takeBack(options.rank, part + 1));
        part_begun = false;
      }
    } else {
      // Before anybody can take this part for all there is.
      if (moved_on) BUOY_TRY_VOID(gang_parts.begin(options.rank, part + 2));
      Manifest manifest = ownSlot(Slot::Kind::part, part + 1).manifest;
      manifest.begun_from = gang_begun_from;
      manifest.files = std::move(version.files);
      os::crashPoint("objstore.before_part");
      BUOY_TRY_VOID(gang_parts.publish(manifest));
      ++part;
      own = std::move(manifest.files);
      std::vector<std::string>& keys = part_keys[part];
      for (const CheckpointFile& file : own) {
        for (std::string& key : contentKeys(file)) keys.push_back(std::move(key));
      }
      reader.setLast(own, mine(own));
      sound_part = true;
      part_begun = moved_on;
    }
    Manifest whole;
    whole.version = part;
    whole.files = own;
    return statsOf(whole);
  }

  Status beginPart() {
    if (!inGang() || options.rank == 0 || part_begun) return {};
    BUOY_TRY_VOID(ensureOpen());
    part_begun = true;  // also if no answer comes: it may be there
    return gang_parts.begin(options.rank, part + 1);
  }

  Status retain(int keep, std::stop_token stop) {
    if (keep < 1) return fail(ErrorCode::invalid_argument, "at least one version must be kept");
    BUOY_TRY_VOID(ensureOpen());
    const Time now = clock.now();
    if (options.rank != 0) return retainParts(std::move(stop));
    RetentionRequest request{.epoch = epoch,
                             .keep = keep,
                             .grace = options.grace,
                             .since_open = now - opened_at,
                             .now = now + store.clockAhead(),
                             .sweep = !swept || now - *swept >= kSweepEvery,
                             .stop = std::move(stop)};
    if (Status status = applyRetention(log, request, seen); !status) {
      if (status.error().code == ErrorCode::failed_precondition) return fail(fence());
      return fail(status.error().wrap("retention"));
    }
    if (request.sweep) swept = now;
    return {};
  }

  Status retainParts(std::stop_token stop) {
    const auto applied = applyPartRetention(log, {{epoch, options.rank}, &part_keys, std::move(stop)});
    if (!applied && applied.error().code == ErrorCode::failed_precondition) return fail(fence());
    if (!applied) return fail(applied.error().wrap("retention"));
    if (part_keys.empty()) return {};
    return gang_parts.forgetBelow(options.rank, part_keys.begin()->first);
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
  GangParts gang_parts;
  PartCollector collector;  // rank 0's

  bool opened = false;
  Time opened_at{};
  bool fenced = false;
  std::uint64_t last_read = 0;       // all slots up to here were seen: none of a later epoch
  std::optional<Manifest> base;      // the newest commit before our fence
  std::vector<std::string> damaged;  // slots between base and fence that cannot be read
  std::optional<Manifest> current;   // what the directory was last brought to or committed as
  bool sound = false;                // `current` is ours, or was restored as the newest version
  std::optional<Time> swept;
  SeenSlots seen;  // by retention
  std::vector<ScannedFile> saved_state;

  // Of a gang.
  std::vector<CheckpointFile> gang_base;  // what all ranks began from, every file with its rank
  std::uint64_t gang_begun_from = 0;      // its version; 0: none
  int times_moved_on = 0;                 // rank 0 wrote while it waited for others
  std::vector<CheckpointFile> own;        // this rank's directory as it was last saved, or restored
  std::uint64_t part = 0;                 // the last one published
  bool part_begun = false;                // the next one is announced
  bool sound_part = true;  // what is not published need not be: versions may name what was restored
  std::map<std::uint64_t, std::vector<std::string>>
      part_keys;  // what parts name that versions may be made of
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

Status CheckpointRepository::beginPart() {
  return impl_->beginPart();
}

Status CheckpointRepository::endParts() {
  if (!impl_->inGang() || impl_->options.rank == 0) return {};
  return impl_->gang_parts.end(impl_->options.rank);
}

Result<bool> CheckpointRepository::othersAreAhead() {
  if (!impl_->inGang() || impl_->options.rank != 0) return false;
  BUOY_TRY_VOID(impl_->ensureOpen());
  return impl_->collector.due();
}

void CheckpointRepository::hurry(const GangEnd& end) {
  impl_->collector.hurry(end);
}

Status CheckpointRepository::beginWith(const std::string& directory) {
  return impl_->beginWith(directory);
}

const std::vector<ScannedFile>& CheckpointRepository::savedState() const {
  return impl_->saved_state;
}

Status CheckpointRepository::retain(int keep, std::stop_token stop) {
  return impl_->retain(keep, std::move(stop));
}

Result<std::vector<Manifest>> CheckpointRepository::list() {
  return impl_->list();
}

}  // namespace buoy::objstore
