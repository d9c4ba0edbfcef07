#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/job_output.h"
#include "agent/job_process.h"
#include "base/result.h"
#include "os/event_loop.h"
#include "os/fd.h"

namespace buoy::agent {

// A job's command in a container, by way of the init that is its process 1 (container/init/protocol.h). The
// container is there already and waits. Ends with its connection: whatever runs in it then dies. Loop thread
// only.
class ContainerProcess final : public JobProcess {
 public:
  // `connection`: from the init. `memory_limit` is for the explanation: "64 MiB"; empty: none.
  ContainerProcess(os::EventLoop& loop, Callbacks callbacks, os::Fd connection, std::string memory_limit);
  ~ContainerProcess() override;
  ContainerProcess(const ContainerProcess&) = delete;
  ContainerProcess& operator=(const ContainerProcess&) = delete;

  // `environment`: "NAME=value", laid over the container's own. unavailable: the container has ended.
  Status start(const std::vector<std::string>& environment);
  void signal(int number) override;
  bool catches(int number) const override;
  void signalCatchers(int number) override;
  void killAll() override;
  void pauseOutput(bool paused) override { output_.pause(paused); }
  std::string explanation() const override;

 private:
  void tell(const std::string& line);
  void listen();
  void obey(const std::string& line);
  void finish();

  os::EventLoop& loop_;
  const Callbacks callbacks_;
  os::Fd connection_;
  const std::string memory_limit_;
  JobOutput output_;
  std::string rest_;  // of a line that is not whole yet
  std::uint64_t caught_ = 0;
  std::uint64_t killed_for_memory_ = 0;
  int last_code_;
  bool running_ = false;
  bool exited_ = false;
};

// "run SIZE" with the descriptors and the environment, to an init that waits for it.
Status sendRun(int connection, int out, int err, const std::vector<std::string>& environment);

}  // namespace buoy::agent
