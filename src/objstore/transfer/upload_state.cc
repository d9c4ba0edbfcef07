#include "objstore/transfer/upload_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "objstore/sha256.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxState = 64u << 10;

}  // namespace

UploadState::UploadState(const std::string& directory, const std::string& endpoint, const s3::Location& to,
                         const std::string& file) {
  if (directory.empty()) return;
  std::error_code error;
  const std::string absolute = std::filesystem::absolute(file, error).string();
  path_ =
      strCat({directory, "/", sha256Hex(strCat({endpoint, "\n", to.toString(), "\n", absolute})), ".json"});
}

std::optional<UploadState::Entry> UploadState::load() {
  if (path_.empty()) return std::nullopt;
  (void)os::makeDirectories(std::filesystem::path(path_).parent_path().string());
  fd_ = os::Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd_ || ::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0) {
    path_.clear();
    return std::nullopt;
  }
  std::string text(kMaxState, '\0');
  const ssize_t size = ::pread(fd_.get(), text.data(), text.size(), 0);
  if (size <= 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    Entry entry;
    entry.upload = json.at("upload").get<std::string>();
    entry.part_size = json.at("part_size").get<std::uint64_t>();
    entry.source = {json.at("device").get<std::uint64_t>(), json.at("inode").get<std::uint64_t>(),
                    json.at("size").get<std::uint64_t>(), json.at("modified_ns").get<std::int64_t>(),
                    json.at("changed_ns").get<std::int64_t>()};
    if (entry.upload.empty() || entry.part_size == 0) return std::nullopt;
    return entry;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

void UploadState::save(const Entry& entry) const {
  if (path_.empty()) return;
  BUOY_CHECK(fd_);
  const Json json = {{"upload", entry.upload},
                     {"part_size", entry.part_size},
                     {"device", entry.source.device},
                     {"inode", entry.source.inode},
                     {"size", entry.source.size},
                     {"modified_ns", entry.source.modified_ns},
                     {"changed_ns", entry.source.changed_ns}};
  // Without it the upload works as well; only an interruption would cost more.
  const std::string text = json.dump() + "\n";
  if (::pwrite(fd_.get(), text.data(), text.size(), 0) < 0 ||
      ::ftruncate(fd_.get(), static_cast<off_t>(text.size())) != 0)
    ::unlink(path_.c_str());
}

void UploadState::remove() {
  if (!path_.empty()) ::unlink(path_.c_str());
  fd_.reset();
}

}  // namespace buoy::objstore
