#include "cli/transfer/session.h"

#include <filesystem>

#include "base/strings.h"
#include "cli/transfer/mover.h"
#include "objstore/transfer/local_walk.h"
#include "objstore/transfer/s3_listing.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

using objstore::Direction;
using objstore::LocalWalk;
using objstore::S3Listing;
using objstore::Skipped;
using objstore::SyncStep;
using objstore::TreeEntry;
using objstore::TreeStream;

class NoFiles final : public TreeStream {
 public:
  Result<bool> next(TreeEntry&) override { return false; }
};

class TreeCopy {
 public:
  TreeCopy(Session& session, const Route& route, const objstore::SyncRules& rules)
      : session_(session),
        route_(route),
        rules_(rules),
        filters_(session.flags.filters),
        mover_(route_, session.client, session.options, session.report, session.stop.get_token(),
               session.flags.dry_run) {
    filters_.setRoots(route.source.root, route.destination.root);
  }

  Status run(bool compare) {
    BUOY_TRY(const auto source, open(route_.source, true));
    std::unique_ptr<TreeStream> destination;
    if (compare) {
      BUOY_TRY(destination, open(route_.destination, false));
    } else if (route_.direction == Direction::upload && !session_.flags.dry_run) {
      BUOY_TRY_VOID(probe());
    }
    if (route_.destination.kind == Place::Kind::local && !session_.flags.dry_run)
      BUOY_TRY_VOID(os::makeDirectories(route_.destination.path("")));
    const Status planned = carryOut(*source, destination.get());
    session_.report.plannedAll();
    mover_.wait();
    return planned;
  }

 private:
  Result<std::unique_ptr<TreeStream>> open(const Place& place, bool is_source) {
    std::unique_ptr<TreeStream> stream;
    std::error_code error;
    if (place.kind == Place::Kind::s3) {
      stream =
          std::make_unique<S3Listing>(session_.client, place.bucket, place.base, session_.stop.get_token());
    } else if (!is_source && !std::filesystem::exists(place.path(""), error)) {
      return std::make_unique<NoFiles>();
    } else {
      BUOY_TRY(LocalWalk walk,
               LocalWalk::open(place.path(""), {.follow_links = session_.flags.follow_links,
                                                .on_skip = [this, is_source](const Skipped& skipped) {
                                                  leaveOut(skipped, is_source);
                                                }}));
      stream = std::make_unique<LocalWalk>(std::move(walk));
    }
    return std::make_unique<FilteredStream>(std::move(stream), place, filters_, false);
  }

  // Many files would each wait in vain for a server that is not there, and each say so.
  Status probe() {
    const auto page =
        session_.client->list(route_.destination.bucket, {.prefix = route_.destination.base, .limit = 1},
                              {session_.stop.get_token(), {}});
    // Whoever may write need not be allowed to list.
    if (!page && page.error().code != ErrorCode::permission_denied) return fail(page.error());
    return {};
  }

  void leaveOut(const Skipped& skipped, bool is_source) {
    const Place& place = is_source ? route_.source : route_.destination;
    const bool unreadable = skipped.why == Skipped::Why::unreadable;
    const std::string path = place.whole(skipped.path);
    if (unreadable ? filters_.excludesAllBelow(path) : !filters_.admits(path)) return;
    const bool failure = is_source && (skipped.why == Skipped::Why::not_utf8 || unreadable);
    // What cannot be seen may be there: it must not look as if it had been removed.
    if (is_source && unreadable) incomplete_ = true;
    if (!is_source && !unreadable) return;
    session_.report.leftOut(place.path(skipped.path) + ": " + skipped.message, failure);
  }

  Status carryOut(TreeStream& source, TreeStream* destination) {
    objstore::SyncPlan plan(rules_, source, destination);
    while (!session_.stop.stop_requested()) {
      BUOY_TRY(SyncStep step, plan.next());
      switch (step.kind) {
        case SyncStep::Kind::end:
          return {};
        case SyncStep::Kind::remove:
          remove(step.entry);
          break;
        case SyncStep::Kind::same:
          if (wanted(step.entry)) session_.report.same();
          break;
        case SyncStep::Kind::transfer:
          if (wanted(step.entry)) mover_.transfer(std::move(step.entry));
          break;
      }
    }
    return fail(ErrorCode::cancelled, "cancelled");
  }

  // False if it is not to be copied; the reason has been said if it is a failure.
  bool wanted(const TreeEntry& entry) {
    const Place& from = route_.source;
    const Place& to = route_.destination;
    // A copy into a part of its own source would go on for ever.
    if (route_.direction == Direction::copy && from.bucket == to.bucket &&
        to.base.size() > from.base.size() && from.path(entry.path).starts_with(to.base))
      return false;
    if (route_.direction != Direction::download) return true;
    Status usable = objstore::checkFilePath(entry.path);
    if (usable) usable = nesting_.add(entry.path);
    if (usable) return true;
    session_.report.done({.action = Outcome::Action::download,
                          .source = from.name(entry.path),
                          .destination = "",
                          .bytes = entry.size,
                          .status = std::move(usable)});
    return false;
  }

  void remove(const TreeEntry& entry) {
    if (!incomplete_) return mover_.remove(entry.path);
    if (std::exchange(said_incomplete_, true)) return;
    session_.report.leftOut("nothing more is deleted, as not all of the source can be read", false);
  }

  Session& session_;
  const Route& route_;
  const objstore::SyncRules& rules_;
  objstore::Filters filters_;
  objstore::KeyNesting nesting_;
  bool incomplete_ = false, said_incomplete_ = false;
  Mover mover_;
};

}  // namespace

Result<bool> FilteredStream::next(TreeEntry& entry) {
  while (true) {
    BUOY_TRY(const bool more, stream_->next(entry));
    if (!more) return false;
    const bool marker = entry.size == 0 && (entry.path.empty() || entry.path.ends_with('/'));
    if (marker && !markers_) continue;
    if (filters_.empty() || filters_.admits(place_.whole(entry.path))) return true;
  }
}

ReportOptions reportOptions(const TransferFlags& flags) {
  return {.quiet = flags.quiet || flags.only_errors,
          .json = flags.json,
          .progress = !flags.no_progress,
          .summary = true,
          .dry_run = flags.dry_run,
          .alone = false};
}

int runSession(const Context& context, const TransferFlags& flags, const ReportOptions& options,
               const std::function<Status(Session&)>& body) {
  auto transfer_options = transferOptions(flags);
  if (!transfer_options) return context.fail(transfer_options.error());
  auto interrupts = os::InterruptWatch::create();
  if (!interrupts) return context.fail(interrupts.error());
  auto client = openStore(flags.store);
  if (!client) return context.fail(client.error());
  std::stop_source stop;
  Report report(context, options, *interrupts, stop);
  Session session{flags, std::move(*client), std::move(*transfer_options), report, stop};
  const Status status = body(session);
  return report.finish(status);
}

Status copyTree(Session& session, const Route& route, const objstore::SyncRules& rules, bool compare) {
  return TreeCopy(session, route, rules).run(compare);
}

}  // namespace buoy::cli
