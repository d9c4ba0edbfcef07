#include "objstore/pack_restore.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>

#include "base/strings.h"
#include "objstore/checkpoint_keys.h"
#include "objstore/checkpoint_path.h"
#include "objstore/sha256.h"
#include "objstore/transfer/pool.h"
#include "os/beneath.h"
#include "os/copy.h"

namespace buoy::objstore {
namespace {

// One request at most; and unwanted bytes between two slices that are cheaper than another request.
constexpr std::uint64_t kMostAtOnce = 8 * kMiB;
constexpr std::uint64_t kCheapGap = 64u << 10;
constexpr int kReads = 2;

// A slice, and one place where it goes to.
struct Target {
  const Slice* slice = nullptr;
  std::size_t file = 0;  // in the list of files
  std::uint64_t offset = 0;
};

// Neighbours in one pack, fetched by one request.
struct Run {
  std::size_t first = 0, last = 0;  // of the sorted targets
  std::uint64_t begin = 0, end = 0;
};

bool inOrder(const Target& a, const Target& b) {
  const Slice& x = *a.slice;
  const Slice& y = *b.slice;
  if (x.stored_by != y.stored_by) return x.stored_by < y.stored_by;
  if (x.pack != y.pack) return x.pack < y.pack;
  if (x.offset != y.offset) return x.offset < y.offset;
  return a.file < b.file;
}

std::vector<Run> runsOf(const std::vector<Target>& targets) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Slice& slice = *targets[i].slice;
    const std::uint64_t end = slice.offset + slice.size;
    if (!runs.empty()) {
      Run& run = runs.back();
      const Slice& before = *targets[run.first].slice;
      const bool same_pack = before.pack == slice.pack && before.stored_by == slice.stored_by;
      if (same_pack && slice.offset <= run.end + kCheapGap &&
          (end <= run.begin + kMostAtOnce || end <= run.end)) {
        run.last = i;
        run.end = std::max(run.end, end);
        continue;
      }
    }
    runs.push_back({i, i, slice.offset, end});
  }
  return runs;
}

// Takes the bytes of a run as they come, and puts each slice where it belongs.
class RunWriter {
 public:
  RunWriter(const std::vector<Target>& targets, const std::vector<WantedFile>& files, const Run& run,
            int directory)
      : targets_(targets),
        files_(files),
        run_(run),
        directory_(directory),
        at_(run.begin),
        next_(run.first) {}

  Status take(std::string_view bytes) {
    while (!bytes.empty()) {
      if (next_ > run_.last) return {};  // nothing that is wanted follows
      const Slice& slice = *targets_[next_].slice;
      if (at_ < slice.offset) {
        skip(bytes, slice.offset - at_);
        continue;
      }
      const std::uint64_t done = at_ - slice.offset;
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), slice.size - done));
      if (!hash_) hash_.emplace();  // anew with each slice
      hash_->update(bytes.substr(0, size));
      for (std::size_t i = next_; i <= run_.last && sameSlice(i); ++i)
        BUOY_TRY_VOID(write(targets_[i], done, bytes.substr(0, size)));
      skip(bytes, size);
      if (at_ == slice.offset + slice.size) BUOY_TRY_VOID(endSlice());
    }
    return {};
  }

  bool complete() const { return next_ > run_.last; }

 private:
  void skip(std::string_view& bytes, std::uint64_t size) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(size, bytes.size()));
    bytes.remove_prefix(count);
    at_ += count;
  }

  bool sameSlice(std::size_t i) const {
    return targets_[i].slice->offset == targets_[next_].slice->offset &&
           targets_[i].slice->sha256 == targets_[next_].slice->sha256;
  }

  Status endSlice() {
    const Slice& slice = *targets_[next_].slice;
    const std::string found = hash_->hexDigest();
    hash_.reset();
    if (found != slice.sha256) {
      return fail(ErrorCode::data_loss,
                  strCat({"pack ", packKey(slice.stored_by, slice.pack), " is damaged: \"",
                          escaped(files_[targets_[next_].file].file->path), "\" does not have its hash"}));
    }
    std::size_t i = next_ + 1;
    while (i <= run_.last && sameSlice(i)) ++i;
    next_ = i;
    return {};
  }

  Status write(const Target& target, std::uint64_t done, std::string_view bytes) {
    if (!fd_ || open_ != target.file) {
      BUOY_TRY(fd_, os::openBeneath(directory_, files_[target.file].name, O_WRONLY | O_CREAT, 0600));
      open_ = target.file;
    }
    return os::writeAllAt(fd_.get(), bytes, target.offset + done, "write a restored file");
  }

  const std::vector<Target>& targets_;
  const std::vector<WantedFile>& files_;
  const Run& run_;
  const int directory_;
  std::uint64_t at_;
  std::size_t next_;  // the target whose slice comes
  std::optional<Sha256> hash_;
  os::Fd fd_;
  std::size_t open_ = 0;
};

Status fetchRun(ObjectStore& store, const std::string& objects, const std::vector<Target>& targets,
                const std::vector<WantedFile>& files, const Run& run, int directory,
                const std::stop_token& stop) {
  const Slice& slice = *targets[run.first].slice;
  const std::string key = objects + packKey(slice.stored_by, slice.pack);
  Status status;
  // Bytes may have been changed on their way: what is read wrong twice is wrong in the store.
  for (int tries = 0; tries < kReads; ++tries) {
    RunWriter writer(targets, files, run, directory);
    status = store.getRange(
        key, run.begin, run.end - run.begin, [&](std::string_view bytes) { return writer.take(bytes); },
        stop);
    if (status && writer.complete()) return {};
    if (status)
      status = fail(ErrorCode::data_loss, "pack " + key + " does not hold the slices that it should");
    if (status.error().code != ErrorCode::data_loss) break;
  }
  const bool lost = status.error().code == ErrorCode::not_found;
  // Shorter than what the manifest says: so it is not what was stored.
  const bool cut = status.error().code == ErrorCode::invalid_argument;
  if (!lost && !cut) return status;
  return fail(ErrorCode::data_loss, strCat({"pack ", key, lost ? " is missing" : " is too short"}));
}

}  // namespace

Result<std::uint64_t> fetchPacked(ObjectStore& store, const std::string& objects,
                                  const std::vector<WantedFile>& files, int directory) {
  std::vector<Target> targets;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    BUOY_TRY(const os::Fd fd, os::openBeneath(directory, files[i].name, O_WRONLY | O_CREAT, 0600));
    if (::ftruncate(fd.get(), static_cast<off_t>(files[i].file->size)) != 0)
      return failErrno(errno, "create a restored file");
    std::uint64_t offset = 0;
    for (const Slice& slice : files[i].file->slices) {
      if (slice.sha256 != zerosHash(slice.size)) {
        targets.push_back({&slice, i, offset});
        bytes += slice.size;
      }
      offset += slice.size;
    }
  }
  std::sort(targets.begin(), targets.end(), inOrder);
  const std::vector<Run> runs = runsOf(targets);
  if (store.pool() == nullptr) {
    for (const Run& run : runs) BUOY_TRY_VOID(fetchRun(store, objects, targets, files, run, directory, {}));
    return bytes;
  }
  TaskGroup group(*store.pool());
  for (const Run& run : runs) {
    group.run([&] { return fetchRun(store, objects, targets, files, run, directory, group.stop()); });
  }
  BUOY_TRY_VOID(group.wait());
  return bytes;
}

}  // namespace buoy::objstore
