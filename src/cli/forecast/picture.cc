#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/strings.h"
#include "cli/context.h"
#include "cli/forecast/report.h"
#include "cli/render/histogram.h"
#include "cli/render/plot.h"

namespace buoy::cli {
namespace {

// Pixels.
constexpr double kWidth = 860, kLeft = 150, kRight = 40, kTop = 112, kLane = 66, kHill = 44, kBottom = 56;
constexpr std::size_t kBins = 80;

// Plain rules: not every program that shows SVG knows variables.
constexpr std::string_view kStyle =
    "<style>\n"
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica "
    "Neue',Arial,sans-serif;font-size:13px;"
    "fill:#1f2933}.title{font-size:19px;font-weight:600}.name{font-weight:600}.soft{fill:#66727f;font-size:"
    "12px}"
    ".end{text-anchor:end}.middle{text-anchor:middle}.paper{fill:#ffffff}.grid{stroke:#dfe4ea}.hill{fill:#"
    "8fa3b8}"
    ".buoy{fill:#e4572e}.best{fill:#2a9d8f}.median{stroke:#1f2933;stroke-width:2}"
    ".tail{stroke:#1f2933;stroke-width:1.5;stroke-dasharray:2 3}"
    ".mark{stroke:#66727f;stroke-width:1.5;stroke-dasharray:5 4}\n"
    "@media (prefers-color-scheme:dark){text{fill:#e6ebf0}.soft{fill:#98a4b0}.paper{fill:#14191f}"
    ".grid{stroke:#2c343d}.hill{fill:#6f8499}.buoy{fill:#ff7a52}.best{fill:#45c4b3}.median,.tail{stroke:#"
    "e6ebf0}"
    ".mark{stroke:#98a4b0}}\n"
    "</style>\n";

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : cleaned(text)) {
    switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string textAt(double x, double y, std::string_view classes, std::string_view text) {
  return strCat({"<text x=\"", number(x), "\" y=\"", number(y), "\" class=\"", classes, "\">", escaped(text),
                 "</text>\n"});
}

std::string lineFrom(double x1, double y1, double x2, double y2, std::string_view classes) {
  return strCat({"<line x1=\"", number(x1), "\" y1=\"", number(y1), "\" x2=\"", number(x2), "\" y2=\"",
                 number(y2), "\" class=\"", classes, "\"/>\n"});
}

struct PictureLane {
  std::string name, says;
  const sim::Distribution* cost;
};

// From USD to pixels, over everything that is drawn.
class Scale {
 public:
  Scale(const std::vector<PictureLane>& lanes, double on_demand) {
    double low = on_demand, high = on_demand;
    for (const PictureLane& lane : lanes) {
      low = std::min(low, lane.cost->least());
      high = std::max(high, lane.cost->most());
    }
    const double room = std::max((high - low) * 0.03, std::max(high, 1e-9) * 0.005);
    bins_ = {.low = std::max(low - room, 0.0), .high = high + room, .count = kBins};
  }
  const Bins& bins() const { return bins_; }
  double x(double value) const {
    return kLeft + (kWidth - kLeft - kRight) * (value - bins_.low) / (bins_.high - bins_.low);
  }
  // Round numbers, about six.
  double step() const {
    const double wanted = (bins_.high - bins_.low) / 6;
    const double power = std::pow(10, std::floor(std::log10(wanted)));
    const double lead = wanted / power;
    return power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
  }

 private:
  Bins bins_;
};

std::vector<PictureLane> pictureLanes(const Forecast& forecast) {
  std::vector<PictureLane> lanes;
  for (const PolicyForecast& each : forecast.policies) {
    std::string says = strCat({"median ", formatUsd(each.outlook.cost.quantile(0.5)), ", 95 % up to ",
                               formatUsd(each.outlook.cost.quantile(0.95)), ", deadline met ",
                               formatPercent(std::floor(each.outlook.met * 100) / 100)});
    lanes.push_back({each.policy, std::move(says), &each.outlook.cost});
  }
  if (forecast.optimum) {
    std::string says =
        strCat({"median ", formatUsd(forecast.optimum->quantile(0.5)), ": the least there is"});
    lanes.push_back({std::string(kOmniscient), std::move(says), &*forecast.optimum});
  }
  return lanes;
}

std::string hill(const PictureLane& lane, const Scale& scale, double base) {
  const auto counts = scale.bins().counts(lane.cost->values());
  const auto most = static_cast<double>(*std::max_element(counts.begin(), counts.end()));
  const double width = (kWidth - kLeft - kRight) / static_cast<double>(kBins);
  const std::string_view color = lane.name == "buoy" ? "buoy" : lane.name == kOmniscient ? "best" : "hill";
  std::string text;
  for (std::size_t bin = 0; bin < counts.size(); ++bin) {
    if (counts[bin] == 0) continue;
    const double height = std::max(kHill * static_cast<double>(counts[bin]) / most, 1.5);
    text += strCat({"<rect x=\"", number(kLeft + width * static_cast<double>(bin) + 0.5), "\" y=\"",
                    number(base - height), "\" width=\"", number(width - 1), "\" height=\"", number(height),
                    "\" rx=\"1\" class=\"", color, "\"/>\n"});
  }
  return text;
}

std::string laneAt(const PictureLane& lane, const Scale& scale, double top) {
  const double base = top + kLane - 12;
  std::string text = strCat({"<g><title>", escaped(lane.name), ": ", escaped(lane.says), "</title>\n"});
  text += lineFrom(kLeft, base, kWidth - kRight, base, "grid");
  text += hill(lane, scale, base);
  const double median = scale.x(lane.cost->quantile(0.5)), tail = scale.x(lane.cost->quantile(0.95));
  text += lineFrom(median, base - kHill - 4, median, base, "median");
  text += lineFrom(tail, base - kHill / 2, tail, base, "tail");
  text += textAt(kLeft - 14, base - 14, "name end", lane.name);
  text += textAt(kLeft - 14, base + 2, "soft end", formatUsd(lane.cost->quantile(0.5)));
  return text + "</g>\n";
}

// What is the same for all lanes: a line from top to bottom with its name above.
std::string markAt(const Scale& scale, double value, std::string_view name, double bottom) {
  const double x = scale.x(value);
  const bool left = x > kWidth - 200;
  return lineFrom(x, kTop - 14, x, bottom, "mark") + textAt(x + (left ? 4 : -4), kTop - 20,
                                                            left ? "soft end" : "soft",
                                                            strCat({name, " ", formatUsd(value)}));
}

std::string axis(const Scale& scale, double bottom) {
  std::string text;
  const double step = scale.step();
  for (double value = std::ceil(scale.bins().low / step) * step; value <= scale.bins().high; value += step) {
    text += lineFrom(scale.x(value), kTop, scale.x(value), bottom, "grid");
    text += textAt(scale.x(value), bottom + 18, "soft middle", formatUsd(value));
  }
  return text + textAt((kLeft + kWidth - kRight) / 2, bottom + 40, "soft middle",
                       "what the job costs; solid: the median, dotted: 95 of 100 starts cost no more");
}

}  // namespace

std::string toSvg(const ForecastReport& report) {
  const std::vector<PictureLane> lanes = pictureLanes(report.forecast);
  const Scale scale(lanes, report.forecast.on_demand);
  const double bottom = kTop + kLane * static_cast<double>(lanes.size()), height = bottom + kBottom;
  const std::string title = titleOf(report);
  std::string text = strCat({"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", number(kWidth), " ",
                             number(height), "\" width=\"", number(kWidth), "\" height=\"", number(height),
                             "\" role=\"img\" aria-label=\"", escaped(title), "\">\n", kStyle,
                             "<rect width=\"100%\" height=\"100%\" rx=\"10\" class=\"paper\"/>\n"});
  text += textAt(24, 36, "title", title);
  text += textAt(24, 58, "soft",
                 strCat({counted(report.forecast.starts, "start"), ", market ",
                         fit({.unicode = true}, cleaned(report.market), 110)}));
  text += axis(scale, bottom);
  text += markAt(scale, report.forecast.on_demand, "on-demand", bottom);
  if (report.forecast.optimum)
    text += markAt(scale, report.forecast.optimum->mean(), "optimum, mean", bottom);
  for (std::size_t i = 0; i < lanes.size(); ++i)
    text += laneAt(lanes[i], scale, kTop + kLane * static_cast<double>(i));
  return text + "</svg>\n";
}

}  // namespace buoy::cli
