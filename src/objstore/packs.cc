#include "objstore/packs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "base/strings.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/manifest.h"
#include "objstore/sha256.h"
#include "os/crash_point.h"

namespace buoy::objstore {
namespace {

// Files up to this size are copied into memory, so that they need not stay open until they are sent.
constexpr std::uint64_t kSmallFile = 256u << 10;
// One request: large enough for the wire to be busy, small enough to be repeated and to be spread.
constexpr std::uint64_t kPackSize = 16 * kMiB;
constexpr std::uint64_t kMemoryPackSize = 4 * kMiB;
constexpr int kMemoryPacks = 4;
constexpr std::uint64_t kHashAtOnce = 8 * kMiB;
constexpr int kOpenFiles = 128;
// A wait looks this often whether it is to end for another reason.
constexpr auto kLookAgain = std::chrono::milliseconds{20};

// Nothing was ever written there: it need not be read.
bool isHole(int fd, std::uint64_t begin, std::uint64_t size) {
  const off_t data = ::lseek(fd, static_cast<off_t>(begin), SEEK_DATA);
  return data < 0 ? errno == ENXIO : static_cast<std::uint64_t>(data) >= begin + size;
}

}  // namespace

// An open file; when the last who reads or sends from it lets go, its state is compared.
struct PackWriter::Source {
  Source(PackWriter& of, os::Fd file, const FileIdentity& state, std::shared_ptr<Content> of_entry,
         const Content* was)
      : writer(of), fd(std::move(file)), identity(state), entry(std::move(of_entry)), before(was) {}
  ~Source() {
    struct stat info {};
    const bool same = ::fstat(fd.get(), &info) == 0 && FileIdentity::of(info) == identity;
    fd.reset();
    const std::lock_guard lock(writer.mutex_);
    if (!same) entry->changed = true;
    --writer.open_files_;
    writer.room_.notify_all();
  }
  PackWriter& writer;
  os::Fd fd;
  const FileIdentity identity;
  const std::shared_ptr<Content> entry;
  const Content* const before;  // as it was when it was read last; may be null
};

struct PackWriter::Pack {
  struct Member {
    Slice slice;
    std::shared_ptr<Content> entry;
  };
  std::vector<net::BodyPiece> pieces;
  std::vector<std::string> memory;  // what pieces point to
  std::vector<std::shared_ptr<Source>> sources;
  std::vector<Member> members;
  std::uint64_t size = 0;
  bool in_memory = false;
  std::string id;  // once sealed
  bool sent = false;
};

PackWriter::PackWriter(ObjectStore& store, std::string objects, const StoredBy& self, SliceIndex& known,
                       std::stop_token stop)
    : store_(store),
      objects_(std::move(objects)),
      self_(self),
      known_(known),
      tasks_(*store.pool(), std::move(stop)) {}

PackWriter::~PackWriter() {
  (void)tasks_.cancel();
  // They hold sources, whose end needs the mutex.
  from_files_.reset();
  from_memory_.reset();
  // Also after an error: the next try need not send again what has arrived.
  learnSent();
}

Result<std::size_t> PackWriter::add(os::Fd file, const FileIdentity& identity, const Content* before) {
  // After an error nothing is sent any more, and nothing more should be read into memory.
  if (tasks_.stop().stop_requested()) {
    BUOY_TRY_VOID(tasks_.cancel());
    return fail(ErrorCode::cancelled, "stopped");
  }
  const std::size_t number = contents_.size();
  contents_.push_back(std::make_shared<Content>());
  const std::uint64_t slice = sliceSize(identity.size);
  contents_.back()->slices.resize(static_cast<std::size_t>((identity.size + slice - 1) / slice));
  if (identity.size <= kSmallFile) {
    BUOY_TRY_VOID(readSmall(std::move(file), identity, contents_.back()));
  } else {
    readLarge(std::move(file), identity, contents_.back(), before);
  }
  return number;
}

Status PackWriter::readSmall(os::Fd file, const FileIdentity& identity,
                             const std::shared_ptr<Content>& entry) {
  std::string bytes(static_cast<std::size_t>(identity.size), '\0');
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count =
        ::pread(file.get(), bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(filled));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failErrno(errno, "read the file");
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  struct stat info {};
  if (filled != bytes.size() || ::fstat(file.get(), &info) != 0 || FileIdentity::of(info) != identity) {
    entry->changed = true;
    return {};
  }
  if (bytes.empty()) return {};
  Slice& slice = entry->slices.front();
  slice.sha256 = sha256Hex(bytes);
  slice.size = bytes.size();
  place(entry, 0, nullptr, bytes);
  return {};
}

void PackWriter::readLarge(os::Fd file, const FileIdentity& identity, const std::shared_ptr<Content>& entry,
                           const Content* before) {
  waitForRoom();
  const std::size_t slices = entry->slices.size();
  entry->fingerprints.resize(slices);
  // Cut alike only if the slices are of one size.
  if (before != nullptr && before->fingerprints.size() != slices) before = nullptr;
  auto source = std::make_shared<Source>(*this, std::move(file), identity, entry, before);
  const auto at_once =
      static_cast<std::size_t>(std::max<std::uint64_t>(1, kHashAtOnce / sliceSize(identity.size)));
  for (std::size_t first = 0; first < slices; first += at_once) {
    const std::size_t count = std::min(at_once, slices - first);
    tasks_.run([this, source, first, count] { return hashRange(source, first, count); });
  }
}

void PackWriter::waitForRoom() {
  std::unique_lock lock(mutex_);
  while (open_files_ >= kOpenFiles && !tasks_.stop().stop_requested()) {
    // The files of a pack that is not full would stay open for good.
    auto pack = std::exchange(from_files_, nullptr);
    lock.unlock();
    if (pack != nullptr) seal(pack);
    lock.lock();
    room_.wait_for(lock, kLookAgain, [this] { return open_files_ < kOpenFiles; });
  }
  ++open_files_;
}

Status PackWriter::hashRange(const std::shared_ptr<Source>& source, std::size_t first, std::size_t count) {
  std::vector<Slice>& slices = source->entry->slices;
  const std::uint64_t slice_size = sliceSize(source->identity.size);
  for (std::size_t i = first; i < first + count; ++i) {
    if (tasks_.stop().stop_requested()) return fail(ErrorCode::cancelled, "stopped");
    const std::uint64_t begin = i * slice_size;
    const std::uint64_t size = std::min(slice_size, source->identity.size - begin);
    slices[i].size = size;
    if (isHole(source->fd.get(), begin, size)) {
      slices[i].sha256 = zerosHash(size);
      place(source->entry, i, source, {});
      continue;
    }
    BUOY_TRY(const bool same, hasNotChanged(*source, i));
    if (same) continue;
    BUOY_TRY(RangeDigest digest, digestRange(source->fd.get(), begin, size));
    slices[i].sha256 = std::move(digest.sha256);
    source->entry->fingerprints[i] = digest.fingerprint;
    place(source->entry, i, source, {});
  }
  return {};
}

// Most of a large file is often as it was at the last save, which costs less to see than its hash. The slice
// must also still be one that may be named.
Result<bool> PackWriter::hasNotChanged(const Source& source, std::size_t index) const {
  if (source.before == nullptr) return false;
  Slice& slice = source.entry->slices[index];
  const Slice& was = source.before->slices[index];
  if (was.size != slice.size || !known_.contains(was.sha256)) return false;
  const std::uint64_t begin = index * sliceSize(source.identity.size);
  BUOY_TRY(const Fingerprint found, fingerprintRange(source.fd.get(), begin, slice.size));
  if (found != source.before->fingerprints[index]) return false;
  slice.sha256 = was.sha256;
  source.entry->fingerprints[index] = found;
  return true;
}

// Finds the slice in the store or in a pack on its way, or puts it into one.
void PackWriter::place(const std::shared_ptr<Content>& entry, std::size_t index,
                       const std::shared_ptr<Source>& source, std::string_view memory) {
  const Slice& slice = entry->slices[index];
  std::shared_ptr<Pack> full;
  {
    const std::lock_guard lock(mutex_);
    if (known_.contains(slice.sha256) || placed_.contains(slice.sha256)) return;
    std::shared_ptr<Pack>& pack = source ? from_files_ : from_memory_;
    if (!pack) pack = std::make_shared<Pack>();
    pack->in_memory = source == nullptr;
    placed_.emplace(slice.sha256, std::pair(pack, pack->size));
    pack->members.push_back({slice, entry});
    pack->members.back().slice.offset = pack->size;
    if (source) {
      const std::uint64_t begin = index * sliceSize(source->identity.size);
      net::BodyPiece* last = pack->pieces.empty() ? nullptr : &pack->pieces.back();
      if (last != nullptr && last->fd == source->fd.get() && last->offset + last->size == begin) {
        last->size += slice.size;
      } else {
        pack->pieces.push_back({{}, source->fd.get(), begin, slice.size});
        pack->sources.push_back(source);
      }
    } else {
      pack->memory.emplace_back(memory);
    }
    pack->size += slice.size;
    if (pack->size >= (source ? kPackSize : kMemoryPackSize)) full = std::exchange(pack, nullptr);
  }
  if (full) seal(full);
}

void PackWriter::seal(std::shared_ptr<Pack>& pack) {
  // A name that no other pack has: content that comes back after a change must not replace, in part with
  // other bytes, a pack that an older version names.
  Sha256 hash;
  hash.update(std::to_string(std::random_device{}()) + std::to_string(std::random_device{}()));
  for (const Pack::Member& member : pack->members) hash.update(member.slice.sha256);
  pack->id = hash.hexDigest();
  // The strings do not move any more.
  for (const std::string& bytes : pack->memory) pack->pieces.push_back({bytes});
  std::unique_lock lock(mutex_);
  sealed_.push_back(pack);
  // Only the caller's thread makes these, so that waiting for the pool holds up none of its tasks.
  if (pack->in_memory) {
    while (packs_in_memory_ >= kMemoryPacks && !tasks_.stop().stop_requested())
      room_.wait_for(lock, kLookAgain);
    ++packs_in_memory_;
  }
  lock.unlock();
  // What the pack holds is given back also when the task is never run.
  std::shared_ptr<void> held(nullptr, [this, pack](void*) {
    pack->pieces.clear();
    pack->sources.clear();
    pack->memory = {};
    if (!pack->in_memory) return;
    const std::lock_guard guard(mutex_);
    --packs_in_memory_;
    room_.notify_all();
  });
  tasks_.run([this, pack, held = std::move(held)] { return send(*pack); });
}

Status PackWriter::send(Pack& pack) {
  if (tasks_.stop().stop_requested()) return fail(ErrorCode::cancelled, "stopped");
  os::crashPoint("objstore.before_pack");
  const Status status = store_.putPieces(objects_ + packKey(self_, pack.id), pack.pieces, tasks_.stop());
  // A file that became shorter shows by its state; the pack is nobody's then.
  if (!status && status.error().code == ErrorCode::failed_precondition) return {};
  if (!status) return status;
  os::crashPoint("objstore.pack_sent");
  {
    const std::lock_guard lock(mutex_);
    pack.sent = true;
  }
  sent_bytes_ += pack.size;
  return {};
}

void PackWriter::learnSent() {
  const std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Pack>& pack : sealed_) {
    // Bytes of a file that changed meanwhile need not be those that were hashed.
    const bool sound =
        pack->sent && std::none_of(pack->members.begin(), pack->members.end(),
                                   [](const Pack::Member& member) { return member.entry->changed; });
    if (!sound) continue;
    for (Pack::Member& member : pack->members) {
      member.slice.stored_by = self_;
      member.slice.pack = pack->id;
      known_.insert_or_assign(member.slice.sha256, member.slice);
    }
  }
}

Status PackWriter::finish() {
  // Hashing fills packs, so they are sealed when it has ended.
  BUOY_TRY_VOID(tasks_.wait());
  auto files = std::exchange(from_files_, nullptr);
  auto memory = std::exchange(from_memory_, nullptr);
  if (files) seal(files);
  if (memory) seal(memory);
  files.reset();
  memory.reset();
  BUOY_TRY_VOID(tasks_.wait());
  learnSent();
  for (const std::shared_ptr<Content>& entry : contents_) {
    for (Slice& slice : entry->slices) {
      const auto found = known_.find(slice.sha256);
      // It was to come from a file that changed: this one must be read again.
      if (found == known_.end()) {
        entry->changed = true;
        break;
      }
      slice = found->second;
    }
  }
  return {};
}

}  // namespace buoy::objstore
