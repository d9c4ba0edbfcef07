#include "cli/render/transfer.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/render/progress.h"

namespace buoy::cli {
namespace {

// "12,345 files".
std::string count(std::uint64_t number, std::string_view one = {}, std::string_view many = {}) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  if (one.empty()) return digits;
  return strCat({digits, " ", number == 1 ? one : many});
}

std::string rate(double bytes_per_second) {
  return formatByteCount(ByteCount{static_cast<std::uint64_t>(bytes_per_second)}) + "/s";
}

}  // namespace

std::string transferLine(const Look& look, const TransferState& state) {
  const std::string_view more = state.planned_all ? "" : "+";
  if (state.files_planned == 0) return count(state.compared) + " files compared";
  const std::string what =
      strCat({count(state.files_done), " of ", count(state.files_planned), more, " files"});
  std::string tail;
  if (state.bytes_per_second >= 1) {
    tail = "  " + rate(state.bytes_per_second);
    const std::uint64_t left =
        state.bytes_planned > state.bytes_done ? state.bytes_planned - state.bytes_done : 0;
    const double seconds = static_cast<double>(left) / state.bytes_per_second;
    if (state.planned_all && left > 0 && seconds < 1e6) {
      const auto rounded = std::chrono::seconds{static_cast<std::int64_t>(seconds) + 1};
      tail += "  " + formatDuration(rounded) + " left";
    }
  }
  Look narrower = look;
  narrower.width = std::max((look.width > 0 ? look.width : 80) - displayWidth(tail) - 1, 20);
  return progressLine(narrower, what, std::min(state.bytes_done, state.bytes_planned), state.bytes_planned) +
         tail;
}

std::string transferSummary(const TransferTotals& totals) {
  std::string text;
  const auto add = [&text](std::string part) { text += (text.empty() ? "" : ", ") + part; };
  if (totals.files > 0) {
    add(count(totals.files, "file", "files"));
    add(formatByteCount(ByteCount{totals.bytes}));
    if (!totals.dry_run) {
      const double seconds = std::chrono::duration<double>(totals.took).count();
      const std::string speed =
          seconds > 0 ? " (" + rate(static_cast<double>(totals.bytes) / seconds) + ")" : "";
      add("in " + formatDuration(totals.took) + speed);
    }
  }
  if (totals.deleted > 0) add(count(totals.deleted) + " deleted");
  if (totals.skipped > 0) add(count(totals.skipped) + " skipped");
  if (totals.failed > 0) add(count(totals.failed) + " failed");
  if (text.empty()) return "nothing to do";
  if (totals.files + totals.deleted + totals.failed == 0) return "nothing to do: " + text;
  return (totals.dry_run ? "(dryrun) " : "") + text;
}

}  // namespace buoy::cli
