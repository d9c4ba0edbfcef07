#pragma once

#include <memory>
#include <string>

#include "aws/settings.h"
#include "base/clock.h"
#include "objstore/object_store.h"
#include "objstore/s3/client.h"

namespace buoy::cloud::aws {

// The control plane's store as machines elsewhere reach it: a bucket. Threads: any.
struct MachineStore {
  std::string uri;
  std::unique_ptr<objstore::ObjectStore> objects;
  std::shared_ptr<objstore::s3::Client> client;
  objstore::s3::Location root;
  buoy::aws::Settings settings;
  std::shared_ptr<buoy::aws::CredentialsProvider> credentials;

  // A URL with which anybody may read the object, and until when.
  struct Presigned {
    std::string url;
    Time until{};
  };
  Result<Presigned> presign(const std::string& key, const Clock& clock);
};

// invalid_argument: it is no s3:// store. `clock` outlives it.
Result<std::shared_ptr<MachineStore>> openMachineStore(const std::string& uri,
                                                       const buoy::aws::Environment& environment,
                                                       const Clock& clock);

}  // namespace buoy::cloud::aws
