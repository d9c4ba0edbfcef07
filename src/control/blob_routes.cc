#include "api/views.h"
#include "base/strings.h"
#include "control/answers.h"
#include "control/services.h"

namespace buoy::control {
namespace {

constexpr std::size_t kMaxHashes = 100'000;

void missing(Services& services, const Call& call) {
  auto hashes = api::parseHashes("hashes", call.request.body);
  if (!hashes) return sendError(*call.responder, hashes.error());
  if (hashes->size() > kMaxHashes) {
    return sendError(*call.responder,
                     {ErrorCode::invalid_argument, "hashes: at most 100000 at a time", false});
  }
  std::vector<std::string> absent;
  for (std::string& hash : *hashes) {
    const auto found = services.objects.head(objstore::blobKey(hash));
    if (found) continue;
    if (found.error().code != ErrorCode::not_found) return sendError(*call.responder, found.error());
    absent.push_back(std::move(hash));
  }
  sendJson(*call.responder, 200, api::hashesToJson("missing", absent));
}

void putBlob(Services& services, const Call& call) {
  const std::string& hash = call.captured[0];
  if (objstore::sha256Hex(call.request.body) != hash) {
    return sendError(*call.responder,
                     {ErrorCode::invalid_argument,
                      "the content's SHA-256 is not the one in the path; nothing was kept", false});
  }
  const Status stored = services.objects.putIfAbsent(objstore::blobKey(hash), call.request.body);
  if (!stored && stored.error().code != ErrorCode::already_exists) {
    const bool full = stored.error().code == ErrorCode::resource_exhausted;
    return sendError(*call.responder,
                     full ? Error{ErrorCode::unavailable, "storage is full: " + stored.error().message, true}
                          : stored.error());
  }
  call.responder->send({.status = 204, .body = {}});
}

void onWorkers(Services& services, Call call, std::uint64_t key, void (*work)(Services&, const Call&)) {
  const auto responder = call.responder;
  const bool taken =
      services.io.post(key, [&services, call = std::move(call), work] { work(services, call); });
  if (!taken)
    sendError(*responder, {ErrorCode::unavailable, "too many transfers are waiting; try again", true});
}

}  // namespace

void addBlobRoutes(Router& router, Services& services) {
  router.add("POST", "/v1/blobs/missing",
             [&](Call call) { onWorkers(services, std::move(call), 0, missing); });
  router.add("PUT", "/v1/blobs/{}", [&](Call call) {
    const std::string& hash = call.captured[0];
    if (!api::isSha256(hash)) {
      return sendError(*call.responder,
                       {ErrorCode::invalid_argument,
                        "'" + hash + "' is not a SHA-256 of 64 lower-case hexadecimal digits", false});
    }
    const std::uint64_t key = std::hash<std::string>{}(hash);
    onWorkers(services, std::move(call), key, putBlob);
  });
}

}  // namespace buoy::control
