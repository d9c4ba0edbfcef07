#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "control/job_watchers.h"

namespace buoy::control {

// One attempt's log of one rank.
struct LogStream {
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
  auto operator<=>(const LogStream&) const = default;
};

struct LogLine {
  LogStream stream;
  Time at{};
  bool standard_error = false;
  bool complete = true;  // false: the piece had no newline at its end
  std::string text;
  std::uint64_t end = 0;  // offset in the stream behind this line
};

// How far somebody has read, over all streams of a job. As text "1.0=500;2.0=100": attempt.rank=bytes.
// Streams of attempts before the first one named count as read, those that are not named otherwise as not
// begun: so the text stays short however often a job moved.
class LogCursor {
 public:
  static Result<LogCursor> parse(std::string_view text);
  std::string toString() const;
  // Moves behind `line`. Attempts more than two before it are forgotten as read: only the last two can still
  // grow.
  void advance(const LogLine& line);
  bool isBefore(LogStream stream) const;  // the whole stream counts as read
  std::map<LogStream, std::uint64_t> offsets;
};

// The logs of all jobs, as framed by the agents (docs/formats/log.md): <directory>/j42/<attempt>.<rank>.log.
// A file's size is what has been acknowledged, so that an append that is repeated after a lost answer, a
// reconnect or a restart neither loses nor doubles a byte. Threads: any.
class LogStore {
 public:
  explicit LogStore(std::string directory);

  // Appends `bytes` if the stream's size is `offset`. Returns the size after it; when `offset` was not the
  // size nothing is written and the present size is returned. resource_exhausted: the disk is full, nothing
  // of it is kept.
  Result<std::uint64_t> append(JobId job, LogStream stream, std::uint64_t offset, std::string_view bytes);

  // The next lines after `cursor`: whole lines only, attempts in order, the ranks of an attempt merged by
  // time but each in its own order; at most about `limit_bytes`. Empty: nothing new yet. The caller advances
  // the cursor line by line.
  Result<std::vector<LogLine>> read(JobId job, const LogCursor& cursor, std::uint64_t limit_bytes);

  // A cursor before the last `lines` lines of the job (over all streams), found from the ends of the files.
  Result<LogCursor> tail(JobId job, std::size_t lines);

  // The streams that there are, by attempt and rank.
  Result<std::vector<LogStream>> streams(JobId job) const;
  // Whole lines of one stream from `offset` on, or those that end at it (`backward`; nullopt: at the stream's
  // end): at most `lines` of them and about 1 MiB. What was read lies between `begin` and `end`. not_found.
  struct Piece {
    std::vector<LogLine> lines;
    std::uint64_t begin = 0, end = 0;
  };
  Result<Piece> readStream(JobId job, LogStream stream, std::optional<std::uint64_t> offset, bool backward,
                           std::size_t lines) const;

  // Calls `callback` after every append to this job's logs, until the returned handle is destroyed. The
  // callback runs on the appending thread and must not block or call back into the store.
  std::shared_ptr<void> watch(JobId job, std::function<void()> callback);

 private:
  std::string path(JobId job, LogStream stream) const;

  std::string directory_;
  // One lock a stream would let appends of different machines overlap; appends are short, so a few stripes
  // do.
  std::array<std::mutex, 16> append_locks_;
  JobWatchers<> watchers_;
};

}  // namespace buoy::control
