#include "os/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

#include "os/system_clock.h"

namespace buoy::os {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(EventLoop, RunsTimersInOrderOfTheirDueTimeOnceTheClockSaysSo) {
  FakeClock clock;
  EventLoop loop(clock);
  std::string order;
  loop.after(seconds{2}, [&] { order += 'b'; });
  loop.after(seconds{1}, [&] { order += 'a'; });
  const auto cancelled = loop.after(seconds{1}, [&] { order += 'x'; });
  loop.cancel(cancelled);
  loop.runOnce(Duration{0});
  EXPECT_EQ(order, "");
  clock.advance(seconds{2});
  loop.runOnce(Duration{0});
  EXPECT_EQ(order, "ab");
}

TEST(EventLoop, ATimerMayCancelAnotherAndSetItselfAgain) {
  FakeClock clock;
  EventLoop loop(clock);
  int fired = 0;
  EventLoop::TimerId victim = 0;
  std::function<void()> again = [&] {
    ++fired;
    loop.cancel(victim);
    loop.after(Duration{0}, again);
  };
  loop.after(Duration{0}, again);
  victim = loop.after(milliseconds{1}, [&] { ADD_FAILURE() << "was cancelled"; });
  clock.advance(seconds{1});
  loop.runOnce(Duration{0});
  EXPECT_EQ(fired, 1) << "a timer without delay waits for the next round";
  loop.runOnce(Duration{0});
  EXPECT_EQ(fired, 2);
}

TEST(EventLoop, ReportsReadableDescriptorsUntilUnwatched) {
  FakeClock clock;
  EventLoop loop(clock);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const Fd reader(ends[0]);
  const Fd writer(ends[1]);
  int seen = 0;
  loop.watch(reader.get(), [&] {
    ++seen;
    loop.unwatch(reader.get());
  });
  loop.runOnce(Duration{0});
  EXPECT_EQ(seen, 0);
  ASSERT_EQ(::write(writer.get(), "x", 1), 1);
  loop.runOnce(seconds{5});
  loop.runOnce(Duration{0});
  EXPECT_EQ(seen, 1);
}

TEST(EventLoop, RunsWhatOtherThreadsPostInOrderAndStops) {
  const SystemClock clock;
  EventLoop loop(clock);
  std::string order;
  std::jthread other([&] {
    for (const char c : std::string("abc")) loop.post([&order, c] { order += c; });
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(order, "abc");
}

}  // namespace
}  // namespace buoy::os
