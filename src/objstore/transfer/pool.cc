#include "objstore/transfer/pool.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/pause.h"

namespace buoy::objstore {
namespace {

constexpr std::size_t kWaitingPerThread = 4;
// A throttled transfer sleeps in steps, so that it can be stopped.
constexpr auto kShortestSleep = std::chrono::milliseconds{5};

thread_local const TransferPool* current_pool = nullptr;

}  // namespace

void Throttle::moved(std::uint64_t bytes, const std::stop_token& stop) {
  if (rate_ == 0) return;
  using Clock = std::chrono::steady_clock;
  const auto cost = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_)));
  Clock::time_point until;
  {
    const std::lock_guard lock(mutex_);
    free_at_ = std::max(free_at_, Clock::now()) + cost;
    until = free_at_;
  }
  if (until - Clock::now() < kShortestSleep) return;
  (void)pauseFor(std::chrono::ceil<Duration>(until - Clock::now()), stop);
}

TransferPool::TransferPool(PoolOptions options)
    : options_(options), nice_(options.nice), concurrency_(options.threads, options.max_threads) {}

TransferPool::~TransferPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  for (std::jthread& thread : threads_) thread.request_stop();
  wake_.notify_all();
}

void TransferPool::ensureThread() {
  if (closing_ || idle_ > 0 || static_cast<int>(threads_.size()) >= concurrency_.limit()) return;
  const int index = static_cast<int>(threads_.size());
  threads_.emplace_back([this, index](const std::stop_token& stop) { work(index, stop); });
}

void TransferPool::submit(Task task) {
  std::unique_lock lock(mutex_);
  // A task of this pool that waited here for others would take the thread that they need.
  if (current_pool != this) {
    room_.wait(lock, [this] {
      return tasks_.size() < kWaitingPerThread * static_cast<std::size_t>(std::max(1, concurrency_.limit()));
    });
  }
  tasks_.push_back(std::move(task));
  ensureThread();
  // A thread beyond the limit would take the one notice and go back to sleep.
  const bool some_may_not = static_cast<int>(threads_.size()) > concurrency_.limit();
  lock.unlock();
  some_may_not ? wake_.notify_all() : wake_.notify_one();
}

void TransferPool::work(int index, const std::stop_token& stop) {
  current_pool = this;
  int own_nice = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    const auto may_work = [&] { return !tasks_.empty() && index < concurrency_.limit(); };
    wake_.wait(lock, stop, may_work);
    --idle_;
    // At the end, what is left is done by whoever is there.
    if (tasks_.empty()) {
      if (stop.stop_requested()) return;
      continue;
    }
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    ensureThread();
    lock.unlock();
    room_.notify_one();
    if (const int nice = nice_.load(std::memory_order_relaxed); nice != own_nice) {
      // Linux: of this thread alone.
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), nice);
      own_nice = nice;
    }
    concurrency_.taskBegins(std::chrono::steady_clock::now());
    task();
    task = nullptr;
    const bool changed = concurrency_.taskEnds(std::chrono::steady_clock::now());
    if (changed) wake_.notify_all();
    lock.lock();
    if (changed && !tasks_.empty()) ensureThread();
  }
}

TaskGroup::TaskGroup(TransferPool& pool, std::stop_token stop)
    : pool_(pool), outer_(std::move(stop), [this] { stop_.request_stop(); }) {}

TaskGroup::~TaskGroup() {
  (void)cancel();
}

Status TaskGroup::cancel() {
  stop_.request_stop();
  return wait();
}

void TaskGroup::run(std::function<Status()> task) {
  {
    const std::lock_guard lock(mutex_);
    ++running_;
  }
  pool_.submit([this, task = std::move(task)]() mutable {
    Status status = stop_.stop_requested() ? fail(ErrorCode::cancelled, "stopped") : task();
    task = nullptr;
    const std::lock_guard lock(mutex_);
    if (!status && first_error_) {
      first_error_ = std::move(status);
      stop_.request_stop();
    }
    if (--running_ == 0) done_.notify_all();
  });
}

Status TaskGroup::wait() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
  return first_error_;
}

}  // namespace buoy::objstore
