// buoy sync: make a directory or a prefix like another one.
#include <memory>

#include "cli/commands/commands.h"
#include "cli/transfer/session.h"

namespace buoy::cli {
namespace {

struct SyncFlags : TransferFlags {
  std::string source, destination;
  bool remove_extra = false, size_only = false, exact_timestamps = false;
};

int runSync(const Context& context, const SyncFlags& flags) {
  const auto route = parseRoute(flags.source, flags.destination, true);
  if (!route) return context.fail(route.error());
  const objstore::SyncRules rules{.direction = route->direction,
                                  .size_only = flags.size_only,
                                  .exact_timestamps = flags.exact_timestamps,
                                  .remove_extra = flags.remove_extra};
  return runSession(context, flags, reportOptions(flags),
                    [&](Session& session) { return copyTree(session, *route, rules, true); });
}

}  // namespace

void addSync(Command& root) {
  auto flags = std::make_shared<SyncFlags>();
  Command& command = root.add("sync", "Copy what is new or changed to, from and within S3");
  command.argument("FROM", flags->source, "a directory or s3://bucket/prefix", Hint::directory);
  command.argument("TO", flags->destination, "a directory or s3://bucket/prefix", Hint::directory);
  command.flag("--delete", flags->remove_extra, "remove from TO what FROM has not");
  command.flag("--size-only", flags->size_only, "what has the same size is the same");
  command.flag("--exact-timestamps", flags->exact_timestamps,
               "from S3: what has another time is not the same, newer or older");
  addTransferOptions(command, *flags, "only say what would be done");
  command.details =
      "  buoy sync data s3://bucket/data --delete --exclude '*.tmp'\n"
      "  buoy sync s3://bucket/data data\n"
      "A file is copied if its size differs or it is newer than what TO has; from S3, if it is older than "
      "the\n"
      "local file, as `aws s3 sync` does.";
  command.action = [flags](Context& context) { return runSync(context, *flags); };
}

}  // namespace buoy::cli
