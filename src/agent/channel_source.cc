#include "agent/channel_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "api/job_spec.h"
#include "base/strings.h"
#include "objstore/manifest.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1u << 20;
constexpr std::uint64_t kRange = 8u << 20;  // of one request
constexpr int kPage = 1000;

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
    BUOY_TRY(const os::Fd fd, os::openFile(file.key, O_RDONLY));
    std::string piece(kPiece, '\0');
    for (std::uint64_t at = from;;) {
      if (stop.stop_requested()) return cancelledError();
      const ssize_t n = ::pread(fd.get(), piece.data(), piece.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failErrno(errno, "read " + file.key);
      if (n == 0) return {};
      BUOY_TRY_VOID(take(std::string_view(piece).substr(0, static_cast<std::size_t>(n))));
      at += static_cast<std::uint64_t>(n);
    }
  }

 private:
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

Result<std::string> rangeOf(objstore::ObjectStore& store, const std::string& key, std::uint64_t from,
                            std::uint64_t size) {
  BUOY_TRY(const std::string content, store.get(key));
  return from >= content.size() ? std::string() : content.substr(from, size);
}

Status readObject(objstore::ObjectStore& store, const ChannelFile& file, std::uint64_t from,
                  const ChannelSource::Take& take, const std::stop_token& stop) {
  for (std::uint64_t at = from; at < file.size;) {
    if (stop.stop_requested()) return cancelledError();
    BUOY_TRY(const std::string content, rangeOf(store, file.key, at, std::min(kRange, file.size - at)));
    if (content.empty()) return {};  // it has become shorter; whoever asked sees that
    for (std::size_t done = 0; done < content.size(); done += kPiece) {
      BUOY_TRY_VOID(take(std::string_view(content).substr(done, kPiece)));
    }
    at += content.size();
  }
  return {};
}

class StoreSource final : public ChannelSource {
 public:
  StoreSource(std::shared_ptr<objstore::ObjectStore> store, std::string prefix, std::string where)
      : store_(std::move(store)), prefix_(std::move(prefix)), where_(std::move(where)) {}

  Result<std::vector<ChannelFile>> list() override {
    const std::string below = prefix_.empty() ? "" : prefix_ + "/";
    std::vector<ChannelFile> files;
    for (std::string after;;) {
      auto page = store_->list(below, after, kPage);
      if (!page) return fail(page.error().wrap(where_));
      for (const objstore::ObjectInfo& object : *page)
        BUOY_TRY_VOID(add(files, object, object.key.substr(below.size())));
      if (page->size() < kPage) break;
      after = page->back().key;
    }
    if (files.empty() && !prefix_.empty()) {
      const auto object = store_->head(prefix_);
      if (object) {
        BUOY_TRY_VOID(add(files, *object, ""));
      } else if (object.error().code != ErrorCode::not_found) {
        return fail(object.error().wrap(where_));
      }
    }
    if (files.empty()) return fail(ErrorCode::not_found, where_ + " has no objects");
    return files;
  }

  Status read(const ChannelFile& file, std::uint64_t from, const Take& take,
              const std::stop_token& stop) override {
    return readObject(*store_, file, from, take, stop);
  }

 private:
  Status add(std::vector<ChannelFile>& files, const objstore::ObjectInfo& object, std::string name) {
    if (object.key.ends_with('/') && object.size == 0) return {};  // how consoles show a directory
    if (!name.empty()) {
      if (Status valid = objstore::validatePath(name); !valid) {
        return fail(ErrorCode::invalid_argument,
                    strCat({where_, ": the key \"", objstore::escaped(object.key),
                            "\" cannot become a file: ", valid.error().message}));
      }
    }
    ChannelFile& file = files.emplace_back();
    file.name = std::move(name);
    file.key = object.key;
    file.size = object.size;
    file.modified = object.modified;
    file.id = strCat({store_->uri(), "\n", object.key, "\n", std::to_string(object.size), "\n",
                      std::to_string(object.modified.time_since_epoch().count())});
    return {};
  }

  const std::shared_ptr<objstore::ObjectStore> store_;
  const std::string prefix_, where_;
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
    return readObject(*store_, file, from, take, stop);
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

std::unique_ptr<ChannelSource> blobSource(std::shared_ptr<objstore::ObjectStore> store, std::string sha256) {
  return std::make_unique<BlobSource>(std::move(store), std::move(sha256));
}

}  // namespace buoy::agent
