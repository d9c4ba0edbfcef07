#include "objstore/s3/s3_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <mutex>

#include "base/any_stop.h"
#include "base/strings.h"
#include "objstore/transfer/parts.h"
#include "os/copy.h"

namespace buoy::objstore::s3 {
namespace {

constexpr std::uint64_t kPart = 16u << 20;
constexpr std::size_t kPage = 1000;  // S3's limit

class S3Multipart final : public MultipartPut {
 public:
  using MakeControl = std::function<Control(std::stop_token)>;
  S3Multipart(Client& client, MakeControl control, Location at, std::string upload)
      : client_(client), control_(std::move(control)), at_(std::move(at)), upload_(std::move(upload)) {}
  ~S3Multipart() override {
    if (!finished_) (void)client_.abortUpload(at_, upload_, {});
  }

  Status put(int number, const std::vector<net::BodyPiece>& content, std::stop_token stop) override {
    BUOY_TRY(Part part, client_.putPart(at_, upload_, number, content, control_(std::move(stop))));
    const std::lock_guard lock(mutex_);
    parts_.push_back(std::move(part));
    return {};
  }

  Status finish() override {
    const std::lock_guard lock(mutex_);
    std::sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.number < b.number; });
    BUOY_TRY_VOID(client_.completeUpload(at_, upload_, parts_, {}, {}));
    finished_ = true;
    return {};
  }

 private:
  Client& client_;
  const MakeControl control_;  // counts and slows as for the store's other operations
  const Location at_;
  const std::string upload_;
  std::mutex mutex_;
  std::vector<Part> parts_;
  bool finished_ = false;
};

}  // namespace

S3Store::S3Store(std::shared_ptr<Client> client, Location root, TransferOptions options)
    : client_(std::move(client)),
      root_(std::move(root)),
      throttle_(options.throttle),
      transfers_(std::make_shared<Transfers>(std::move(options))) {}

S3Store::S3Store(const S3Store& same, std::stop_token stop)
    : client_(same.client_),
      root_(same.root_),
      throttle_(same.throttle_),
      transfers_(same.transfers_),
      stop_(std::move(stop)) {}

S3Store::~S3Store() = default;

std::unique_ptr<ObjectStore> S3Store::until(std::stop_token stop) {
  return std::unique_ptr<ObjectStore>(new S3Store(*this, std::move(stop)));
}

std::string S3Store::uri() const {
  return root_.key.empty() ? "s3://" + root_.bucket : root_.toString();
}

Result<Location> S3Store::at(const std::string& key) const {
  BUOY_TRY_VOID(validateKey(key));
  return Location{root_.bucket, root_.key.empty() ? key : root_.key + "/" + key};
}

Control S3Store::control(std::stop_token stop) {
  if (stop_.stop_possible()) {
    // `either` lives as long as the function that is called for the bytes.
    auto either = std::make_shared<AnyStop>(std::initializer_list<std::stop_token>{stop_, stop});
    stop = either->token();
    return {stop, [this, either](std::uint64_t bytes) { moved(bytes, either->token()); }};
  }
  return {stop, [this, stop](std::uint64_t bytes) { moved(bytes, stop); }};
}

void S3Store::moved(std::uint64_t bytes, const std::stop_token& stop) {
  transfers_->pool().moved(bytes);
  if (throttle_) throttle_->moved(bytes, stop);
}

Status S3Store::put(const std::string& key, std::string_view content) {
  return putPieces(key, {net::BodyPiece{content}}, {});
}

Status S3Store::putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                          std::stop_token stop) {
  BUOY_TRY(const Location location, at(key));
  return client_->put(location, content, {}, control(std::move(stop))).map([](const auto&) {});
}

Status S3Store::putIfAbsent(const std::string& key, std::string_view content) {
  BUOY_TRY(const Location location, at(key));
  return client_->put(location, {net::BodyPiece{content}}, {.if_none_match = true}, control())
      .map([](const auto&) {});
}

Status S3Store::putIfMatch(const std::string& key, std::string_view content, const std::string& etag) {
  BUOY_TRY(const Location location, at(key));
  const auto put = [&](const std::string& seen) -> Status {
    return client_->put(location, {net::BodyPiece{content}}, {.if_match = seen}, control())
        .map([](const auto&) {});
  };
  Status status = put(etag);
  // Ceph compares with the quotes as a part of it.
  const bool quoted = etag.size() > 2 && etag.front() == '"' && etag.back() == '"';
  if (status || !quoted || status.error().code != ErrorCode::failed_precondition) return status;
  return put(etag.substr(1, etag.size() - 2));
}

Status S3Store::putFile(const std::string& key, int fd, std::uint64_t size, std::string* sha256) {
  BUOY_TRY(const Location location, at(key));
  if (sha256 != nullptr) {
    BUOY_TRY(HashedContent hashed, hashFile(fd, size));
    *sha256 = std::move(hashed.sha256);
  }
  std::promise<Status> ended;
  // By its descriptor: the name may mean another file by now.
  transfers_->upload(
      client_, strCat({"/proc/self/fd/", std::to_string(fd)}), location,
      [&](const Status& status) { ended.set_value(status); }, stop_);
  Status status = ended.get_future().get();
  struct stat info {};
  if (status && (::fstat(fd, &info) != 0 || static_cast<std::uint64_t>(info.st_size) != size))
    return fail(ErrorCode::failed_precondition, "the file changed while it was read", true);
  return status;
}

