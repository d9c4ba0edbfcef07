#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "cli/context.h"
#include "cli/transfer/args.h"
#include "cli/transfer/place.h"
#include "cli/transfer/report.h"
#include "objstore/transfer/sync_plan.h"

namespace buoy::cli {

// What a command works with while it moves or removes things.
struct Session {
  const TransferFlags& flags;
  std::shared_ptr<objstore::s3::Client> client;
  objstore::TransferOptions options;
  Report& report;
  std::stop_source& stop;
};

// Opens the store, listens for Ctrl-C, runs `body`, and says how it ended: the exit code.
int runSession(const Context& context, const TransferFlags& flags, const ReportOptions& options,
               const std::function<Status(Session&)>& body);
// From the flags.
ReportOptions reportOptions(const TransferFlags& flags);

// Copies what is below the source, as far as the filters admit it; with `compare` only what differs from what
// is below the destination, which is listed for it.
Status copyTree(Session& session, const Route& route, const objstore::SyncRules& rules, bool compare);

// What is at a place with a tree, as far as the filters admit it, in order of the keys. Folder markers are
// passed over unless wanted.
class FilteredStream final : public objstore::TreeStream {
 public:
  FilteredStream(std::unique_ptr<objstore::TreeStream> stream, const Place& place,
                 const objstore::Filters& filters, bool markers)
      : stream_(std::move(stream)), place_(place), filters_(filters), markers_(markers) {}
  Result<bool> next(objstore::TreeEntry& entry) override;

 private:
  const std::unique_ptr<objstore::TreeStream> stream_;
  const Place& place_;
  const objstore::Filters& filters_;
  const bool markers_;
};

}  // namespace buoy::cli
