#pragma once

#include <functional>
#include <string_view>

#include "os/event_loop.h"
#include "os/fd.h"

namespace buoy::agent {

// A job's stdout and stderr, read as they come. Loop thread only.
class JobOutput {
 public:
  using OnOutput = std::function<void(char stream, std::string_view bytes)>;  // 'o' or 'e'

  JobOutput(os::EventLoop& loop, OnOutput on_output) : loop_(loop), on_output_(std::move(on_output)) {}
  ~JobOutput();
  JobOutput(const JobOutput&) = delete;
  JobOutput& operator=(const JobOutput&) = delete;

  // The readable ends, non-blocking.
  void begin(os::Fd out, os::Fd err);
  // While paused nothing is read.
  void pause(bool paused);
  // Nobody can write any more: takes what is still in the pipes, also if it was paused, and closes them.
  void finish();

 private:
  enum class Got { data, nothing_yet, end };
  os::Fd& fdOf(char stream) { return stream == 'o' ? out_ : err_; }
  void watch();
  void read(char stream);
  Got readOnce(char stream);

  os::EventLoop& loop_;
  OnOutput on_output_;
  os::Fd out_, err_;
  bool paused_ = false;
};

}  // namespace buoy::agent
