#include "agent/save_control.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "os/files.h"

namespace buoy::agent {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SaveControlTest : public testing::Test {
 protected:
  SaveControlTest() {
    options_.file = dir_.path() + "/save.json";
    options_.saving.hazard = schedule::usualSpotHazard();
    options_.saving.last.took = seconds{4};
    options_.saving.last.bytes = 1 << 20;
    options_.saving.last.notice = seconds{120};
  }
  void start() {
    control_ =
        std::make_unique<SaveControl>(loop_, clock_, options_,
                                      SaveControl::Callbacks{.saves_at_notice = [this] { return catches_; },
                                                             .on_due = [this] { ++told_; }});
    ASSERT_TRUE(control_->begin());
  }
  // Lets time pass, a second at a time, as the loop would see it.
  void pass(Duration duration) {
    const Time until = clock_.now() + duration;
    while (clock_.now() < until) {
      clock_.advance(std::min<Duration>(seconds{1}, until - clock_.now()));
      loop_.runOnce(Duration{0});
    }
  }
  nlohmann::json file() { return nlohmann::json::parse(*os::readFile(options_.file)); }
  std::uint64_t count() { return file()["save_now"]; }
  double interval() { return file()["interval_seconds"]; }

  const os::TempDir dir_ = *os::TempDir::create("buoy-save-");
  FakeClock clock_{Time{hours{100}}};
  os::EventLoop loop_{clock_};
  SaveControl::Options options_;
  bool catches_ = false;
  int told_ = 0;
  std::unique_ptr<SaveControl> control_;
};

TEST_F(SaveControlTest, TheFileSaysWhenASaveIsDue) {
  start();
  EXPECT_EQ(count(), 0u);
  EXPECT_EQ(file()["reason"], "start");
  EXPECT_EQ(file()["version"], 1);
  const double now = std::chrono::duration<double>(clock_.now().time_since_epoch()).count();
  EXPECT_NEAR(file()["save_by"].get<double>() - now, interval(), 1e-3);
  pass(control_->interval() - seconds{2});
  EXPECT_EQ(count(), 0u);
  pass(seconds{4});
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(file()["reason"], "interval");
  EXPECT_EQ(told_, 1);
}

TEST_F(SaveControlTest, ASaveMovesTheNextOne) {
  start();
  pass(control_->interval() - seconds{2});
  control_->saved(options_.saving.last, clock_.now());
  pass(seconds{10});
  EXPECT_EQ(count(), 0u) << "it was saved just before it was due";
  pass(control_->interval());
  EXPECT_EQ(count(), 1u);
}

TEST_F(SaveControlTest, ARequestIsPassedOnAtOnceAndOnce) {
  options_.requests = 3;
  start();
  control_->requested(3);
  EXPECT_EQ(count(), 0u) << "asked for before this attempt";
  control_->requested(4);
  control_->requested(4);
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(file()["reason"], "request");
  EXPECT_EQ(told_, 1);
}

TEST_F(SaveControlTest, AtARiskASaveIsDueNow) {
  start();
  control_->atRisk();
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(file()["reason"], "risk");
  EXPECT_EQ(told_, 1);
  control_->stopping();
  control_->atRisk();
  EXPECT_EQ(file()["reason"], "stop") << "that is the last";
}

TEST_F(SaveControlTest, AtTheEndItGrowsOnceMoreAndWithoutASignal) {
  start();
  control_->stopping();
  control_->stopping();
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(file()["reason"], "stop");
  EXPECT_EQ(told_, 0) << "the stop has a signal of its own";
  pass(hours{2});
  EXPECT_EQ(count(), 1u);
}

TEST_F(SaveControlTest, OlderMachinesSaveLessOften) {
  start();
  const double young = interval();
  pass(minutes{40});
  const double older = interval();
  EXPECT_GT(older, young * 1.3);
  pass(hours{20});
  EXPECT_GT(interval(), older * 2);
}

TEST_F(SaveControlTest, AJobThatSavesAtTheNoticeSavesLessOften) {
  start();
  const double before = interval();
  EXPECT_FALSE(file()["notice_covers"].get<bool>());
  catches_ = true;
  control_->saved(options_.saving.last, clock_.now());
  EXPECT_TRUE(file()["notice_covers"].get<bool>());
  EXPECT_GT(interval(), before * 4);
  engine::SaveMeasure slow = options_.saving.last;
  slow.took = seconds{200};
  control_->saved(slow, clock_.now());
  EXPECT_FALSE(file()["notice_covers"].get<bool>()) << "it does not fit";
}

TEST_F(SaveControlTest, AFixedIntervalStays) {
  options_.fixed = seconds{30};
  start();
  EXPECT_EQ(interval(), 30);
  EXPECT_FALSE(file()["auto"].get<bool>());
  pass(seconds{31});
  EXPECT_EQ(count(), 1u);
  pass(seconds{30});
  EXPECT_EQ(count(), 2u);
  EXPECT_EQ(interval(), 30);
}

}  // namespace
}  // namespace buoy::agent
