#include "agent/log_archive.h"

#include <algorithm>
#include <cstdio>
#include <random>

#include "base/strings.h"
#include "objstore/list_pages.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

SteadyTime now() {
  return std::chrono::steady_clock::now();
}

std::string pieceName(std::uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 8) digits.insert(0, 8 - digits.size(), '0');
  return digits;
}

}  // namespace

LogArchive::LogArchive(objstore::ObjectStore& store, Options options, std::function<void()> on_drained)
    : store_(store),
      options_(options),
      on_drained_(std::move(on_drained)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

LogArchive::~LogArchive() {
  thread_.request_stop();
  thread_.join();
}

LogArchive::StreamId LogArchive::begin(std::shared_ptr<const LogSpool> spool, std::string prefix,
                                       std::string suffix) {
  const std::lock_guard guard(mutex_);
  Stream& stream = streams_.emplace_back();
  stream.id = ++last_id_;
  stream.size = stream.began_with = spool->size();
  stream.resumed = stream.size == 0;
  stream.due = now() + options_.interval;
  stream.spool = std::move(spool);
  stream.prefix = std::move(prefix);
  stream.suffix = std::move(suffix);
  wake_.notify_one();
  return stream.id;
}

void LogArchive::grew(StreamId id, std::uint64_t size) {
  const std::lock_guard guard(mutex_);
  for (Stream& stream : streams_) {
    if (stream.id != id || size <= stream.size) continue;
    const bool waits = stream.stored < stream.size;
    stream.size = size;
    if (waits) return;
    stream.due = now() + options_.interval;
    wake_.notify_one();
  }
}

void LogArchive::end(StreamId id) {
  const std::lock_guard guard(mutex_);
  for (Stream& stream : streams_) {
    if (stream.id != id) continue;
    stream.ended = true;
    stream.due = std::min(stream.due, now());
    wake_.notify_one();
  }
}

bool LogArchive::drained() const {
  const std::lock_guard guard(mutex_);
  return std::none_of(streams_.begin(), streams_.end(),
                      [](const Stream& stream) { return stream.ended && stream.stored != stream.size; });
}

// The stream to work on now; null: none before `wake_at`. Under the lock.
LogArchive::Stream* LogArchive::nextDue(SteadyTime& wake_at) {
  std::erase_if(streams_, [](const Stream& stream) { return stream.ended && stream.stored == stream.size; });
  Stream* next = nullptr;
  for (Stream& stream : streams_) {
    if (stream.stored == stream.size) continue;
    if (next == nullptr || stream.due < next->due) next = &stream;
  }
  wake_at = next == nullptr ? now() + std::chrono::hours{1} : next->due;
  return next != nullptr && next->due <= now() ? next : nullptr;
}

void LogArchive::run(const std::stop_token& stop) {
  Duration pause = options_.retry_min;
  std::minstd_rand random{std::random_device{}()};
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    SteadyTime wake_at;
    Stream* stream = nextDue(wake_at);
    if (stream == nullptr) {
      (void)wake_.wait_until(lock, stop, wake_at, [&] {
        SteadyTime changed;
        return nextDue(changed) != nullptr || changed < wake_at;
      });
      continue;
    }
    const std::uint64_t size = stream->size;
    lock.unlock();
    const Status done = put(*stream, size, stop);
    if (drained()) on_drained_();
    lock.lock();
    if (done) {
      pause = options_.retry_min;
      // More than one piece: the next at once.
      stream->due = stream->stored < size || stream->ended ? now() : now() + options_.interval;
      continue;
    }
    os::log(os::LogLevel::warn, "log_archive_late",
            {{"prefix", stream->prefix}, {"bytes", size - stream->stored}, {"error", done.error().message}});
    std::uniform_real_distribution<double> jitter(0.5, 1.0);
    stream->due = now() + std::chrono::duration_cast<Duration>(pause * jitter(random));
    pause = std::min(pause * 2, options_.retry_max);
  }
}

Status LogArchive::put(Stream& stream, std::uint64_t size, const std::stop_token& stop) {
  if (!stream.resumed) BUOY_TRY_VOID(resume(stream));
  if (stream.stored >= size) return {};
  const std::uint64_t most = std::min(size - stream.begin, options_.largest_piece);
  BUOY_TRY(const std::string content, stream.spool->read(stream.begin, most));
  if (content.size() < most)
    return fail(ErrorCode::data_loss, "the machine's copy of the log has become shorter");
  const std::string key = strCat({stream.prefix, "/", pieceName(stream.number), stream.suffix});
  BUOY_TRY_VOID(store_.putPieces(key, {net::BodyPiece{std::string_view(content)}}, stop));
  const std::lock_guard guard(mutex_);
  stream.stored = stream.begin + content.size();
  if (content.size() >= options_.piece) {
    ++stream.number;
    stream.begin = stream.stored;
  }
  return {};
}

// An agent that was started again has the spool of the one before, of which a beginning is in the store.
Status LogArchive::resume(Stream& stream) {
  std::uint64_t number = 0, begin = 0, stored = 0;
  BUOY_TRY_VOID(objstore::listPages(store_, stream.prefix + "/", [&](const auto& page) -> Status {
    for (const objstore::ObjectInfo& object : page) {
      ++number;
      begin = stored;
      stored += object.size;
    }
    return {};
  }));
  const std::lock_guard guard(mutex_);
  stream.resumed = true;
  if (number == 0) return {};
  if (stored >
      stream.began_with) {  // the file is an older copy: what is stored stays, and what comes follows it
    stream.number = number + 1;
    stream.begin = stream.stored = stream.began_with;
    return {};
  }
  const bool full = stored - begin >= options_.piece;
  stream.number = full ? number + 1 : number;
  stream.begin = full ? stored : begin;
  stream.stored = stored;
  return {};
}

}  // namespace buoy::agent
