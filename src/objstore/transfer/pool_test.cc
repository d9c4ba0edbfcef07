#include "objstore/transfer/pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>

namespace buoy::objstore {
namespace {

TEST(Throttle, WithoutALimitNothingWaits) {
  Throttle throttle;
  throttle.moved(std::uint64_t{1} << 60, {});
}

// At a byte a second this would take days.
TEST(Throttle, StopsWaitingWhenToldTo) {
  Throttle throttle(1);
  std::stop_source stop;
  std::jthread waiting([&] { throttle.moved(1'000'000, stop.get_token()); });
  stop.request_stop();
  waiting.join();
  throttle.moved(1'000'000, stop.get_token());
}

TEST(TransferPool, RunsWhatWasSubmittedBeforeItGoes) {
  std::atomic<int> ran = 0;
  {
    TransferPool pool({.threads = 3});
    for (int i = 0; i < 100; ++i) pool.submit([&] { ++ran; });
  }
  EXPECT_EQ(ran, 100);
}

TEST(TransferPool, RunsAsManyAtOnceAsItIsTold) {
  std::latch all(4);
  std::atomic<int> running = 0, most = 0;
  {
    TransferPool pool({.threads = 4});
    // These end only if four of them run at once.
    for (int i = 0; i < 4; ++i) pool.submit([&] { all.arrive_and_wait(); });
    for (int i = 0; i < 200; ++i) {
      pool.submit([&] {
        const int now = ++running;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        --running;
      });
    }
  }
  EXPECT_LE(most, 4);
}

TEST(TransferPool, ATaskMaySubmitAnyNumberOfOthers) {
  std::atomic<int> ran = 0;
  {
    // With one thread and a full queue nobody else could make room.
    TransferPool pool({.threads = 1});
    std::latch submitted(1);
    pool.submit([&] {
      for (int i = 0; i < 500; ++i) {
        pool.submit([&] {
          pool.submit([&] { ++ran; });
          ++ran;
        });
      }
      submitted.count_down();
    });
    submitted.wait();
  }
  EXPECT_EQ(ran, 1000);
}

TEST(TransferPool, ATaskOfAnotherPoolWaitsLikeEverybody) {
  std::atomic<int> ran = 0;
  {
    TransferPool inner({.threads = 1});
    TransferPool outer({.threads = 2});
    for (int i = 0; i < 10; ++i) {
      outer.submit([&] {
        for (int j = 0; j < 20; ++j) inner.submit([&] { ++ran; });
      });
    }
  }
  EXPECT_EQ(ran, 200);
}

TEST(TransferPool, SubmittingWaitsForRoom) {
  std::latch release(1);
  std::atomic<int> submitted = 0, ran = 0;
  TransferPool pool({.threads = 1});
  pool.submit([&] { release.wait(); });
  std::jthread submitter([&] {
    for (int i = 0; i < 50; ++i) {
      pool.submit([&] { ++ran; });
      ++submitted;
    }
  });
  // It cannot be through: the only thread waits.
  EXPECT_LT(submitted, 10);
  release.count_down();
  submitter.join();
  EXPECT_EQ(submitted, 50);
}

TEST(TransferPool, IsNiceInItsOwnThreads) {
  std::atomic<int> nice = 0;
  const auto own = [] { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid))); };
  const int before = own();
  {
    TransferPool pool({.threads = 1, .nice = 19});
    pool.submit([&] { nice = own(); });
  }
  EXPECT_EQ(nice, 19);
  EXPECT_EQ(own(), before);
}

TEST(TaskGroup, WaitsForItsOwnTasksOnly) {
  std::latch release(1);
  std::atomic<int> ran = 0;
  TransferPool pool({.threads = 2});
  pool.submit([&] { release.wait(); });
  TaskGroup group(pool);
  EXPECT_TRUE(group.wait()) << "nothing to wait for";
  for (int i = 0; i < 20; ++i) {
    group.run([&]() -> Status {
      ++ran;
      return {};
    });
  }
  EXPECT_TRUE(group.wait());
  EXPECT_EQ(ran, 20);
  release.count_down();
}

TEST(TaskGroup, TheFirstErrorCancelsWhatHasNotBegun) {
  std::latch release(1);
  std::atomic<int> ran = 0;
  TransferPool pool({.threads = 1});
  pool.submit([&] { release.wait(); });
  TaskGroup group(pool);
  group.run([]() -> Status { return fail(ErrorCode::data_loss, "the first"); });
  for (int i = 0; i < 3; ++i) {
    group.run([&]() -> Status {
      ++ran;
      return fail(ErrorCode::internal, "another");
    });
  }
  release.count_down();
  const Status status = group.wait();
  EXPECT_EQ(status.error().code, ErrorCode::data_loss);
  EXPECT_EQ(status.error().message, "the first");
  EXPECT_EQ(ran, 0);
  EXPECT_TRUE(group.stop().stop_requested());
}

TEST(TaskGroup, CancelWaitsForWhatHasBegun) {
  TransferPool pool({.threads = 1});
  TaskGroup group(pool);
  std::latch begun(1);
  std::atomic<int> ran = 0;
  group.run([&]() -> Status {
    begun.count_down();
    // As a request does that is told to stop.
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    wake.wait(lock, group.stop(), [] { return false; });
    ++ran;
    return {};
  });
  group.run([&]() -> Status {
    ran += 100;
    return {};
  });
  begun.wait();
  EXPECT_EQ(group.cancel().error().code, ErrorCode::cancelled);
  EXPECT_EQ(ran, 1);
}

TEST(TaskGroup, IsCancelledFromOutsideAndWhenItGoes) {
  std::stop_source stop;
  std::latch release(1);
  std::atomic<int> ran = 0;
  TransferPool pool({.threads = 1});
  const auto count = [&]() -> Status {
    ++ran;
    return {};
  };
  {
    TaskGroup group(pool, stop.get_token());
    stop.request_stop();
    group.run(count);
    EXPECT_EQ(group.wait().error().code, ErrorCode::cancelled);
  }
  std::jthread releaser;
  {
    TaskGroup group(pool);
    pool.submit([&] { release.wait(); });
    group.run(count);
    // What waits in the queue ends without having begun, once the group is told to stop.
    releaser = std::jthread([&, token = group.stop()] {
      std::mutex mutex;
      std::condition_variable_any wake;
      std::unique_lock lock(mutex);
      wake.wait(lock, token, [] { return false; });
      release.count_down();
    });
  }
  EXPECT_EQ(ran, 0);
}

TEST(TaskGroup, TasksMayAddTasks) {
  TransferPool pool({.threads = 2});
  std::atomic<int> ran = 0;
  TaskGroup group(pool);
  for (int i = 0; i < 10; ++i) {
    group.run([&]() -> Status {
      for (int j = 0; j < 10; ++j) {
        group.run([&]() -> Status {
          ++ran;
          return {};
        });
      }
      return {};
    });
  }
  EXPECT_TRUE(group.wait());
  EXPECT_EQ(ran, 100);
}

}  // namespace
}  // namespace buoy::objstore
