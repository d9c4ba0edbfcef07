#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/job_spec.h"
#include "base/result.h"
#include "engine/events.h"
#include "store/store.h"

// What a front door may use of the control plane.
namespace buoy::gateways {

// The pools and queues as they were last committed.
struct Places {
  std::vector<engine::Pool> pools;
  std::vector<engine::Queue> queues;

  const engine::Pool* pool(std::string_view name) const;
  const engine::Queue* queue(std::string_view name) const;
};

// One attempt's log of one rank, and a piece of it. Offsets are bytes of the framed log (docs/formats/log.md)
// and stay what they are while it grows.
struct LogPlace {
  JobId job;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
};
struct LogPiece {
  struct Line {
    Time at{};
    std::uint64_t begin = 0;  // offset of the line
    std::string text;
  };
  std::vector<Line> lines;
  std::uint64_t begin = 0, end = 0;  // what was read lies between
};

// What is to become durable, all or nothing: steps of the engine, documents of the door, and with SubmitJob
// the specification.
struct Change {
  std::vector<engine::Event> events;
  std::string spec;
  std::string request_id;  // makes a repeated submit harmless; empty: none
  std::vector<store::Resource> resources;
};
using ChangeDone = std::function<void(const Result<engine::Reply>&)>;

// Threads: any.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Time now() const = 0;
  virtual store::Store& store() = 0;
  virtual std::shared_ptr<const Places> places() = 0;
  // Why a job that keeps `storage` can never run with the pools and queues there are; empty: it can.
  virtual std::vector<api::Problem> admit(const engine::JobRequest& request,
                                          const cloud::Storage& storage) = 0;
  // `done` is called once, when all of it is durable or refused, perhaps before this returns; it must not
  // block.
  virtual void apply(Change change, ChangeDone done) = 0;
  // Runs what may block on a disk. False: too much of it waits, and it was not taken.
  virtual bool background(std::function<void()> work) = 0;

  virtual Result<std::vector<LogPlace>> logs(JobId job) = 0;  // by attempt and rank
  // The lines from `offset` on, or those that end there (`backward`; nullopt: at its end): whole lines, at
  // most `lines` of them and about 1 MiB. not_found: there is no such log.
  virtual Result<LogPiece> readLog(const LogPlace& place, std::optional<std::uint64_t> offset, bool backward,
                                   std::size_t lines) = 0;
};

}  // namespace buoy::gateways
