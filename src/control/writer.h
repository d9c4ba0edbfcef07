#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "engine/engine.h"
#include "store/store.h"

namespace buoy::control {

// What somebody wants the engine to know, and what must become durable with it.
struct Submission {
  std::vector<engine::Event> events;  // stepped in order; the first refusal is the answer
  // With SubmitJob only: the specification and the id that makes a repeat harmless.
  std::string spec;
  std::string request_id;
  // Kept only if no event was refused.
  std::vector<store::MetricPoint> metrics;
  std::vector<store::AgentRecord> agent_records;
  std::vector<store::Resource> resources;
  // Called once, on the writer's thread, after everything is durable (or with the error); must not block. May
  // be null.
  std::function<void(const Result<engine::Reply>& reply, const engine::State& state)> done;
};

// The one thread that owns the engine's state. It takes what is waiting, steps the engine, commits once for
// all of it, and only then lets anything be seen: actions first, then answers. See ARCHITECTURE.md.
//
// When the store cannot commit (its disk is full), the state in memory is ahead of the disk. Nothing of it
// has been seen by anyone, and the same commit is tried until it works; meanwhile clients get `unavailable`.
class Writer {
 public:
  class Effects {
   public:
    virtual ~Effects() = default;
    // `batch` is durable. Called on the writer's thread: must not block.
    virtual void carryOut(const engine::State& state, const store::Batch& batch,
                          const std::vector<engine::Action>& actions) = 0;
  };
  struct Options {
    engine::Settings settings;
    const engine::PlacementPolicy* policy = nullptr;
    const Clock* clock = nullptr;
    std::size_t queue_limit = 8192;  // submissions of clients that may wait
    Duration refuse_after =
        std::chrono::seconds{5};  // how long a client waits for a store that cannot commit
  };

  Writer(store::Store& store, engine::State state, Effects& effects, Options options);
  ~Writer() { stop(); }

  // Starts the thread; the first thing it does is to say again everything that the state still intends.
  void start();
  // For clients. resource_exhausted: too many wait. unavailable: stopping, or the store cannot commit.
  Status offer(Submission submission);
  // For what must not be lost (providers): always taken, until stop.
  void post(Submission submission);
  // Runs `look` on the writer's thread between two batches; it must not block.
  void look(std::function<void(const engine::State&)> look);
  // The clock was moved by hand (tests).
  void wake();
  // Waits for the batch in progress; what waits is answered `unavailable`. Idempotent.
  void stop();

 private:
  struct Entry {
    Submission submission;
    std::function<void(const engine::State&)> look;
    bool refusable = false;
    std::chrono::steady_clock::time_point arrived;
    Result<engine::Reply> result = engine::Reply{};
  };

  void run();
  void waitForWork();
  std::vector<Entry> take();
  void process(std::vector<Entry>& entries);
  void apply(Entry& entry, store::Batch& batch);
  // What has become of the dependencies that the engine has forgotten. invalid_argument: there is no such
  // job.
  Status settleDependencies(engine::Event& event);
  // The job that this request made before, in the store or in this batch.
  Result<std::optional<engine::Reply>> repeated(const Submission& submission, const store::Batch& batch);
  void finish(std::vector<Entry>& entries, const store::Batch& batch);
  bool makeDurable(std::vector<Entry>& entries, const store::Batch& batch);
  void refuseWaiting(std::vector<Entry>& entries, const Error& error);
  void answer(Entry& entry);
  void push(Entry entry);

  store::Store& store_;
  engine::State state_;
  Effects& effects_;
  const Options options_;
  engine::Outcome outcome_;
  std::unordered_map<std::string, JobId> requests_in_batch_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  bool stopped_ = false;
  bool woken_ = false;
  std::atomic<bool> storage_failing_ = false;
  std::jthread thread_;
};

}  // namespace buoy::control
