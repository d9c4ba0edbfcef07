#include "base/pause.h"

#include <gtest/gtest.h>

#include <thread>

namespace buoy {
namespace {

TEST(PauseFor, TellsWhetherItWasStopped) {
  std::stop_source stop;
  EXPECT_TRUE(pauseFor(Duration{1}, stop.get_token()));
  bool went_on = true;
  std::jthread waiting([&] { went_on = pauseFor(std::chrono::hours{1}, stop.get_token()); });
  stop.request_stop();
  waiting.join();
  EXPECT_FALSE(went_on);
  EXPECT_FALSE(pauseFor(std::chrono::hours{1}, stop.get_token())) << "before it begins, too";
}

}  // namespace
}  // namespace buoy
