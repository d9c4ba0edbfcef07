#include "cli/story.h"

#include "cli/exit_codes.h"
#include "cli/job_feed.h"

namespace buoy::cli {

Result<std::vector<api::RecordView>> fetchRecords(Connection& connection, JobId job) {
  std::vector<api::RecordView> records;
  const FeedSource source =
      eventSource(job, [&records](api::RecordView record) { records.push_back(std::move(record)); });
  BUOY_TRY(const std::string body, connection.get(source.target("", false)));
  std::size_t begin = 0;
  for (std::size_t end; (end = body.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (end > begin) BUOY_TRY_VOID(source.deliver(std::string_view(body).substr(begin, end - begin)));
  }
  return records;
}

Result<JobStory> fetchStory(Connection& connection, api::JobView job) {
  JobStory story;
  story.looked = wallClock();
  BUOY_TRY(story.records, fetchRecords(connection, job.id));
  BUOY_TRY(const std::string metrics, connection.get("/v1/jobs/" + job.id.toString() + "/metrics"));
  BUOY_TRY(story.metrics, api::parseMetrics(metrics));
  story.job = std::move(job);
  return story;
}

int printEnd(const Context& context, Connection& connection, const api::JobView& job) {
  auto story = fetchStory(connection, job);
  context.print("\n" + renderHeadline(context.out, job, wallClock()));
  if (!story) return context.fail(story.error().wrap("the job's history"));
  context.print(renderStory(context.out, *story));
  return exitCodeOf(job.phase, job.exit_code);
}

}  // namespace buoy::cli
