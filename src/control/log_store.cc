#include "control/log_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::control {
namespace {

template <class Number>
bool parseNumber(std::string_view text, Number& value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

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

LogStore::LogStore(std::string directory)
    : directory_(std::move(directory)), watchers_(std::make_shared<Synchronized<Watchers>>()) {}

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
  notify(job);
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

Result<std::vector<LogLine>> LogStore::read(JobId job, LogCursor& cursor, std::uint64_t limit_bytes) {
  BUOY_TRY(const std::vector<LogStream> all, streams(job));
  std::vector<LogLine> lines;
  std::uint64_t budget = limit_bytes;
  for (std::size_t first = 0; first < all.size() && budget > 0;) {
    std::size_t last = first;
    while (last < all.size() && all[last].attempt == all[first].attempt) ++last;
    const std::uint64_t share = std::max<std::uint64_t>(budget / (last - first), 1);
    const std::size_t attempt_begin = lines.size();
    for (std::size_t i = first; i < last; ++i) {
      std::uint64_t& offset = cursor.offsets[all[i]];
      const std::string file = path(job, all[i]);
      const std::uint64_t size = fileSize(file);
      if (size <= offset) continue;
      // A line has at most 64 KiB of text, so this always reaches its end if it is there.
      BUOY_TRY(const std::string bytes, readAt(file, offset, std::min(size - offset, share + (128u << 10))));
      std::uint64_t used = 0;
      while (used < share) {
        const auto newline = bytes.find('\n', used);
        if (newline == std::string::npos) break;
        lines.push_back(parseLine(all[i], std::string_view(bytes).substr(used, newline - used)));
        used = newline + 1;
      }
      offset += used;
      budget -= std::min(budget, used);
    }
    std::stable_sort(lines.begin() + static_cast<std::ptrdiff_t>(attempt_begin), lines.end(),
                     [](const LogLine& a, const LogLine& b) { return a.at < b.at; });
    first = last;
  }
  return lines;
}

Result<LogCursor> LogStore::tail(JobId job, std::size_t lines) {
  BUOY_TRY(const std::vector<LogStream> all, streams(job));
  LogCursor cursor;
  std::size_t wanted = lines;
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    const std::string file = path(job, *it);
    std::uint64_t begin = fileSize(file);
    cursor.offsets[*it] = begin;
    // Backwards by blocks until enough newlines were passed; the one at the very end closes the last line.
    std::size_t newlines = 0;
    while (begin > 0 && newlines <= wanted && wanted > 0) {
      const std::uint64_t block = std::min<std::uint64_t>(begin, 64u << 10);
      begin -= block;
      BUOY_TRY(const std::string bytes, readAt(file, begin, block));
      for (std::size_t i = bytes.size(); i-- > 0;) {
        if (bytes[i] != '\n') continue;
        if (++newlines > wanted) {
          cursor.offsets[*it] = begin + i + 1;
          break;
        }
      }
    }
    if (wanted > 0 && newlines <= wanted) {
      cursor.offsets[*it] = 0;
      wanted -= newlines;
    } else {
      wanted = 0;
    }
  }
  return cursor;
}

std::shared_ptr<void> LogStore::watch(JobId job, std::function<void()> callback) {
  const auto kept = std::make_shared<std::function<void()>>(std::move(callback));
  const std::uint64_t id = watchers_->withLock([&](Watchers& watchers) {
    watchers.by_job[job].emplace(watchers.next, kept);
    return watchers.next++;
  });
  return std::shared_ptr<void>(nullptr, [watchers = watchers_, job, id](void*) {
    watchers->withLock([&](Watchers& all) {
      const auto found = all.by_job.find(job);
      if (found == all.by_job.end()) return;
      found->second.erase(id);
      if (found->second.empty()) all.by_job.erase(found);
    });
  });
}

void LogStore::notify(JobId job) {
  std::vector<std::shared_ptr<std::function<void()>>> callbacks;
  watchers_->withLock([&](Watchers& watchers) {
    if (const auto found = watchers.by_job.find(job); found != watchers.by_job.end()) {
      for (const auto& [id, callback] : found->second) callbacks.push_back(callback);
    }
  });
  for (const auto& callback : callbacks) (*callback)();
}

}  // namespace buoy::control
