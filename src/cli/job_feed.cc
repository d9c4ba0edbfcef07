#include "cli/job_feed.h"

#include <algorithm>

#include "base/pause.h"
#include "base/strings.h"

namespace buoy::cli {
namespace {

constexpr Duration kSilence =
    std::chrono::seconds{60};  // then asked anew: a dead connection may look like a quiet job
constexpr Duration kShortestWait = std::chrono::milliseconds{50};
constexpr Duration kLongestWait = std::chrono::seconds{1};
constexpr std::size_t kLongestLine = 16u << 20;

// Worth waiting for: the server may be restarting or in trouble that passes.
bool passes(ErrorCode code) {
  switch (code) {
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::resource_exhausted:
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      return true;
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::permission_denied:
    case ErrorCode::unauthenticated:
    case ErrorCode::cancelled:
      return false;
  }
  return false;
}

class FeedReader {
 public:
  FeedReader(Connection& connection, JobId job, const FeedSource& source, const OnReachable& on_reachable,
             std::stop_token stop)
      : connection_(connection),
        job_(job),
        source_(source),
        on_reachable_(on_reachable),
        stop_(std::move(stop)) {}

  Status run() {
    Duration wait = kShortestWait;
    while (!stop_.stop_requested()) {
      const std::uint64_t before = delivered_;
      const Status status = once(true);
      if (failed_) return fail(*failed_);
      if (stop_.stop_requested()) return {};
      if (delivered_ > before) wait = kShortestWait;
      if (!status && !passes(status.error().code)) return status;
      const bool quiet = !status && status.error().code == ErrorCode::deadline_exceeded;
      if (auto job = fetchJob(connection_, job_.toString())) {
        reachable(true);
        if (engine::isTerminal(job->phase)) {
          // What came between the end of the stream and the end of the job.
          if (const Status last = once(false); last || failed_) return failed_ ? fail(*failed_) : Status{};
        }
        if (quiet) continue;
      } else if (!passes(job.error().code)) {
        return stop_.stop_requested() ? Status{} : fail(std::move(job).error());
      } else {
        reachable(false);
      }
      (void)pauseFor(wait, stop_);
      wait = std::min(wait * 2, kLongestWait);
    }
    return {};
  }

 private:
  // One stream; every whole line of it is delivered, and a torn last one is not.
  Status once(bool follow) {
    buffer_.clear();
    return connection_.stream(source_.target(cursor_, follow), kSilence, [this](std::string_view chunk) {
      reachable(true);
      buffer_ += chunk;
      std::size_t begin = 0;
      for (std::size_t end; (end = buffer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
        if (end > begin && !deliver(std::string_view(buffer_).substr(begin, end - begin))) return false;
      }
      buffer_.erase(0, begin);
      return buffer_.size() <= kLongestLine && !stop_.stop_requested();
    });
  }

  bool deliver(std::string_view line) {
    auto cursor = source_.deliver(line);
    if (!cursor) {
      failed_ = std::move(cursor).error();
      return false;
    }
    cursor_ = std::move(*cursor);
    ++delivered_;
    return !stop_.stop_requested();
  }

  void reachable(bool now) {
    if (now == reachable_) return;
    reachable_ = now;
    on_reachable_(now);
  }

  Connection& connection_;
  const JobId job_;
  const FeedSource& source_;
  const OnReachable& on_reachable_;
  std::stop_token stop_;
  std::string cursor_;
  std::string buffer_;
  std::uint64_t delivered_ = 0;
  bool reachable_ = true;
  std::optional<Error> failed_;
};

}  // namespace

Status readFeed(Connection& connection, JobId job, const FeedSource& source, const OnReachable& on_reachable,
                std::stop_token stop) {
  return FeedReader(connection, job, source, on_reachable, std::move(stop)).run();
}

FeedSource logSource(JobId job, std::optional<int> tail, std::function<void(api::LogLineView)> deliver) {
  FeedSource source;
  source.target = [job, tail](const std::string& cursor, bool follow) {
    std::string target = "/v1/jobs/" + job.toString() + "/logs?follow=" + (follow ? "1" : "0");
    // The tail is counted once: after that, the cursor says where to go on.
    if (!cursor.empty()) return target + "&from=" + pathPart(cursor);
    return tail ? target + "&tail=" + std::to_string(*tail) : target;
  };
  source.deliver = [deliver = std::move(deliver)](std::string_view line) -> Result<std::string> {
    BUOY_TRY(api::LogLineView view, api::parseLogLine(line));
    std::string cursor = view.cursor;
    deliver(std::move(view));
    return cursor;
  };
  return source;
}

FeedSource eventSource(JobId job, std::function<void(api::RecordView)> deliver) {
  FeedSource source;
  source.target = [job](const std::string& cursor, bool follow) {
    return "/v1/jobs/" + job.toString() + "/events?follow=" + (follow ? "1" : "0") +
           "&after=" + (cursor.empty() ? "0" : cursor);
  };
  source.deliver = [deliver = std::move(deliver)](std::string_view line) -> Result<std::string> {
    BUOY_TRY(api::RecordView view, api::parseRecord(line));
    std::string cursor = std::to_string(view.seq);
    deliver(std::move(view));
    return cursor;
  };
  return source;
}

Result<api::JobView> fetchJob(Connection& connection, std::string_view word) {
  BUOY_TRY(const std::string body, connection.get("/v1/jobs/" + pathPart(word)));
  return api::parseJob(body);
}

}  // namespace buoy::cli
