#include "agent/channel_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <future>

#include "api/job_spec.h"
#include "base/strings.h"
#include "objstore/checkpoint_path.h"
#include "objstore/list_pages.h"
#include "objstore/s3/s3_store.h"
#include "os/environment.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1u << 20;
constexpr std::uint64_t kRange = 8u << 20;                // of one request
constexpr Duration kPatience = std::chrono::seconds{20};  // of one request; the whole is tried again

Status cancelledError() {
  return fail(ErrorCode::cancelled, "the download was stopped");
}

Time timeOf(const struct timespec& time) {
  return Time{std::chrono::duration_cast<Duration>(std::chrono::seconds{time.tv_sec} +
                                                   std::chrono::nanoseconds{time.tv_nsec})};
}

class LocalSource final : public ChannelSource {
 public:
  explicit LocalSource(std::string path) : path_(std::move(path)) {}

  Result<std::vector<ChannelFile>> list() override {
    struct stat info {};
    if (::stat(path_.c_str(), &info) != 0) return fail(ErrorCode::not_found, path_ + " is not there");
    std::vector<ChannelFile> files;
    if (!S_ISDIR(info.st_mode)) {
      add(files, "", path_);
      return files;
    }
    std::error_code error;
    const fs::path root(path_);
    fs::recursive_directory_iterator at(root, error);
    for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
      const std::string path = at->path().string();
      add(files, path.substr(path_.size() + (path_.ends_with('/') ? 0 : 1)), path);
    }
    if (error)
      return fail(ErrorCode::invalid_argument, strCat({"cannot read ", path_, ": ", error.message()}));
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
  }

  Status read(const ChannelFile& file, std::uint64_t from, const Take& take,
              const std::stop_token& stop) override {
    BUOY_TRY(const os::Fd fd, os::openFile(file.key, O_RDONLY | O_NONBLOCK));  // never a FIFO's reader
    std::string piece(kPiece, '\0');
    for (std::uint64_t at = from;;) {
      if (stop.stop_requested()) return cancelledError();
      const ssize_t n = ::pread(fd.get(), piece.data(), piece.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failErrno(errno, "read " + file.key);
      if (n == 0) return checkUnchanged(file, fd.get());
      BUOY_TRY_VOID(take(std::string_view(piece).substr(0, static_cast<std::size_t>(n))));
      at += static_cast<std::uint64_t>(n);
    }
  }

 private:
  static Status checkUnchanged(const ChannelFile& file, int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return failErrno(errno, "read " + file.key);
    if (timeOf(info.st_mtim) == file.modified && static_cast<std::uint64_t>(info.st_size) == file.size)
      return {};
    return fail(ErrorCode::data_loss, "has changed while it was read");
  }

  static void add(std::vector<ChannelFile>& files, std::string name, const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;  // follows links to files
    ChannelFile& file = files.emplace_back();
    file.name = std::move(name);
    file.key = path;
    file.size = static_cast<std::uint64_t>(info.st_size);
    file.modified = timeOf(info.st_mtim);
    file.id = strCat({"path\n", path, "\n", std::to_string(info.st_dev), ".", std::to_string(info.st_ino),
                      "\n", std::to_string(info.st_size), "\n", std::to_string(info.st_mtim.tv_sec), ".",
                      std::to_string(info.st_mtim.tv_nsec)});
  }

  const std::string path_;
};

// Reads objects of a store, with as many requests at once as it may.
class ObjectReader {
 public:
  ObjectReader(objstore::ObjectStore& store, const ChannelFile& file, const std::stop_token& stop)
      : store_(store), file_(file), stop_(stop) {}

  Status read(std::uint64_t from, int at_once, const ChannelSource::Take& take) {
    if (file_.size == 0) return {};
    const bool in_one = at_once <= 1 || store_.pool() == nullptr || file_.size - from <= kRange;
    return in_one && from < file_.size ? get(from, file_.size - from, take)
                                       : readInRanges(from, at_once, take);
  }

