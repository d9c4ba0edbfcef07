#include "cli/spotty/sync.h"

#include "base/strings.h"
#include "cli/exit_codes.h"
#include "cli/spotty/aws_account.h"
#include "cli/spotty/files.h"
#include "cli/transfer/session.h"

namespace buoy::cli {

int uploadProject(const Context& context, const SpottyChoice& choice, const std::string& copy, bool dry_run,
                  bool quiet) {
  const auto route = parseRoute(choice.root, copy, true);
  if (!route) return failSpotty(context, route.error());
  TransferFlags flags;
  flags.store.region = choice.parameters.region;
  flags.dry_run = dry_run;
  for (const auto& filter : choice.project.filters) {
    for (const std::string& pattern : filter.patterns) flags.filters.add(filter.include, pattern);
  }
  ReportOptions report = reportOptions(flags);
  report.quiet = quiet;
  report.progress = !quiet;
  report.summary = false;
  const objstore::SyncRules rules{.direction = objstore::Direction::upload, .remove_extra = true};
  return runSession(context, flags, report,
                    [&](Session& session) { return copyTree(session, *route, rules, true); });
}

int syncProject(const Context& context, const SpottyChoice& choice, const Reach& reach, bool dry_run,
                bool quiet) {
  const std::string to_instance = "sync to instance " + inQuotes(choice.instance.name);
  if (choice.instance.provider == gateways::spotty::ProviderKind::aws) {
    const auto copy = projectCopyOf(choice);
    if (!copy) return failSpotty(context, copy.error().wrap("sync"));
    const int sent = uploadProject(context, choice, *copy, dry_run, quiet);
    if (sent != 0 || dry_run) return sent;
    const auto fetched = askProgram(reach.workspace("pull", {}, false));
    return fetched ? 0 : failSpotty(context, fetched.error().wrap(to_instance));
  }
  const auto report = sendProject(choice, reach, dry_run, [&](const std::string& path) {
    if (!quiet) context.print(strCat({dry_run ? "(dryrun) " : "", "upload: ", cleaned(path), "\n"}));
  });
  return report ? 0 : failSpotty(context, report.error().wrap(to_instance));
}

}  // namespace buoy::cli
