#pragma once

#include <string>
#include <vector>

#include "api/views.h"
#include "cli/render/look.h"

namespace buoy::cli {

// What is known of a job, to be drawn.
struct JobStory {
  api::JobView job;
  std::vector<api::RecordView> records;
  std::vector<api::MetricSeriesView> metrics;
  Time looked{};  // when all that was asked for; zero: what goes on is not drawn
};

// "succeeded in 1m 12s, after 2 reclaims" with the job's id and name.
std::string renderHeadline(const Look& look, const api::JobView& job, Time now);
// Curves, timeline, ledger: each with a heading, what is empty left out.
std::string renderStory(const Look& look, const JobStory& story);
// The colour in which a phase is shown.
Color colorOf(engine::JobPhase phase);

}  // namespace buoy::cli
