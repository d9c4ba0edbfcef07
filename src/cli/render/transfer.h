#pragma once

#include <cstdint>
#include <string>

#include "base/units.h"
#include "cli/render/look.h"

// How a running and a finished transfer look.
namespace buoy::cli {

struct TransferState {
  std::uint64_t files_done = 0, files_planned = 0;
  std::uint64_t bytes_done = 0, bytes_planned = 0;
  std::uint64_t compared = 0;   // files that need nothing
  bool planned_all = false;     // more may come otherwise
  double bytes_per_second = 0;  // of late
};
// "12 of 40+ files  ████░░  30%  12.2 MiB of 40.0 MiB  18.1 MiB/s  2s left", without newline.
std::string transferLine(const Look& look, const TransferState& state);

struct TransferTotals {
  std::uint64_t files = 0, bytes = 0;  // moved
  std::uint64_t skipped = 0;           // the same already, or nothing that can be copied
  std::uint64_t deleted = 0, failed = 0;
  Duration took{};
  bool dry_run = false;
};
// "12 files, 12.2 MiB, in 1.2s (10.2 MiB/s), 5,000 skipped, 1 failed", without newline.
std::string transferSummary(const TransferTotals& totals);

}  // namespace buoy::cli
