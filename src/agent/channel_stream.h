#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/channel_source.h"
#include "base/result.h"
#include "os/fd.h"

namespace buoy::agent {

// An input that the job reads as it comes: FIFOs <path>_0, <path>_1 …, each of which gives the content of all
// files one after the other to whoever opens it. A thread waits for the job to open the next one and writes
// as fast as the job reads. It ends with this object, whether the job ever reads or not, and whatever it does
// with the FIFO.
class ChannelStream {
 public:
  // The rest cannot be read. The job must be ended: it waits for data, as an early end would look like less
  // data.
  using OnTrouble = std::function<void(Error)>;

  // <path>_0 is there when it returns. `on_trouble` is called on the stream's thread.
  static Result<std::unique_ptr<ChannelStream>> serve(std::string path, std::unique_ptr<ChannelSource> source,
                                                      std::vector<ChannelFile> files, OnTrouble on_trouble);
  ~ChannelStream();
  ChannelStream(const ChannelStream&) = delete;
  ChannelStream& operator=(const ChannelStream&) = delete;

 private:
  ChannelStream(std::string path, std::unique_ptr<ChannelSource> source, std::vector<ChannelFile> files,
                OnTrouble on_trouble);
  std::string fifo(std::uint64_t epoch) const;
  Status make(std::uint64_t epoch) const;
  void run(const std::stop_token& stop);
  os::Fd awaitReader(std::uint64_t epoch, const std::stop_token& stop);
  void writeAll(int fd, const std::stop_token& stop);
  void fail(Error error, const std::stop_token& stop) const;
  Status write(int fd, std::string_view piece, const std::stop_token& stop) const;

  const std::string path_;
  const std::unique_ptr<ChannelSource> source_;
  const std::vector<ChannelFile> files_;
  const OnTrouble on_trouble_;
  os::Fd wake_;          // readable when it ends
  std::jthread thread_;  // last: it uses the others
};

}  // namespace buoy::agent
