// buoy mb: make a bucket.
#include <memory>
#include <string>

#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/transfer/args.h"
#include "objstore/s3/client.h"

namespace buoy::cli {
namespace {

struct MbFlags {
  std::string place;
  StoreFlags store;
};

int runMb(const Context& context, const MbFlags& flags) {
  const auto place = objstore::s3::parseLocation(flags.place);
  if (!place) return context.fail(place.error());
  if (!place->key.empty())
    return context.fail({ErrorCode::invalid_argument, flags.place + " has a key: write s3://bucket", false});
  auto client = openStore(flags.store);
  if (!client) return context.fail(client.error());
  if (const Status made = (*client)->createBucket(place->bucket, {}); !made)
    return context.fail(made.error());
  context.print("made s3://" + place->bucket + "\n");
  return 0;
}

}  // namespace

void addMb(Command& root) {
  auto flags = std::make_shared<MbFlags>();
  Command& command = root.add("mb", "Make a bucket in S3");
  command.argument("PLACE", flags->place, "s3://bucket");
  addStoreOptions(command, flags->store);
  command.action = [flags](Context& context) { return runMb(context, *flags); };
}

}  // namespace buoy::cli
