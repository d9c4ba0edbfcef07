#include "cli/transfer/mover.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/strings.h"

namespace buoy::cli {
namespace {

using objstore::Direction;
using objstore::TreeEntry;

constexpr std::size_t kLongestKey = 1024;

Outcome::Action actionOf(Direction direction) {
  switch (direction) {
    case Direction::upload:
      return Outcome::Action::upload;
    case Direction::download:
      return Outcome::Action::download;
    case Direction::copy:
      return Outcome::Action::copy;
  }
  return Outcome::Action::copy;
}

// Whether the error says something about the server, so that it would say the same of the next file.
bool concernsAll(const Error& error, Direction direction, const std::string& file) {
  if (error.code == ErrorCode::unauthenticated) return true;
  const bool refused = error.code == ErrorCode::permission_denied || error.code == ErrorCode::not_found;
  return refused && direction == Direction::upload && ::access(file.c_str(), R_OK) == 0;
}

}  // namespace

Mover::Mover(const Route& route, std::shared_ptr<objstore::s3::Client> client,
             objstore::TransferOptions options, Report& report, std::stop_token stop, bool dry_run)
    : route_(route),
      client_(std::move(client)),
      report_(report),
      dry_run_(dry_run),
      transfers_(std::make_shared<objstore::Transfers>(std::move(options), std::move(stop))) {
  report_.watch([transfers = transfers_] { return transfers->progress().bytes.load(); });
}

Mover::~Mover() {
  transfers_->wait();
}

Status Mover::check(const TreeEntry& entry) {
  if (route_.destination.kind == Place::Kind::s3) {
    const std::size_t size = route_.destination.path(entry.path).size();
    if (size > kLongestKey)
      return fail(ErrorCode::invalid_argument,
                  strCat({"the key would have ", std::to_string(size), " bytes, and S3 takes 1,024"}));
  }
  return {};
}

void Mover::transfer(TreeEntry entry) {
  Outcome outcome{.action = actionOf(route_.direction),
                  .source = route_.source.name(entry.path),
                  .destination = route_.destination.name(entry.path),
                  .bytes = entry.size,
                  .status = check(entry)};
  if (!outcome.status || dry_run_) return report_.done(std::move(outcome));
  report_.planned(entry.size);
  begin(std::move(entry), std::move(outcome));
}

void Mover::begin(TreeEntry entry, Outcome outcome) {
  const std::string file = route_.source.kind == Place::Kind::local ? route_.source.path(entry.path) : "-";
  const bool stream =
      route_.source.kind == Place::Kind::standard || route_.destination.kind == Place::Kind::standard;
  auto done = [this, stream, file, outcome = std::move(outcome)](const Status& status) mutable {
    outcome.status = status;
    if (stream) outcome.bytes = transfers_->progress().bytes;
    outcome.fatal = !status && concernsAll(status.error(), route_.direction, file);
    report_.done(std::move(outcome));
  };
  const objstore::s3::Location to = route_.destination.location(entry.path);
  switch (route_.direction) {
    case Direction::upload:
      return transfers_->upload(client_, file, to, std::move(done));
    case Direction::copy:
    case Direction::download:
      break;
  }
  objstore::s3::Object known{.key = route_.source.path(entry.path),
                             .size = entry.size,
                             .modified = entry.modified,
                             .etag = entry.etag};
  if (route_.direction == Direction::copy)
    return transfers_->copy(client_, route_.source.bucket, std::move(known), to, std::move(done));
  const bool standard = route_.destination.kind == Place::Kind::standard;
  transfers_->download(client_, route_.source.bucket, std::move(known),
                       standard ? "-" : route_.destination.path(entry.path), std::move(done));
}

void Mover::remove(const std::string& relative) {
  const Place& place = route_.destination;
  Outcome outcome{.action = Outcome::Action::remove, .source = place.name(relative), .destination = ""};
  if (dry_run_) return report_.done(std::move(outcome));
  if (place.kind == Place::Kind::s3) {
    keys_.push_back(place.path(relative));
    if (keys_.size() == kKeysAtOnce) removeKeys();
    return;
  }
  const std::string file = place.path(relative);
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) outcome.status = failErrno(errno, "remove it");
  report_.done(std::move(outcome));
}

void Mover::removeKeys() {
  if (!keys_.empty())
    removeObjects(*transfers_, client_, route_.destination.bucket, std::exchange(keys_, {}), report_);
}

void Mover::wait() {
  removeKeys();
  transfers_->wait();
}

void removeObjects(objstore::Transfers& transfers, const std::shared_ptr<objstore::s3::Client>& client,
                   const std::string& bucket, std::vector<std::string> keys, Report& report) {
  std::vector<std::string> copy = keys;
  auto done = [client, bucket, keys = std::move(keys), &report,
               stop = transfers.stop()](const Status& status) {
    // One of them may be refused and the others not, which the answer to many tells for some only.
    const bool one_by_one = !status && (status.error().code == ErrorCode::permission_denied ||
                                        status.error().code == ErrorCode::invalid_argument ||
                                        status.error().code == ErrorCode::internal);
    for (const std::string& key : keys) {
      const objstore::s3::Location at{bucket, key};
      Status own = one_by_one ? client->remove(at, {stop, {}}) : status;
      const bool failed = !own;
      report.done({.action = Outcome::Action::remove,
                   .source = at.toString(),
                   .destination = "",
                   .bytes = 0,
                   .status = std::move(own),
                   .fatal = failed});
      if (failed && stop.stop_requested()) return;
    }
  };
  transfers.remove(client, bucket, std::move(copy), std::move(done));
}

}  // namespace buoy::cli
