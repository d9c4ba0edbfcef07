#include "cloud/aws/machine_store.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::cloud::aws {
namespace {

constexpr Duration kLongestUrl = std::chrono::hours{6 * 24};  // S3 takes seven days

}  // namespace

Result<MachineStore::Presigned> MachineStore::presign(const std::string& key, const Clock& clock) {
  BUOY_TRY(const buoy::aws::Credentials used, credentials->get());
  const Time now = clock.now();
  Presigned presigned;
  presigned.until = now + kLongestUrl;
  // A URL lives no longer than the keys that signed it.
  if (used.expires) presigned.until = std::min(presigned.until, *used.expires);
  const objstore::s3::Location at{root.bucket, root.key.empty() ? key : strCat({root.key, "/", key})};
  BUOY_TRY(presigned.url, client->presign("GET", at, presigned.until - now));
  return presigned;
}

Result<std::shared_ptr<MachineStore>> openMachineStore(const std::string& uri,
                                                       const buoy::aws::Environment& environment,
                                                       const Clock& clock) {
  if (!uri.starts_with("s3://")) {
    return fail(ErrorCode::invalid_argument,
                strCat({"machines on EC2 cannot reach the store ", uri,
                        ": set `store: s3://bucket/prefix` in the server's configuration"}));
  }
  auto store = std::make_shared<MachineStore>();
  store->uri = uri;
  BUOY_TRY(store->root, objstore::s3::parseLocation(uri));
  while (store->root.key.ends_with('/')) store->root.key.pop_back();
  BUOY_TRY(store->settings, buoy::aws::loadSettings(environment));
  BUOY_TRY(store->credentials, buoy::aws::defaultCredentials(environment, store->settings, clock));
  objstore::s3::ClientOptions options;
  options.settings = store->settings;
  options.credentials = store->credentials;
  options.clock = &clock;
  BUOY_TRY(store->client, objstore::s3::Client::create(std::move(options)));
  BUOY_TRY(store->objects, objstore::openStore(uri, environment, {.clock = &clock}));
  return store;
}

}  // namespace buoy::cloud::aws