 private:
  Status readInRanges(std::uint64_t from, int at_once, const ChannelSource::Take& take) {
    std::deque<std::future<Result<std::string>>> coming;  // their ends are waited for, whatever happens
    std::uint64_t next = from;
    while (next < file_.size || !coming.empty()) {
      while (next < file_.size && coming.size() < static_cast<std::size_t>(at_once)) {
        const std::uint64_t size = std::min(kRange, file_.size - next);
        coming.push_back(std::async(std::launch::async, [this, next, size] { return range(next, size); }));
        next += size;
      }
      BUOY_TRY(const std::string content, coming.front().get());
      coming.pop_front();
      for (std::size_t done = 0; done < content.size(); done += kPiece) {
        BUOY_TRY_VOID(take(std::string_view(content).substr(done, kPiece)));
      }
    }
    return {};
  }

  Result<std::string> range(std::uint64_t from, std::uint64_t size) {
    std::string content;
    content.reserve(size);
    const auto keep = [&](std::string_view piece) -> Status {
      content += piece;
      return {};
    };
    BUOY_TRY_VOID(get(from, size, keep));
    return content;
  }

  // Of the object that was listed: what was read before, and what is kept under its id, is that one's.
  Status get(std::uint64_t from, std::uint64_t size, const ChannelSource::Take& take) {
    Status got =
        store_.getRangeOf({file_.key, file_.size, file_.modified, file_.etag}, from, size, take, stop_);
    if (got || got.error().code != ErrorCode::failed_precondition) return got;
    return fail(ErrorCode::data_loss, "has changed while it was read");
  }

  objstore::ObjectStore& store_;
  const ChannelFile& file_;
  const std::stop_token& stop_;
};

class StoreSource : public ChannelSource {
 public:
  StoreSource(std::shared_ptr<objstore::ObjectStore> store, std::string prefix, std::string where)
      : store_(std::move(store)), prefix_(std::move(prefix)), where_(std::move(where)) {}

  Result<std::vector<ChannelFile>> list() override {
    const std::string below = prefix_.empty() ? "" : prefix_ + "/";
    std::vector<ChannelFile> files;
    const auto take = [&](objstore::ObjectInfo object) -> Status {
      std::string name = object.key.substr(below.size());
      return add(files, std::move(object), std::move(name));
    };
    if (Status listed = forEach(below, take); !listed) return fail(listed.error().wrap(where_));
    if (files.empty() && !prefix_.empty()) {
      auto object = store_->head(prefix_);
      if (object) {
        BUOY_TRY_VOID(add(files, std::move(*object), ""));
      } else if (object.error().code != ErrorCode::not_found) {
        return fail(object.error().wrap(where_));
      }
    }
    if (files.empty()) return fail(ErrorCode::not_found, where_ + " has no objects");
    return files;
  }

  Status read(const ChannelFile& file, std::uint64_t from, const Take& take,
              const std::stop_token& stop) override {
    return ObjectReader(*store_, file, stop).read(from, read_ahead_, take);
  }

 protected:
  using OnObject = std::function<Status(objstore::ObjectInfo)>;
  virtual Status forEach(const std::string& below, const OnObject& on_object) {
    return objstore::listPages(*store_, below, [&](const auto& page) -> Status {
      for (const objstore::ObjectInfo& object : page) BUOY_TRY_VOID(on_object(object));
      return {};
    });
  }

 private:
  Status add(std::vector<ChannelFile>& files, objstore::ObjectInfo object, std::string name) {
    if (object.key.ends_with('/') && object.size == 0) return {};  // how consoles show a directory
    if (!name.empty()) {
      if (Status valid = objstore::validatePath(name); !valid) {
        return fail(ErrorCode::invalid_argument,
                    strCat({"the key \"", objstore::escaped(object.key),
                            "\" cannot become a file: ", valid.error().message}));
      }
    }
    ChannelFile& file = files.emplace_back();
    file.name = std::move(name);
    file.size = object.size;
    file.modified = object.modified;
    file.id = strCat({store_->uri(), "\n", object.key, "\n", std::to_string(object.size), "\n",
                      std::to_string(object.modified.time_since_epoch().count()), "\n", object.etag});
    file.etag = std::move(object.etag);
    file.key = std::move(object.key);
    return {};
  }

