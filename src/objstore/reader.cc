#include "objstore/reader.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <unordered_set>

#include "objstore/checkpoint_keys.h"
#include "objstore/checkpoint_path.h"
#include "objstore/manifest.h"
#include "objstore/packs.h"
#include "objstore/sha256.h"
#include "os/beneath.h"
#include "os/copy.h"

namespace buoy::objstore {
namespace {

// Two looks at a directory that is being changed differ; after so many it is called restless.
constexpr int kScans = 20;
// Reading a file that changes meanwhile is the dear case.
constexpr int kReadsAtOnce = 4;
// File systems stamp changes with the time of the last tick: at most 10 ms ago.
constexpr std::int64_t kTickNs = 12'000'000;
// Nothing that changed so shortly before it was read is taken as known later, whatever the file system's
// clock.
constexpr std::int64_t kSettledNs = 2'000'000'000;

// A pack of which less than this part is still named is not named by new versions.
constexpr std::uint64_t kLeastUse = 4;

std::int64_t wallClockNs() {
  struct timespec now {};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// From now on a change gets another time stamp than the one that was seen.
void waitForTick(std::int64_t latest_change_ns) {
  const std::int64_t age = wallClockNs() - latest_change_ns;
  if (age < -kTickNs || age >= kTickNs) return;
  const struct timespec rest = {0, static_cast<long>(std::min(kTickNs, kTickNs - age))};
  ::nanosleep(&rest, nullptr);
}

Error restless(const std::string& what) {
  return Error{ErrorCode::unavailable, "checkpoint: " + what + " does not hold still; nothing was saved",
               true};
}

}  // namespace

struct DirectoryReader::Round {
  std::set<std::string> skip;
  ObjectBatch& batch;
  std::stop_token stop;
  std::unordered_map<std::string, ObjectBatch::Added> added = {};  // by hash
  std::unordered_map<std::string, std::uint64_t> sizes = {};       // of what was added
  std::string changed = {};                                        // the file that changed while it was read
  std::uint64_t packed_files = 0, packed_bytes = 0;                // sent in packs
};

DirectoryReader::DirectoryReader(ObjectStore& store, std::string objects, const StoredBy& self)
    : store_(store), objects_(std::move(objects)), self_(self) {}

void DirectoryReader::setLast(std::vector<CheckpointFile> last, const std::vector<CheckpointFile>& live) {
  last_.clear();
  live_.clear();
  slices_.clear();
  learnSlices(live);
  for (const CheckpointFile& file : live) {
    if (file.kind == CheckpointFile::Kind::file && !file.packed) live_.emplace(file.sha256, file.stored_by);
  }
  std::unordered_map<std::string, Known> known;
  for (CheckpointFile& file : last) {
    if (file.kind != CheckpointFile::Kind::file) continue;
    if (auto node = known_.extract(file.path)) known.insert(std::move(node));
    std::string path = file.path;
    last_.emplace(std::move(path), std::move(file));
  }
  std::erase_if(read_, [&](const auto& entry) { return !last_.contains(entry.first); });
  known_ = std::move(known);
}

void DirectoryReader::setForeign(const std::vector<CheckpointFile>& files) {
  foreign_.clear();
  for (const CheckpointFile& file : files) {
    if (file.kind == CheckpointFile::Kind::file) foreign_.emplace(file.path, file);
  }
}

bool DirectoryReader::isLive(const CheckpointFile& file) const {
  if (!file.packed) return live_.contains(file.sha256);
  return std::all_of(file.slices.begin(), file.slices.end(),
                     [&](const Slice& slice) { return slices_.contains(slice.sha256); });
}

// Rank 0's entry may come to stand in a version, so the content must be there for certain; that of another
// rank only says that nothing has changed.
const CheckpointFile* DirectoryReader::foreignOf(const std::string& path) const {
  const auto foreign = foreign_.find(path);
  if (foreign == foreign_.end() || (self_.rank == 0 && !isLive(foreign->second))) return nullptr;
  return &foreign->second;
}

Result<std::vector<CheckpointFile>> DirectoryReader::describe(const std::string& directory) const {
  BUOY_TRY(const Snapshot snapshot, scanDirectory(directory, {}));
  std::vector<CheckpointFile> files;
  for (const ScannedFile& scanned : snapshot.files) {
    files.push_back(scanned.file);
    CheckpointFile& file = files.back();
    if (file.kind != CheckpointFile::Kind::file) continue;
    BUOY_TRY(const os::Fd fd, os::openBeneath(snapshot.root.get(), file.path, O_RDONLY | O_NONBLOCK));
    file.packed = store_.pool() != nullptr;
    if (!file.packed) {
      BUOY_TRY(HashedContent hashed, hashFile(fd.get(), file.size));
      file.sha256 = std::move(hashed.sha256);
      continue;
    }
    const std::uint64_t size = sliceSize(file.size);
    for (std::uint64_t at = 0; at < file.size; at += size) {
      Slice slice;
      slice.size = std::min(size, file.size - at);
      BUOY_TRY(slice.sha256, hashRange(fd.get(), at, slice.size));
      file.slices.push_back(std::move(slice));
    }
    file.sha256 = sliceHash(file.slices);
  }
  return files;
}

// The entry of another rank's file, if this is known to be the copy of it that restoring left here.
const CheckpointFile* DirectoryReader::foreignCopy(const ScannedFile& scanned) const {
  const CheckpointFile* foreign = foreignOf(scanned.file.path);
  const auto known = known_.find(scanned.file.path);
  if (foreign == nullptr || known == known_.end() || known->second.identity != scanned.identity ||
      !known->second.certain || foreign->mode != scanned.file.mode) {
    return nullptr;
  }
  return known->second.sha256 == foreign->sha256 ? foreign : nullptr;
}

// The same, by reading it, if it may well be so.
Result<const CheckpointFile*> DirectoryReader::readForeign(const ScannedFile& scanned, int fd,
                                                           const std::stop_token& stop) {
  const CheckpointFile* foreign = foreignOf(scanned.file.path);
  if (foreign == nullptr || foreign->size != scanned.file.size ||
      foreign->modified != scanned.file.modified || foreign->mode != scanned.file.mode) {
    return nullptr;
  }
  if (!foreign->packed) {
    BUOY_TRY(const HashedContent hashed, hashFile(fd, foreign->size, stop));
    if (hashed.sha256 != foreign->sha256) return nullptr;
    return foreign;
  }
  std::uint64_t offset = 0;
  for (const Slice& slice : foreign->slices) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    BUOY_TRY(const std::string found, hashRange(fd, offset, slice.size));
    if (found != slice.sha256) return nullptr;
    offset += slice.size;
  }
  return foreign;
}

// What new versions may keep of a file that is being written.
std::optional<CheckpointFile> DirectoryReader::lastOf(const std::string& path) const {
  const auto it = last_.find(path);
  if (it == last_.end()) return std::nullopt;
  // Not known to be there: it may have been removed as part of a damaged or an old version.
  const CheckpointFile& file = it->second;
  if (isLive(file)) return file;
  for (const std::string& key : contentKeys(file)) {
    const auto head = store_.head(objects_ + key);
    if (!head || (!file.packed && head->size != file.size)) return std::nullopt;
  }
  return file;
}

// Slices that new versions may name. Not of packs that are hardly used any more: they would be kept for good
// for the sake of a few bytes.
void DirectoryReader::learnSlices(const std::vector<CheckpointFile>& files) {
  struct Use {
    std::uint64_t used = 0, end = 0;
  };
  std::unordered_map<std::string, Use> packs;
  std::unordered_set<std::string_view> seen;
  const auto name = [](const Slice& slice) { return packKey(slice.stored_by, slice.pack); };
  for (const CheckpointFile& file : files) {
    for (const Slice& slice : file.slices) {
      if (!seen.insert(slice.sha256).second) continue;
      Use& use = packs[name(slice)];
      use.used += slice.size;
      use.end = std::max(use.end, slice.offset + slice.size);
    }
  }
  for (const CheckpointFile& file : files) {
    for (const Slice& slice : file.slices) {
      const Use& use = packs[name(slice)];
      if (use.used * kLeastUse >= use.end) slices_.emplace(slice.sha256, slice);
    }
  }
}

// The entry for this content, if it is in the store or the batch.
std::optional<CheckpointFile> DirectoryReader::stored(const Round& round, const CheckpointFile& file,
                                                      const std::string& sha256) const {
  CheckpointFile entry = file;
  entry.sha256 = sha256;
  if (const auto it = live_.find(sha256); it != live_.end()) {
    entry.stored_by = it->second;
  } else if (round.added.contains(sha256)) {
    entry.stored_by = self_;
  } else {
    return std::nullopt;
  }
  return entry;
}

void DirectoryReader::remember(const ScannedFile& scanned, int fd, std::int64_t began_ns,
                               const std::string& sha256) {
  const std::int64_t changed = std::max(scanned.identity.modified_ns, scanned.identity.changed_ns);
  const bool certain = began_ns - changed >= kSettledNs && os::certainlyNotBeingWritten(fd);
  known_[scanned.file.path] = Known{scanned.identity, sha256, serial_, certain};
}

// nullopt: changed since it was scanned.
Result<std::optional<CheckpointFile>> DirectoryReader::readFile(Round& round, const Snapshot& snapshot,
                                                                const ScannedFile& scanned) {
  const CheckpointFile& file = scanned.file;
  if (const auto it = known_.find(file.path); it != known_.end() && it->second.identity == scanned.identity &&
                                              (it->second.certain || it->second.serial == serial_)) {
    if (auto entry = stored(round, file, it->second.sha256)) return entry;
  }
  const std::int64_t began = wallClockNs();
  const auto fd = os::openBeneath(snapshot.root.get(), file.path, O_RDONLY | O_NONBLOCK);
  if (!fd && fd.error().code == ErrorCode::not_found) return std::nullopt;
  if (!fd) return fail(fd.error());
  BUOY_TRY(const FileIdentity before, os::identityOf(fd->get()));
  if (before != scanned.identity) return std::nullopt;

  BUOY_TRY(const CheckpointFile* const foreign, readForeign(scanned, fd->get(), round.stop));
  if (foreign != nullptr) {
    BUOY_TRY(const FileIdentity now, os::identityOf(fd->get()));
    if (now != scanned.identity) return std::nullopt;
    remember(scanned, fd->get(), began, foreign->sha256);
    return *foreign;
  }
  std::string sha256;
  // Same size and time as in the last version: probably the same, so look before copying.
  const auto last = last_.find(file.path);
  if (last != last_.end() && last->second.size == file.size && last->second.modified == file.modified) {
    BUOY_TRY(HashedContent hashed, hashFile(fd->get(), file.size, round.stop));
    if (live_.contains(hashed.sha256)) sha256 = std::move(hashed.sha256);
  }
  ObjectBatch::Added added;
  if (sha256.empty()) {
    auto result = round.batch.add(objects_ + objectPrefix(self_), fd->get(), file.size, round.stop);
    if (!result && result.error().code == ErrorCode::failed_precondition) return std::nullopt;
    if (!result) return fail(result.error());
    added = std::move(*result);
    sha256 = added.sha256;
  }
  BUOY_TRY(const FileIdentity after, os::identityOf(fd->get()));
  if (after != scanned.identity) {
    round.batch.drop(objects_ + objectPrefix(self_), added);
    return std::nullopt;
  }
  if (!added.sha256.empty() && !round.added.contains(sha256)) {
    round.sizes.emplace(sha256, file.size);
    round.added.emplace(sha256, std::move(added));
  }
  remember(scanned, fd->get(), began, sha256);
  return stored(round, file, sha256);
}

// Two equal scans: the names and states were these between the end of the first and the beginning of the
// second. nullopt: they differ.
Result<std::optional<Snapshot>> DirectoryReader::settledSnapshot(const Round& round,
                                                                 const std::string& directory) const {
  BUOY_TRY(const Snapshot first, scanDirectory(directory, round.skip));
  waitForTick(first.latest_change_ns);
  BUOY_TRY(Snapshot snapshot, scanDirectory(directory, round.skip));
  if (!snapshot.sameState(first)) return std::nullopt;
  return snapshot;
}

// One instant of the directory; nullopt if it changed meanwhile. Every file is in the state of the snapshot
// when it is opened and when it has been read: so the content is that of the same instant, also across files.
Result<std::optional<std::vector<CheckpointFile>>> DirectoryReader::readOnce(Round& round,
                                                                             const Snapshot& snapshot) {
  std::vector<CheckpointFile> files;
  files.reserve(snapshot.files.size());
  for (const ScannedFile& scanned : snapshot.files) {
    if (round.stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    if (scanned.skipped) {
      if (auto last = lastOf(scanned.file.path)) files.push_back(std::move(*last));
      continue;
    }
    if (scanned.file.kind != CheckpointFile::Kind::file) {
      files.push_back(scanned.file);
      continue;
    }
    if (const CheckpointFile* foreign = foreignCopy(scanned)) {
      files.push_back(*foreign);
      continue;
    }
    auto file = readFile(round, snapshot, scanned);
    if (!file) return fail(file.error().wrap("checkpoint: \"" + escaped(scanned.file.path) + "\""));
    if (!*file) {
      round.changed = scanned.file.path;
      return std::nullopt;
    }
    files.push_back(std::move(**file));
  }
  return files;
}

// Fills in what is known of the file's content, or gives the file to `packs` under `number`. False: it
// changed.
Result<bool> DirectoryReader::takeInto(PackWriter& packs, const Snapshot& snapshot,
                                       const ScannedFile& scanned, CheckpointFile& file,
                                       std::optional<std::size_t>& number, const std::stop_token& stop) {
  const auto known = known_.find(file.path);
  const auto last = last_.find(file.path);
  if (known != known_.end() && known->second.identity == scanned.identity && known->second.certain &&
      last != last_.end() && last->second.packed && last->second.sha256 == known->second.sha256 &&
      isLive(last->second)) {
    file.sha256 = last->second.sha256;
    file.slices = last->second.slices;
    return true;
  }
  const std::int64_t began = wallClockNs();
  auto fd = os::openBeneath(snapshot.root.get(), file.path, O_RDONLY | O_NONBLOCK);
  if (!fd && fd.error().code == ErrorCode::not_found) return false;
  if (!fd) return fail(fd.error());
  BUOY_TRY(const FileIdentity before, os::identityOf(fd->get()));
  if (before != scanned.identity) return false;
  BUOY_TRY(const CheckpointFile* const foreign, readForeign(scanned, fd->get(), stop));
  if (foreign != nullptr) {
    BUOY_TRY(const FileIdentity after, os::identityOf(fd->get()));
    if (after != scanned.identity) return false;
    remember(scanned, fd->get(), began, foreign->sha256);
    file = *foreign;
    return true;
  }
  remember(scanned, fd->get(), began, "");  // the hash comes when it has been read
  const auto read = read_.find(file.path);
  BUOY_TRY(number,
           packs.add(std::move(*fd), scanned.identity, read == read_.end() ? nullptr : &read->second));
  return true;
}

// As readOnce, into a store that is far away.
Result<std::optional<std::vector<CheckpointFile>>> DirectoryReader::packOnce(Round& round,
                                                                             const Snapshot& snapshot) {
  PackWriter packs(store_, objects_, self_, slices_, round.stop);
  std::vector<CheckpointFile> files;
  std::vector<std::pair<std::size_t, std::size_t>> pending;  // of `files`, in `packs`
  files.reserve(snapshot.files.size());
  for (const ScannedFile& scanned : snapshot.files) {
    if (round.stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    if (scanned.skipped) {
      if (auto last = lastOf(scanned.file.path)) files.push_back(std::move(*last));
      continue;
    }
    if (const CheckpointFile* foreign = foreignCopy(scanned)) {
      files.push_back(*foreign);
      continue;
    }
    files.push_back(scanned.file);
    if (scanned.file.kind != CheckpointFile::Kind::file) continue;
    files.back().packed = true;
    std::optional<std::size_t> number;
    auto taken = takeInto(packs, snapshot, scanned, files.back(), number, round.stop);
    if (!taken) return fail(taken.error().wrap("checkpoint: \"" + escaped(scanned.file.path) + "\""));
    if (!*taken) {
      round.changed = scanned.file.path;
      return std::nullopt;
    }
    if (number) pending.emplace_back(files.size() - 1, *number);
  }
  if (Status status = packs.finish(); !status) return fail(status.error().wrap("checkpoint"));
  round.packed_bytes += packs.sentBytes();
  std::vector<std::pair<std::string, PackWriter::Content>> read;  // the writer looks at what is in read_
  for (const auto& [index, number] : pending) {
    CheckpointFile& file = files[index];
    const PackWriter::Content& content = packs.content(number);
    if (content.changed) {
      round.changed = file.path;
      return std::nullopt;
    }
    file.slices = content.slices;
    if (!content.fingerprints.empty()) read.emplace_back(file.path, content);
    file.sha256 = sliceHash(file.slices);
    known_[file.path].sha256 = file.sha256;
    const auto last = last_.find(file.path);
    if (last == last_.end() || last->second.sha256 != file.sha256) ++round.packed_files;
  }
  for (auto& [path, content] : read) read_.insert_or_assign(std::move(path), std::move(content));
  return files;
}

Result<ReadVersion> DirectoryReader::read(const std::string& directory, const std::vector<std::string>& skip,
                                          ObjectBatch& batch, std::stop_token stop) {
  ++serial_;
  Round round{{skip.begin(), skip.end()}, batch, stop};
  const bool far_away = store_.pool() != nullptr;
  std::optional<Snapshot> snapshot;
  std::optional<std::vector<CheckpointFile>> files;
  for (int scans = 0, reads = 0; !files; ++scans) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    if (scans >= kScans) return fail(restless("the directory"));
    if (reads >= kReadsAtOnce) return fail(restless("\"" + escaped(round.changed) + "\""));
    round.changed.clear();
    BUOY_TRY(snapshot, settledSnapshot(round, directory));
    if (!snapshot) continue;
    BUOY_TRY(files, far_away ? packOnce(round, *snapshot) : readOnce(round, *snapshot));
    if (!round.changed.empty()) ++reads;
  }
  ReadVersion version;
  version.files = std::move(*files);
  version.state = std::move(*snapshot);
  version.new_files = round.packed_files;
  version.new_bytes = round.packed_bytes;
  std::unordered_set<std::string_view> named;
  for (const CheckpointFile& file : version.files) named.insert(file.sha256);
  for (const auto& [sha256, added] : round.added) {
    if (!added.fresh) continue;
    if (!named.contains(sha256)) {
      batch.drop(objects_ + objectPrefix(self_), added);
      continue;
    }
    ++version.new_files;
    version.new_bytes += round.sizes[sha256];
  }
  return version;
}

}  // namespace buoy::objstore
