#include "objstore/transfer/download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>

#include "base/strings.h"
#include "objstore/sha256.h"
#include "objstore/transfer/local_walk.h"
#include "objstore/transfer/parts.h"
#include "os/boot_id.h"
#include "os/copy.h"
#include "os/file_state.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

constexpr std::uint64_t kOneGet = 16 * kMiB;
constexpr std::uint64_t kMaxJournal = 1u << 20;

bool isStillNamed(int fd, const std::string& path) {
  struct stat open_file {
  }, named{};
  return ::fstat(fd, &open_file) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

std::string uniqueName() {
  static std::atomic<std::uint64_t> counter{0};
  return strCat({kUnfinishedPrefix, std::to_string(::getpid()), "-", std::to_string(++counter)});
}

}  // namespace

Download::Download(Transfers& transfers, std::shared_ptr<s3::Client> client, std::string bucket,
                   s3::Object known, std::string file, Transfers::Done done)
    : transfers_(transfers),
      client_(std::move(client)),
      from_{std::move(bucket), known.key},
      known_(std::move(known)),
      file_(std::move(file)),
      done_(std::move(done)) {}

void Download::start() {
  if (file_ == "-") return end(toStandardOutput());
  const std::uint64_t configured = transfers_.options_.part_size;
  if (known_.size <= (configured != 0 ? configured : kOneGet)) return end(getWhole());
  if (const Status begun = beginParts(); !begun) return end(begun);
  Parts::run(
      transfers_.pool_, static_cast<std::size_t>((known_.size + part_size_ - 1) / part_size_),
      static_cast<std::size_t>(transfers_.options_.pool.max_threads),
      [self = shared_from_this()](std::size_t index) { return self->getPart(index); },
      [self = shared_from_this()](Status status) { self->partsEnded(std::move(status)); });
}

Status Download::toStandardOutput() {
  const auto write = [](std::string_view piece) { return os::writeAll(STDOUT_FILENO, piece); };
  return client_->get(from_, {.if_match = known_.etag}, write, transfers_.control()).map([](const auto&) {});
}

std::string Download::beside(const std::string& name) const {
  const auto slash = file_.rfind('/');
  return slash == std::string::npos ? name : file_.substr(0, slash + 1) + name;
}

// Makes the directories only if they are missing: of many files most lie in one that is there.
Status Download::openTemporary(const std::string& name, int flags) {
  temporary_ = beside(name);
  auto fd = os::openFile(temporary_, O_RDWR | O_CREAT | flags);
  if (!fd && fd.error().code == ErrorCode::not_found) {
    BUOY_TRY_VOID(os::makeDirectories(beside(".")));
    fd = os::openFile(temporary_, O_RDWR | O_CREAT | flags);
  }
  if (!fd) return fail(fd.error());
  fd_ = std::move(*fd);
  return {};
}

Status Download::getWhole() {
  BUOY_TRY_VOID(openTemporary(uniqueName(), O_EXCL));
  std::uint64_t offset = 0;
  const auto write = [&](std::string_view piece) {
    const std::uint64_t at = offset;
    offset += piece.size();
    return os::writeAllAt(fd_.get(), piece, at, "write " + file_);
  };
  Status status =
      known_.size == 0 && !known_.etag.empty()
          ? Status{}
          : client_->get(from_, {.if_match = known_.etag}, write, transfers_.control()).map([](const auto&) {
            });
  if (status) status = nameIt();
  if (!status) ::unlink(temporary_.c_str());
  return status;
}

