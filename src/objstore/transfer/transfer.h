#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "objstore/s3/client.h"
#include "objstore/transfer/pool.h"

namespace buoy::objstore {

// What has been moved so far; read by who draws the progress bar. Threads: any.
struct TransferProgress {
  std::atomic<std::uint64_t> bytes{0};  // on the wire, those of failed tries included
  std::atomic<std::uint64_t> files{0};  // ended well
};

struct TransferOptions {
  PoolOptions pool;
  std::shared_ptr<Throttle> throttle;  // may be shared with others; nullptr: no limit
  std::uint64_t part_size = 0;         // 0: chosen from what is measured
  // Where unfinished multipart uploads are remembered, so that the next run goes on with them; empty:
  // nowhere.
  std::string state_directory;
};

// Moves files between this machine and S3, and objects within S3: many at once, large ones in parallel parts,
// in constant memory. Each call returns when the work is queued (it blocks while much is queued) and `done`
// is called once, on a thread of the pool, when the file is whole at its destination or cannot be. Threads:
// any. Files appear at once and whole: a download is written beside its destination under a name that begins
// with ".buoy-part-", and renamed; an upload is one put or a completed multipart upload.
class Transfers {
 public:
  using Done = std::function<void(const Status&)>;

  explicit Transfers(TransferOptions options, std::stop_token stop = {});
  ~Transfers();  // waits for everything

  // The file is taken as it is when it is opened. One that changes while it is read: unavailable, saying so;
  // a large one is not stored, a small one may be stored as a mixture. "-" is standard input (any length).
  // `stop`: of this one.
  void upload(std::shared_ptr<s3::Client> client, std::string file, s3::Location to, Done done,
              std::stop_token stop = {});
  // Makes the directories that it needs; the file gets the object's modification time. `known`: size, time
  // and ETag as listed. An interrupted download of the same object (same ETag) goes on where it stopped.
  void download(std::shared_ptr<s3::Client> client, std::string bucket, s3::Object known, std::string file,
                Done done);
  // On the server; more than 5 GiB in parts. `known`: size and ETag as listed; if it is another object by
  // now: unavailable.
  void copy(std::shared_ptr<s3::Client> client, std::string bucket, s3::Object known, s3::Location to,
            Done done, std::stop_token stop = {});
  // One request for up to 1,000 keys.
  void remove(std::shared_ptr<s3::Client> client, std::string bucket, std::vector<std::string> keys,
              Done done);

  // Everything that was queued has ended.
  void wait();
  const TransferProgress& progress() const { return progress_; }
  TransferPool& pool() { return pool_; }
  std::stop_token stop() const { return stop_; }

 private:
  friend class Upload;
  friend class Download;
  friend class ServerCopy;

  // Runs `task` on the pool, and counts it as unfinished until `done` has been called.
  void begin(Done done, std::function<void(Done)> task);
  s3::Control control() { return control(stop_); }
  s3::Control control(const std::stop_token& stop);
  // Of parts of a file of `size` bytes: at most 10,000, and about half a second each.
  std::uint64_t partSizeFor(std::uint64_t size) const;

  const TransferOptions options_;
  const std::stop_token stop_;
  TransferProgress progress_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t unfinished_ = 0;
  TransferPool pool_;  // last: its threads use the others
};

}  // namespace buoy::objstore
