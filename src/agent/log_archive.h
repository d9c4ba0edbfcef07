#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/log_spool.h"
#include "base/units.h"
#include "objstore/object_store.h"

namespace buoy::agent {

// Puts what the spools of a machine hold into the store while the jobs run, so that it survives the machine
// (docs/formats/log.md). It reads from the spools' files: a store that is away, or slow, costs no memory and
// delays nobody, what is in the store is only older then. One thread of its own. Threads: any.
class LogArchive {
 public:
  struct Options {
    Duration interval = std::chrono::seconds{3};  // from the first byte that is not in the store to its put
    // A piece with at least so many bytes is not put again; what follows goes into the next one.
    std::uint64_t piece = 256 * 1024;
    std::uint64_t largest_piece = 4u << 20;  // what one put takes: bounds the memory
    Duration retry_min = std::chrono::seconds{1};
    Duration retry_max = std::chrono::seconds{10};
  };
  using StreamId = std::uint64_t;

  // The store must outlive it. `on_drained`: drained() may have become true; called on its thread.
  LogArchive(
      objstore::ObjectStore& store, Options options, std::function<void()> on_drained = [] {});
  ~LogArchive();  // cuts the put that is under way
  LogArchive(const LogArchive&) = delete;
  LogArchive& operator=(const LogArchive&) = delete;

  // Begins with what `spool` holds as `prefix`/00000001`suffix` and so on, or goes on behind the pieces that
  // are there already.
  StreamId begin(std::shared_ptr<const LogSpool> spool, std::string prefix, std::string suffix);
  // The spool holds `size` bytes for good.
  void grew(StreamId stream, std::uint64_t size);
  // Nothing more comes: the rest is put now, and the stream forgotten.
  void end(StreamId stream);
  // Everything that was ended is in the store.
  bool drained() const;

 private:
  struct Stream {
    StreamId id = 0;
    std::shared_ptr<const LogSpool> spool;
    std::string prefix, suffix;
    bool resumed = false;          // what an earlier agent has put is known
    std::uint64_t began_with = 0;  // bytes in the spool
    std::uint64_t size = 0;        // bytes in the spool
    std::uint64_t number = 1;      // of the piece that is being filled
    std::uint64_t begin = 0;       // its offset
    std::uint64_t stored = 0;      // everything before this offset is in the store
    bool ended = false;
    std::chrono::steady_clock::time_point due{};  // when what is not stored is to be put
  };

  void run(const std::stop_token& stop);
  Stream* nextDue(std::chrono::steady_clock::time_point& wake_at);
  Status put(Stream& stream, std::uint64_t size, const std::stop_token& stop);
  Status resume(Stream& stream);

  objstore::ObjectStore& store_;
  const Options options_;
  const std::function<void()> on_drained_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  // Guarded by mutex_: the list, and size, ended and due of each. The rest belongs to the thread, which alone
  // removes streams.
  std::list<Stream> streams_;
  StreamId last_id_ = 0;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace buoy::agent
