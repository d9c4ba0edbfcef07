// buoy rm: remove objects from S3.
#include <memory>
#include <utility>
#include <vector>

#include "cli/commands/commands.h"
#include "cli/transfer/mover.h"
#include "cli/transfer/session.h"
#include "objstore/transfer/s3_listing.h"

namespace buoy::cli {
namespace {

struct RmFlags : TransferFlags {
  std::string place;
  bool recursive = false;
};

Outcome removal(const Place& place, std::string_view relative, Status status = {}) {
  return {.action = Outcome::Action::remove,
          .source = place.name(relative),
          .destination = "",
          .bytes = 0,
          .status = std::move(status)};
}

Status removeTree(Session& session, const Place& place, const objstore::Filters& filters) {
  FilteredStream stream(std::make_unique<objstore::S3Listing>(session.client, place.bucket, place.base,
                                                              session.stop.get_token()),
                        place, filters, true);
  objstore::Transfers transfers(session.options, session.stop.get_token());
  std::vector<std::string> keys;
  const auto flush = [&] {
    if (!keys.empty())
      removeObjects(transfers, session.client, place.bucket, std::exchange(keys, {}), session.report);
  };
  objstore::TreeEntry entry;
  while (!session.stop.stop_requested()) {
    BUOY_TRY(const bool more, stream.next(entry));
    if (!more) break;
    if (session.flags.dry_run) {
      session.report.done(removal(place, entry.path));
      continue;
    }
    keys.push_back(place.path(entry.path));
    if (keys.size() == kKeysAtOnce) flush();
  }
  if (!session.stop.stop_requested()) flush();
  transfers.wait();
  return {};
}

Status removeOne(Session& session, const Place& place, const objstore::Filters& filters) {
  const std::string name = place.only.substr(place.only.rfind('/') + 1);
  if (!filters.empty() && !filters.admits(place.whole(name))) return {};
  Status status;
  if (!session.flags.dry_run) {
    status = session.client->remove(place.location(""), {session.stop.get_token(), {}});
  }
  session.report.done(removal(place, "", std::move(status)));
  return {};
}

int runRm(const Context& context, const RmFlags& flags) {
  const auto place = parseRemote(flags.place, flags.recursive);
  if (!place) return context.fail(place.error());
  if (!flags.recursive && place->only.empty())
    return context.fail({ErrorCode::invalid_argument,
                         flags.place + " names no object; --recursive removes everything below it", false});
  objstore::Filters filters = flags.filters;
  filters.setRoots(place->root, place->root);
  ReportOptions options = reportOptions(flags);
  options.alone = !flags.recursive;
  options.summary = flags.recursive;
  return runSession(context, flags, options, [&](Session& session) {
    return flags.recursive ? removeTree(session, *place, filters) : removeOne(session, *place, filters);
  });
}

}  // namespace

void addRm(Command& root) {
  auto flags = std::make_shared<RmFlags>();
  Command& command = root.add("rm", "Remove objects from S3");
  command.argument("PLACE", flags->place, "s3://bucket/key");
  command.flag("--recursive,-r", flags->recursive, "everything below it");
  command.flag("--dry-run,-n", flags->dry_run, "only say what would be removed");
  command.flag("--dryrun", flags->dry_run, "the same");
  addFilterOptions(command, flags->filters);
  addOutputOptions(command, *flags);
  addStoreOptions(command, flags->store);
  command.action = [flags](Context& context) { return runRm(context, *flags); };
}

}  // namespace buoy::cli
