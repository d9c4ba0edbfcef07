#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/synchronized.h"
#include "control/serial_workers.h"
#include "net/http.h"

namespace buoy::control {

// Sends what `produce` makes of a job's logs or records to one client: all there is, and with `follow` what
// comes until the job has ended. It writes no faster than the client reads, and ends with the client.
// Threads: any; `produce` runs on the workers, one call at a time.
class JobStream : public std::enable_shared_from_this<JobStream> {
 public:
  // The next lines, at most about 1 MiB; empty: nothing new yet.
  using Produce = std::function<Result<std::string>()>;

  static std::shared_ptr<JobStream> create(SerialWorkers& workers, JobId job, bool follow, Produce produce,
                                           std::shared_ptr<net::Responder> responder);
  // Handles that must live as long as the stream (what wakes it).
  void keep(std::vector<std::shared_ptr<void>> handles);
  void begin();
  // There may be more to send; `finished`: the job has ended, so that what is there now is the rest.
  void wake(bool finished);

 private:
  struct Live {
    std::shared_ptr<net::Responder> responder;
    std::vector<std::shared_ptr<void>> handles;
  };
  JobStream(SerialWorkers& workers, JobId job, bool follow, Produce produce);
  void schedule();
  void pump();
  void close();

  SerialWorkers& workers_;
  const JobId job_;
  const bool follow_;
  Produce produce_;
  std::atomic<bool> finished_ = false;
  std::atomic<bool> scheduled_ = false;  // a pump is on its way
  std::atomic<bool> blocked_ = false;    // the client has not yet read what was written
  // The responder holds the stream by its callback and the stream the responder: close() cuts the ring.
  Synchronized<Live> live_;
};

}  // namespace buoy::control
