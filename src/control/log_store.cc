#include "control/log_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/parse_number.h"
#include "base/strings.h"
#include "os/files.h"
#include "os/paths.h"

namespace buoy::control {
namespace {

// "<attempt>.<rank>"
std::optional<LogStream> parseStream(std::string_view text) {
  const auto dot = text.find('.');
  LogStream stream;
  if (dot == std::string_view::npos || !parseNumber(text.substr(0, dot), stream.attempt) ||
      !parseNumber(text.substr(dot + 1), stream.rank)) {
    return std::nullopt;
  }
  return stream;
}

std::string toString(LogStream stream) {
  return std::to_string(stream.attempt) + "." + std::to_string(stream.rank);
}

// "<unix microseconds> <o|e|O|E> <text>". A line that is not framed (a damaged file) is shown as it is.
LogLine parseLine(LogStream stream, std::string_view framed) {
  LogLine line;
  line.stream = stream;
  const auto space = framed.find(' ');
  std::int64_t micros = 0;
  if (space == std::string_view::npos || space + 2 >= framed.size() || framed[space + 2] != ' ' ||
      !parseNumber(framed.substr(0, space), micros)) {
    line.text = framed;
    return line;
  }
  const char kind = framed[space + 1];
  line.at = Time{Duration{micros}};
  line.standard_error = kind == 'e' || kind == 'E';
  line.complete = kind == 'o' || kind == 'e';
  line.text = framed.substr(space + 3);
  return line;
}

Result<std::string> readAt(const std::string& path, std::uint64_t offset, std::uint64_t size) {
  BUOY_TRY(const os::Fd fd, os::openFile(path, O_RDONLY));
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t n = ::pread(fd.get(), bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failErrno(errno, "read " + path);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  bytes.resize(have);
  return bytes;
}

std::uint64_t fileSize(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

}  // namespace

Result<LogCursor> LogCursor::parse(std::string_view text) {
  LogCursor cursor;
  if (text.empty()) return cursor;
  for (const std::string_view part : split(text, ';')) {
    const auto equals = part.find('=');
    const auto stream = parseStream(part.substr(0, equals));
    std::uint64_t offset = 0;
    if (equals == std::string_view::npos || !stream || !parseNumber(part.substr(equals + 1), offset)) {
      return fail(ErrorCode::invalid_argument,
                  "'" + std::string(text) + "' is not a log cursor; use the one of a line you got");
    }
    cursor.offsets[*stream] = offset;
  }
  return cursor;
}

std::string LogCursor::toString() const {
  std::string text;
  for (const auto& [stream, offset] : offsets) {
    if (!text.empty()) text += ';';
    text += control::toString(stream) + "=" + std::to_string(offset);
  }
  return text;
}

bool LogCursor::isBefore(LogStream stream) const {
  return !offsets.empty() && stream.attempt < offsets.begin()->first.attempt;
}

void LogCursor::advance(const LogLine& line) {
  offsets[line.stream] = line.end;
  while (offsets.begin()->first.attempt + 2 < line.stream.attempt) offsets.erase(offsets.begin());
}

LogStore::LogStore(std::string directory) : directory_(std::move(directory)) {}

std::string LogStore::path(JobId job, LogStream stream) const {
  return directory_ + "/" + job.toString() + "/" + toString(stream) + ".log";
}

Result<std::uint64_t> LogStore::append(JobId job, LogStream stream, std::uint64_t offset,
                                       std::string_view bytes) {
  const std::string file = path(job, stream);
  std::uint64_t size = 0;
  {
    std::lock_guard guard(append_locks_[(job.value * 31 + stream.rank) % append_locks_.size()]);
    auto fd = os::openFile(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (!fd && fd.error().code == ErrorCode::not_found) {
      BUOY_TRY_VOID(os::makeDirectories(directory_ + "/" + job.toString(), 0700));
      fd = os::openFile(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    if (!fd) return fail(std::move(fd).error());
    struct stat info {};
    if (::fstat(fd->get(), &info) != 0) return failErrno(errno, "look at " + file);
    size = static_cast<std::uint64_t>(info.st_size);
    if (size != offset || bytes.empty()) return size;
    if (auto written = os::writeAll(fd->get(), bytes); !written) {
      // Half a write would shift every later offset: take it back.
      if (::ftruncate(fd->get(), info.st_size) != 0) return failErrno(errno, "shorten " + file);
      return fail(written.error().wrap("append to " + file));
    }
    size += bytes.size();
  }
  watchers_.notify(job);
  return size;
}

Result<std::vector<LogStream>> LogStore::streams(JobId job) const {
  std::vector<LogStream> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory_ + "/" + job.toString(), error), end;
       !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.ends_with(".log")) continue;
    if (const auto stream = parseStream(std::string_view(name).substr(0, name.size() - 4)))
      found.push_back(*stream);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(ErrorCode::internal, "read logs of " + job.toString() + ": " + error.message());
  }
  std::sort(found.begin(), found.end());
  return found;
}

namespace {

// The unread part of one stream, in memory up to a limit.
struct Unread {
  LogStream stream;
  std::uint64_t offset = 0;  // of `bytes`
  std::string bytes;
  std::size_t used = 0;
  bool more = false;  // the file goes on behind `bytes`

  // The next whole line, without being taken.
  std::optional<std::string_view> peek() const {
    const auto newline = bytes.find('\n', used);
    if (newline == std::string::npos) return std::nullopt;
    return std::string_view(bytes).substr(used, newline - used);
  }
  LogLine take(std::string_view framed) {
    LogLine line = parseLine(stream, framed);
    used += framed.size() + 1;
    line.end = offset + used;
    return line;
  }
};

std::int64_t instantOf(std::string_view framed) {
  std::int64_t micros = 0;
  (void)parseNumber(framed.substr(0, framed.find(' ')), micros);
  return micros;
}

// Merges by time, each stream in its own order, until a stream that goes on in its file has no whole line
// left: what comes there may be earlier than what the others still have.
void merge(std::vector<Unread>& streams, std::uint64_t limit_bytes, std::vector<LogLine>& lines) {
  for (std::uint64_t taken = 0; taken < limit_bytes;) {
    Unread* first = nullptr;
    std::string_view first_line;
    for (Unread& stream : streams) {
      const auto line = stream.peek();
      if (!line && stream.more) return;
      if (!line || (first != nullptr && instantOf(first_line) <= instantOf(*line))) continue;
      first = &stream;
      first_line = *line;
    }
    if (first == nullptr) return;
    taken += first_line.size() + 1;
    lines.push_back(first->take(first_line));
  }
}

struct Tail {
  struct Line {
    std::int64_t at;
    std::uint64_t offset;
  };
  std::vector<Line> lines;  // in order
  std::uint64_t end = 0;    // behind the last whole line
};

// The last `wanted` whole lines of a file, read from its end.
Result<Tail> lastLines(const std::string& file, std::size_t wanted) {
  std::uint64_t begin = fileSize(file);
  std::string bytes;  // of the file from `begin`
  std::size_t newlines = 0;
  while (begin > 0 && newlines <= wanted) {
    const std::uint64_t block = std::min<std::uint64_t>(begin, 64u << 10);
    BUOY_TRY(std::string before, readAt(file, begin - block, block));
    newlines += static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
    begin -= block;
    bytes.insert(0, before);
  }
  Tail tail;
  std::size_t at = begin == 0 ? 0 : bytes.find('\n') + 1;
  for (std::size_t newline; (newline = bytes.find('\n', at)) != std::string::npos; at = newline + 1) {
    tail.lines.push_back({instantOf(std::string_view(bytes).substr(at, newline - at)), begin + at});
  }
  tail.end = begin + at;
  if (tail.lines.size() > wanted) {
    tail.lines.erase(tail.lines.begin(), tail.lines.end() - static_cast<std::ptrdiff_t>(wanted));
  }
  return tail;
}

}  // namespace

Result<std::vector<LogLine>> LogStore::read(JobId job, const LogCursor& cursor, std::uint64_t limit_bytes) {
  BUOY_TRY(const std::vector<LogStream> all, streams(job));
  std::vector<LogLine> lines;
  for (std::size_t first = 0; first < all.size() && lines.empty();) {
    std::size_t last = first;
    while (last < all.size() && all[last].attempt == all[first].attempt) ++last;
    // A line has at most 64 KiB of text, so this always reaches its end if it is there.
    const std::uint64_t share = limit_bytes / (last - first) + (128u << 10);
    std::vector<Unread> attempt;
    for (std::size_t i = first; i < last; ++i) {
      if (cursor.isBefore(all[i])) continue;
      const auto known = cursor.offsets.find(all[i]);
      const std::uint64_t offset = known == cursor.offsets.end() ? 0 : known->second;
      const std::uint64_t size = fileSize(path(job, all[i]));
      if (size <= offset) continue;
      BUOY_TRY(std::string bytes, readAt(path(job, all[i]), offset, std::min(size - offset, share)));
      const bool more = offset + bytes.size() < size;
      attempt.push_back({all[i], offset, std::move(bytes), 0, more});
    }
    merge(attempt, limit_bytes, lines);
    first = last;
  }
  return lines;
}

Result<LogCursor> LogStore::tail(JobId job, std::size_t lines) {
  BUOY_TRY(const std::vector<LogStream> all, streams(job));
  LogCursor cursor;
  std::size_t wanted = lines;
  // From the newest attempt backwards, until there are enough; what lies before counts as read.
  for (std::size_t last = all.size(); last > 0 && (wanted > 0 || last == all.size());) {
    std::size_t first = last - 1;
    while (first > 0 && all[first - 1].attempt == all[last - 1].attempt) --first;
    struct Line {
      std::int64_t at;
      std::size_t stream;
      std::uint64_t offset;
    };
    std::vector<Line> candidates;
    for (std::size_t i = first; i < last; ++i) {
      BUOY_TRY(const Tail tail, lastLines(path(job, all[i]), wanted));
      cursor.offsets[all[i]] = tail.end;
      for (const Tail::Line& line : tail.lines) candidates.push_back({line.at, i, line.offset});
    }
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Line& a, const Line& b) { return a.at < b.at; });
    const std::size_t kept = std::min(wanted, candidates.size());
    for (std::size_t n = candidates.size() - kept; n < candidates.size(); ++n) {
      std::uint64_t& offset = cursor.offsets[all[candidates[n].stream]];
      offset = std::min(offset, candidates[n].offset);
    }
    wanted -= kept;
    last = first;
  }
  return cursor;
}

Result<LogStore::Piece> LogStore::readStream(JobId job, LogStream stream, std::optional<std::uint64_t> offset,
                                             bool backward, std::size_t lines) const {
  constexpr std::uint64_t kMost = (1u << 20) + (128u << 10);  // the longest line always fits
  const std::string file = path(job, stream);
  if (!os::exists(file))
    return fail(ErrorCode::not_found, "there is no log " + toString(stream) + " of " + job.toString());
  const std::uint64_t size = fileSize(file);
  const std::uint64_t from = std::min(size, offset.value_or(backward ? size : 0));
  const std::uint64_t first = backward ? from - std::min(from, kMost) : from;
  BUOY_TRY(const std::string bytes,
           readAt(file, first, backward ? from - first : std::min(size - from, kMost)));
  Piece piece{{}, from, from};
  // Reading backwards may begin inside a line.
  std::size_t at = backward && first > 0 ? bytes.find('\n') + 1 : 0;
  for (std::size_t newline; (newline = bytes.find('\n', at)) != std::string::npos; at = newline + 1) {
    if (!backward && piece.lines.size() == lines) break;
    LogLine line = parseLine(stream, std::string_view(bytes).substr(at, newline - at));
    line.end = first + newline + 1;
    piece.lines.push_back(std::move(line));
    if (!backward) piece.end = first + newline + 1;
    if (backward && piece.lines.size() == 1) piece.begin = first + at;
  }
  if (backward && piece.lines.size() > lines) {
    piece.begin = piece.lines[piece.lines.size() - lines - 1].end;
    piece.lines.erase(piece.lines.begin(), piece.lines.end() - static_cast<std::ptrdiff_t>(lines));
  }
  if (backward && !piece.lines.empty()) piece.end = piece.lines.back().end;
  return piece;
}

std::shared_ptr<void> LogStore::watch(JobId job, std::function<void()> callback) {
  return watchers_.watch(job, std::move(callback));
}

}  // namespace buoy::control