Result<std::unique_ptr<MultipartPut>> S3Store::beginMultipart(const std::string& key) {
  BUOY_TRY(Location location, at(key));
  BUOY_TRY(std::string upload, client_->createUpload(location, {}, control()));
  return std::make_unique<S3Multipart>(
      *client_, [this](std::stop_token stop) { return control(std::move(stop)); }, std::move(location),
      std::move(upload));
}

Status S3Store::copy(const std::string& from, const std::string& to) {
  BUOY_TRY(const Location source, at(from));
  BUOY_TRY(const Location target, at(to));
  BUOY_TRY(const Object object, client_->head(source, control()));
  std::promise<Status> ended;
  transfers_->copy(
      client_, source.bucket, object, target, [&](const Status& status) { ended.set_value(status); }, stop_);
  return ended.get_future().get();
}

Result<std::string> S3Store::get(const std::string& key, std::uint64_t limit) {
  BUOY_TRY(const Location location, at(key));
  auto content = client_->read(location, limit, control());
  if (!content && content.error().code == ErrorCode::not_found)
    return fail(ErrorCode::not_found, "no object " + key);
  return content;
}

Status S3Store::getRange(const std::string& key, std::uint64_t offset, std::uint64_t size,
                         const OnPiece& on_piece, std::stop_token stop) {
  BUOY_TRY(const Location location, at(key));
  return getPart(location, {.offset = offset, .size = size}, on_piece, stop);
}

Status S3Store::getRangeOf(const ObjectInfo& object, std::uint64_t offset, std::uint64_t size,
                           const OnPiece& on_piece, std::stop_token stop) {
  BUOY_TRY(const Location location, at(object.key));
  return getPart(location, {.offset = offset, .size = size, .if_match = object.etag}, on_piece, stop);
}

Status S3Store::getPart(const Location& from, const GetOptions& options, const OnPiece& on_piece,
                        const std::stop_token& stop) {
  const Status got = client_->get(from, options, on_piece, control(stop)).map([](const auto&) {});
  if (got || got.error().code != ErrorCode::invalid_argument) return got;
  // Refused. It is the object that is too short only if it is; anything else says nothing about what is
  // stored.
  const auto there = client_->head(from, control(stop));
  if (there && there->size < options.offset + options.size.value_or(0)) return got;
  return fail(ErrorCode::internal, got.error().message);
}

Status S3Store::getFile(const std::string& key, int fd, std::string_view sha256) {
  BUOY_TRY(const Location location, at(key));
  BUOY_TRY(const Object object, client_->head(location, control()));
  const auto parts = static_cast<std::size_t>((object.size + kPart - 1) / kPart);
  std::promise<Status> ended;
  Parts::run(
      transfers_->pool(), parts, parts,
      [&](std::size_t index) {
        std::uint64_t offset = index * kPart;
        const std::uint64_t size = std::min(kPart, object.size - offset);
        const auto write = [&](std::string_view piece) {
          const std::uint64_t here = offset;
          offset += piece.size();
          return os::writeAllAt(fd, piece, here, "write the file");
        };
        return client_->get(location, {offset, size, object.etag}, write, control()).map([](const auto&) {});
      },
      [&](Status status) { ended.set_value(std::move(status)); });
  BUOY_TRY_VOID(ended.get_future().get());
  if (sha256.empty()) return {};
  BUOY_TRY(const HashedContent hashed, hashFile(fd, object.size));
  if (hashed.sha256 == sha256) return {};
  return fail(ErrorCode::data_loss, "object " + key + " is damaged: its hash is " + hashed.sha256);
}

Result<ObjectInfo> S3Store::head(const std::string& key) {
  BUOY_TRY(const Location location, at(key));
  auto object = client_->head(location, control());
  if (!object) {
    if (object.error().code == ErrorCode::not_found) return fail(ErrorCode::not_found, "no object " + key);
    return fail(object.error());
  }
  return ObjectInfo{key, object->size, object->modified, object->etag};
}

Result<std::vector<ObjectInfo>> S3Store::list(const std::string& prefix, const std::string& after,
                                              int limit) {
  const std::string below = root_.key.empty() ? "" : root_.key + "/";
  ListOptions options;
  options.prefix = below + prefix;
  if (!after.empty()) options.start_after = below + after;
  std::vector<ObjectInfo> found;
  do {
    options.limit = std::min(static_cast<int>(kPage), limit - static_cast<int>(found.size()));
    BUOY_TRY(ListPage page, client_->list(root_.bucket, options, control()));
    for (Object& object : page.objects) {
      std::string key = object.key.substr(below.size());
      // Of others who use the bucket; such keys are no objects of this store.
      if (!validateKey(key)) continue;
      found.push_back({std::move(key), object.size, object.modified, std::move(object.etag)});
    }
    options.token = std::move(page.next);
  } while (!options.token.empty() && static_cast<int>(found.size()) < limit);
  return found;
}

Status S3Store::remove(const std::string& key) {
  BUOY_TRY(const Location location, at(key));
  return client_->remove(location, control());
}

Status S3Store::removeMany(const std::vector<std::string>& keys, std::stop_token stop) {
  for (std::size_t done = 0; done < keys.size(); done += kPage) {
    std::vector<std::string> page;
    for (std::size_t i = done; i < std::min(keys.size(), done + kPage); ++i) {
      BUOY_TRY(Location location, at(keys[i]));
      page.push_back(std::move(location.key));
    }
    BUOY_TRY_VOID(client_->removeMany(root_.bucket, page, control(stop)));
  }
  return {};
}

}  // namespace buoy::objstore::s3
