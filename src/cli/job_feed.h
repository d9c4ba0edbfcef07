#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "api/views.h"
#include "cli/connection.h"

// Reading what a job does, line by line, over connections that break and servers that restart.
namespace buoy::cli {

// What a feed reads: its target without the cursor, and how a line is told and moves the cursor.
struct FeedSource {
  // The target for what comes after `cursor` ("" at first), with or without waiting for more.
  std::function<std::string(const std::string& cursor, bool follow)> target;
  // One line without its newline: hands it on and returns the cursor behind it; an Error ends the feed.
  std::function<Result<std::string>(std::string_view line)> deliver;
};

// The server stopped answering, or answers again.
using OnReachable = std::function<void(bool reachable)>;

// Delivers every line once and in order until the job has ended and nothing is left, or `stop` is requested.
// When the server goes away it waits for it as long as it takes. An error only if it is of no use to wait:
// the job is unknown, the token refused. Call from one thread; `connection` is cancelled by the caller to end
// a wait.
Status readFeed(Connection& connection, JobId job, const FeedSource& source, const OnReachable& on_reachable,
                std::stop_token stop);

// Logs ("/v1/jobs/j1/logs") and history ("/v1/jobs/j1/events") as sources. `deliver` gets every parsed line.
FeedSource logSource(JobId job, std::optional<int> tail, std::function<void(api::LogLineView)> deliver);
FeedSource eventSource(JobId job, std::function<void(api::RecordView)> deliver);

// GET /v1/jobs/{id or name}.
Result<api::JobView> fetchJob(Connection& connection, std::string_view word);

}  // namespace buoy::cli
