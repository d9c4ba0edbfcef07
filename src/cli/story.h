#pragma once

#include "cli/connection.h"
#include "cli/context.h"
#include "cli/render/summary.h"

namespace buoy::cli {

// Fetches what belongs to the job: its history and every point of its metrics.
Result<JobStory> fetchStory(Connection& connection, api::JobView job);
// A job's whole history.
Result<std::vector<api::RecordView>> fetchRecords(Connection& connection, JobId job);
// What a run or a `logs -f` ends with, to standard output: the headline, curves, timeline, ledger. Returns
// the job's exit code.
int printEnd(const Context& context, Connection& connection, const api::JobView& job);

}  // namespace buoy::cli