  const std::shared_ptr<objstore::ObjectStore> store_;
  const std::string prefix_, where_;
};

// Lists by itself, because a store passes over keys that are not its own, and a part of the data must not be
// missing without a word.
class BucketSource final : public StoreSource {
 public:
  BucketSource(std::shared_ptr<objstore::s3::Client> client, const objstore::s3::Location& location,
               std::string where)
      : StoreSource(std::make_shared<objstore::s3::S3Store>(
                        client, objstore::s3::Location{location.bucket, ""}, objstore::TransferOptions{}),
                    location.key, std::move(where)),
        client_(std::move(client)),
        bucket_(location.bucket) {}

 protected:
  Status forEach(const std::string& below, const OnObject& on_object) override {
    objstore::s3::ListOptions options;
    options.prefix = below;
    do {
      BUOY_TRY(objstore::s3::ListPage page, client_->list(bucket_, options, {}));
      for (objstore::s3::Object& object : page.objects) {
        BUOY_TRY_VOID(
            on_object({std::move(object.key), object.size, object.modified, std::move(object.etag)}));
      }
      options.token = std::move(page.next);
    } while (!options.token.empty());
    return {};
  }

 private:
  const std::shared_ptr<objstore::s3::Client> client_;
  const std::string bucket_;
};

class BlobSource final : public ChannelSource {
 public:
  BlobSource(std::shared_ptr<objstore::ObjectStore> store, std::string sha256)
      : store_(std::move(store)), sha256_(std::move(sha256)) {}

  Result<std::vector<ChannelFile>> list() override {
    auto text = store_->get(objstore::blobKey(sha256_));
    if (!text) return fail(text.error().wrap("the source's manifest"));
    if (objstore::sha256Hex(*text) != sha256_) {
      return fail(ErrorCode::data_loss, "the source's manifest is damaged in the store");
    }
    BUOY_TRY(const api::SourceManifest manifest, api::parseSourceManifest(*text));
    std::vector<ChannelFile> files;
    for (const api::SourceFile& source : manifest.files) {
      ChannelFile& file = files.emplace_back();
      file.name = source.path;
      file.key = objstore::blobKey(source.sha256);
      file.size = source.size;
      file.mode = (source.mode & 0111u) != 0 ? 0555 : 0444;
      file.sha256 = source.sha256;
      file.id = strCat({"sha256\n", source.sha256, "\n", std::to_string(file.mode)});
    }
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
  }

  Status read(const ChannelFile& file, std::uint64_t from, const Take& take,
              const std::stop_token& stop) override {
    return ObjectReader(*store_, file, stop).read(from, read_ahead_, take);
  }

 private:
  const std::shared_ptr<objstore::ObjectStore> store_;
  const std::string sha256_;
};

}  // namespace

std::unique_ptr<ChannelSource> localSource(std::string path) {
  return std::make_unique<LocalSource>(std::move(path));
}

std::unique_ptr<ChannelSource> storeSource(std::shared_ptr<objstore::ObjectStore> store, std::string prefix,
                                           std::string where) {
  return std::make_unique<StoreSource>(std::move(store), std::move(prefix), std::move(where));
}

Result<std::unique_ptr<ChannelSource>> bucketSource(const std::string& uri) {
  BUOY_TRY(objstore::s3::Location location, objstore::s3::parseLocation(uri));
  while (location.key.ends_with('/')) location.key.pop_back();
  const aws::Environment environment = os::processEnvironment();
  static const os::SystemClock clock;
  objstore::s3::ClientOptions options;
  BUOY_TRY(options.settings, aws::loadSettings(environment));
  BUOY_TRY(options.credentials, aws::defaultCredentials(environment, options.settings, clock));
  options.clock = &clock;
  options.patience = kPatience;
  BUOY_TRY(auto client, objstore::s3::Client::create(std::move(options)));
  return std::make_unique<BucketSource>(std::move(client), location, uri);
}

std::unique_ptr<ChannelSource> blobSource(std::shared_ptr<objstore::ObjectStore> store, std::string sha256) {
  return std::make_unique<BlobSource>(std::move(store), std::move(sha256));
}

}  // namespace buoy::agent