Status Download::beginParts() {
  const std::string identity =
      strCat({from_.toString(), "\n", known_.etag, "\n", std::to_string(known_.size), "\n", file_});
  const std::string name = strCat({kUnfinishedPrefix, sha256Hex(identity).substr(0, 24)});
  BUOY_TRY_VOID(openTemporary(name, 0));
  // Somebody else fetches the same, or has just given the file its name: each for himself.
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 || !isStillNamed(fd_.get(), temporary_)) {
    BUOY_TRY_VOID(openTemporary(uniqueName(), O_EXCL));
    part_size_ = transfers_.partSizeFor(known_.size);
    return ::ftruncate(fd_.get(), static_cast<off_t>(known_.size)) == 0 ? Status{} : failErrno(errno, file_);
  }
  journal_path_ = temporary_ + ".done";
  // Its word counts only until the machine is started again: nothing is synced.
  const std::string header_start = strCat({identity, "\n", os::bootId(), "\n"});
  const auto before = os::readFile(journal_path_, kMaxJournal);
  part_size_ = 0;
  struct stat info {};
  // A journal whose file is gone, or was begun anew, speaks of nothing.
  const bool there =
      ::fstat(fd_.get(), &info) == 0 && static_cast<std::uint64_t>(info.st_size) == known_.size;
  if (there && before && before->starts_with(header_start)) {
    const auto lines = split(std::string_view(*before).substr(header_start.size()), '\n');
    std::from_chars(lines[0].data(), lines[0].data() + lines[0].size(), part_size_);
    for (std::size_t i = 1; part_size_ > 0 && i + 1 < lines.size(); ++i) {
      std::size_t part = 0;
      if (std::from_chars(lines[i].data(), lines[i].data() + lines[i].size(), part).ec == std::errc{})
        whole_.insert(part);
    }
  }
  if (part_size_ == 0) {
    part_size_ = transfers_.partSizeFor(known_.size);
    BUOY_TRY_VOID(
        os::writeFileAtomic(journal_path_, strCat({header_start, std::to_string(part_size_), "\n"})));
    if (::ftruncate(fd_.get(), 0) != 0) return failErrno(errno, file_);
  }
  BUOY_TRY(journal_, os::openFile(journal_path_, O_WRONLY | O_APPEND));
  if (::ftruncate(fd_.get(), static_cast<off_t>(known_.size)) != 0) return failErrno(errno, file_);
  return {};
}

Status Download::getPart(std::size_t index) {
  {
    const std::lock_guard lock(mutex_);
    if (whole_.contains(index)) return {};
  }
  if (transfers_.stop_.stop_requested()) return fail(ErrorCode::cancelled, "stopped");
  std::uint64_t offset = index * part_size_;
  const s3::GetOptions options{offset, std::min(part_size_, known_.size - offset), known_.etag};
  const auto write = [&](std::string_view piece) {
    const std::uint64_t at = offset;
    offset += piece.size();
    return os::writeAllAt(fd_.get(), piece, at, "write " + file_);
  };
  BUOY_TRY_VOID(client_->get(from_, options, write, transfers_.control()).map([](const auto&) {}));
  const std::lock_guard lock(mutex_);
  if (journal_) (void)os::writeAll(journal_.get(), std::to_string(index) + "\n");
  return {};
}

void Download::partsEnded(Status status) {
  // The journal goes first: without its file it must not be found.
  if (status && !journal_path_.empty()) ::unlink(journal_path_.c_str());
  if (status) status = nameIt();
  const bool worth_keeping =
      !status && journal_ &&
      (status.error().code == ErrorCode::unavailable || status.error().code == ErrorCode::deadline_exceeded ||
       status.error().code == ErrorCode::cancelled);
  if (!status && !worth_keeping) ::unlink(temporary_.c_str());
  if (!worth_keeping && !journal_path_.empty()) ::unlink(journal_path_.c_str());
  end(std::move(status));
}

Status Download::nameIt() {
  if (known_.modified != Time{}) {
    const timespec stamp = os::toTimespec(known_.modified);
    const timespec both[2] = {stamp, stamp};
    if (::futimens(fd_.get(), both) != 0) return failErrno(errno, "set the time of " + file_);
  }
  if (::rename(temporary_.c_str(), file_.c_str()) != 0) return failErrno(errno, "name " + file_);
  return {};
}

void Download::end(Status status) {
  if (!status && status.error().code == ErrorCode::failed_precondition) {
    status = fail(ErrorCode::unavailable, from_.toString() + " was replaced while it was fetched", true);
  }
  if (status) ++transfers_.progress_.files;
  done_(status);
}

}  // namespace buoy::objstore
