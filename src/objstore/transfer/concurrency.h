#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace buoy::objstore {

// How many transfers at once are worth it: a hill climb over what is moved in each interval. Grows by half
// while that makes it clearly faster, goes back when it does not, and asks again now and then. Threads: any.
class Concurrency {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  Concurrency(int fixed, int most);  // fixed 0: measured

  int limit() const { return limit_.load(std::memory_order_relaxed); }
  void moved(std::uint64_t bytes) { moved_.fetch_add(bytes, std::memory_order_relaxed); }
  // A task began or ended; looks whether an interval is over. True: limit() has changed.
  bool taskBegins(SteadyTime now);
  bool taskEnds(SteadyTime now);
  std::uint64_t ratePerConnection() const { return rate_per_connection_.load(std::memory_order_relaxed); }

 private:
  bool evaluate(SteadyTime now);
  void decide(double rate);

  const int fixed_, most_;
  std::atomic<int> limit_;
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<std::uint64_t> rate_per_connection_{0};

  std::mutex mutex_;  // guards what follows
  SteadyTime interval_began_{};
  std::uint64_t moved_before_ = 0;
  std::uint64_t tasks_ = 0;
  int busy_ = 0;
  bool starved_ = false;  // fewer tasks than the limit in this interval: it says nothing about the limit
  int smaller_ = 0;       // the limit before the last growth
  double rate_before_growth_ = 0;
  bool growing_ = false;
  int intervals_until_probe_ = 0;
};

}  // namespace buoy::objstore
