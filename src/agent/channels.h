#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/channel_stream.h"
#include "agent/environment.h"
#include "api/job_spec.h"
#include "objstore/object_store.h"

namespace buoy::agent {

struct ChannelOptions {
  MachinePaths paths;
  objstore::ObjectStore* store = nullptr;  // of the jobs; must outlive the channels
  std::string cluster;                     // what the keys of every job begin with, such as "main"
  int rank = 0, machines = 1;              // for sharded inputs
  std::string cache_directory;             // shared by all jobs of this machine
  std::uint64_t cache_limit = 0;           // bytes; zero: a quarter of the file system
  int downloads_at_once = 8;
  // A stream cannot go on, and its reader waits: the job must be ended. On a thread of the stream.
  std::function<void(Error)> on_trouble = [](const Error&) {};
  std::shared_ptr<std::atomic<std::uint64_t>> downloaded;  // bytes, counted up as they come; may be null
};

// A job's inputs on this machine: linked, downloaded, or served as streams as long as this object lives.
class Channels {
 public:
  // Puts every input at inputs/<name>. May be called again after a failure that may pass: what was downloaded
  // is kept. Errors name the input ("inputs.train: …"); not_found, permission_denied and invalid_argument say
  // that it can never work. Blocks; worker thread.
  static Result<std::shared_ptr<Channels>> prepare(const ChannelOptions& options,
                                                   const std::map<std::string, api::InputSpec>& inputs,
                                                   const std::stop_token& stop);

  const std::vector<std::string>& events() const { return events_; }  // for the job's history

 private:
  friend class ChannelBuilder;
  std::vector<std::string> events_;
  std::vector<std::unique_ptr<ChannelStream>> streams_;
};

// Those of `files` that this rank gets: the i-th goes to rank i mod `machines`.
std::vector<ChannelFile> shardOf(std::vector<ChannelFile> files, int rank, int machines);

}  // namespace buoy::agent
