#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/units.h"
#include "cli/render/look.h"

namespace buoy::cli {

// The full part of a bar of `width` columns, `share` of it full (clamped to 0…1), in eighths of a column
// where Unicode is allowed.
std::string fullPart(const Look& look, double share, int width);
// The same with its empty part.
std::string bar(const Look& look, double share, int width);
// "uploading  ██████░░░░  61%  12.2 MiB of 20.0 MiB", without newline.
std::string progressLine(const Look& look, std::string_view what, std::uint64_t done, std::uint64_t total);
// The course of the values in `width` columns: "▇▅▃▂▁▁"; values that are not finite are skipped. Empty
// without Unicode.
std::string sparkline(const Look& look, std::span<const double> values, int width);

}  // namespace buoy::cli
