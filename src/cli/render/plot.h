#pragma once

#include <string>
#include <vector>

#include "cli/render/look.h"

namespace buoy::cli {

struct PlotPoint {
  double x = 0;     // seconds since the job was submitted
  double y = 0;     // not finite: left out
  int segment = 0;  // a line joins neighbours of the same segment (attempt) only
};

struct Plot {
  std::string title;
  std::vector<PlotPoint> points;  // by x
  std::vector<double> marks;      // instants marked under the axis: reclaims
  std::string mark_name;          // "reclaim"
  int height = 8;                 // rows
};

// The curve with its axes: braille dots where Unicode is allowed, stars elsewhere. Empty without a finite
// point.
std::string renderPlot(const Look& look, const Plot& plot);
// "0.0312", "1.5e-07", "12300": at most five significant digits, no needless zeros.
std::string formatNumber(double value);
// "35 %".
std::string formatPercent(double share);

}  // namespace buoy::cli
