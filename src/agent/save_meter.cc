#include "agent/save_meter.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::agent {
namespace {

// Less says more of requests and their latency than of the wire.
constexpr std::uint64_t kEnoughToTell = 1u << 20;

}  // namespace

std::optional<std::string> SaveMeter::saved(const objstore::CommitStats& stats, Duration wrote) {
  measure_.bytes = stats.bytes;
  measure_.sent = stats.new_bytes;
  measure_.took = stats.took;
  measure_.wrote = wrote;
  // The larger save tells more; one of half the size is taken for its newer news.
  if (stats.new_bytes >= kEnoughToTell && stats.new_bytes >= most_sent_ / 2) {
    most_sent_ = std::max(most_sent_, stats.new_bytes);
    const double seconds = std::max(std::chrono::duration<double>(stats.took).count(), 1e-3);
    measure_.bytes_per_second = static_cast<std::uint64_t>(static_cast<double>(stats.new_bytes) / seconds);
  }
  const std::uint64_t fits = measure_.fitsInNotice();
  if (warned_ || measure_.notice == Duration{} || measure_.bytes_per_second == 0 || stats.bytes <= fits)
    return std::nullopt;
  warned_ = true;
  return strCat({"a checkpoint of ", formatByteCount({stats.bytes}), " does not fit into the notice of ",
                 formatDuration(measure_.notice), ": at the measured ",
                 formatByteCount({measure_.bytes_per_second}), "/s at most ", formatByteCount({fits}),
                 " can be saved in it, if all of it has changed"});
}

}  // namespace buoy::agent
