// buoy cp: copy to, from and within S3.
#include <filesystem>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/transfer/mover.h"
#include "cli/transfer/session.h"

namespace buoy::cli {
namespace {

struct CpFlags : TransferFlags {
  std::string source, destination;
  bool recursive = false;
};

// What a listing would have told of one file or object.
Result<objstore::TreeEntry> describe(Session& session, const Route& route) {
  objstore::TreeEntry entry;
  entry.path = route.file;
  if (route.source.kind == Place::Kind::local) {
    std::error_code error;
    const auto size = std::filesystem::file_size(route.source.only, error);
    // What is no regular file says so when it is opened.
    if (!error) entry.size = size;
    return entry;
  }
  // Standard input has no size, and standard output needs none.
  if (route.source.kind == Place::Kind::standard || route.destination.kind == Place::Kind::standard)
    return entry;
  BUOY_TRY(const objstore::s3::Object object,
           session.client->head(route.source.location(route.file), {session.stop.get_token(), {}}));
  entry.size = object.size;
  entry.modified = object.modified;
  entry.etag = object.etag;
  return entry;
}

Status copyOne(Session& session, const Route& route) {
  objstore::Filters filters = session.flags.filters;
  filters.setRoots(route.source.root, route.destination.root);
  if (!filters.empty() && !filters.admits(route.source.whole(route.file))) return {};
  BUOY_TRY(objstore::TreeEntry entry, describe(session, route));
  Mover mover(route, session.client, session.options, session.report, session.stop.get_token(),
              session.flags.dry_run);
  mover.transfer(std::move(entry));
  session.report.plannedAll();
  mover.wait();
  return {};
}

int runCp(const Context& context, const CpFlags& flags) {
  const auto route = parseRoute(flags.source, flags.destination, flags.recursive);
  if (!route) return context.fail(route.error());
  ReportOptions options = reportOptions(flags);
  if (!flags.recursive) {
    options.alone = true;
    options.summary = false;
    // The object itself goes to standard output.
    if (route->destination.kind == Place::Kind::standard) {
      options.quiet = true;
      options.json = false;
    }
  }
  return runSession(context, flags, options, [&](Session& session) -> Status {
    if (!flags.recursive) return copyOne(session, *route);
    return copyTree(session, *route, {.direction = route->direction}, false);
  });
}

}  // namespace

void addCp(Command& root) {
  auto flags = std::make_shared<CpFlags>();
  Command& command = root.add("cp", "Copy files to, from and within S3");
  command.argument("FROM", flags->source, "a file, s3://bucket/key, or - for standard input", Hint::file);
  command.argument("TO", flags->destination, "a file or directory, s3://bucket/key, or - for standard output",
                   Hint::file);
  command.flag("--recursive,-r", flags->recursive, "everything below FROM");
  addTransferOptions(command, *flags, "only say what would be copied");
  command.details =
      "  buoy cp model.pt s3://bucket/models/            keeps its name\n"
      "  buoy cp -r s3://bucket/data . --exclude '*' --include '*.csv'\n"
      "  tar c src | buoy cp - s3://bucket/src.tar";
  command.action = [flags](Context& context) { return runCp(context, *flags); };
}

}  // namespace buoy::cli
