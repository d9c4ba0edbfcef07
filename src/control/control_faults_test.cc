#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <optional>

#include "control/control_harness.h"

// A control plane whose disk is full, and one that is killed at every point around its writes.
namespace buoy::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A limit on file sizes stands in for a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { free(); }
  void free() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ControlTest, AFullDiskIsSaidAndNothingIsLostWhenThereIsRoomAgain) {
  plane_.submit("before");
  net::Response refused;
  {
    FullDisk disk(4096);
    refused = plane_.trySubmit("meanwhile", "r1");
    EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 1u) << "reads go on";
  }
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("storage is full"));
  // The same request again: one job, whether the first one took effect or not.
  net::Response accepted;
  const auto deadline = std::chrono::steady_clock::now() + kTestLimit;
  do {
    accepted = plane_.trySubmit("meanwhile", "r1");
  } while (accepted.status == 503 && std::chrono::steady_clock::now() < deadline);
  EXPECT_EQ(accepted.status, 201) << accepted.body;
  EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 2u);
  plane_.restart();
  EXPECT_EQ(plane_.get("/v1/jobs")["jobs"].size(), 2u);
}

// The whole life of a job, written so that it can be continued by another process at any point.
void liveALife(const std::string& directory) {
  Harness plane(directory);
  plane.start();
  const std::string job = plane.submit("life", "once");
  if (plane.get("/v1/jobs/" + job)["phase"] != "succeeded") {
    FakeAgent agent(plane.cloud_.waitForMachine());
    agent.runToTheEnd({"one", "two", "three"}, 0);
  }
  const json view = plane.finished(job);
  EXPECT_EQ(view["phase"], "succeeded");
  EXPECT_EQ(view["attempts"], 1);
  EXPECT_EQ(plane.get("/v1/jobs")["jobs"].size(), 1u);
  EXPECT_THAT(plane.log(job), ElementsAre("one", "two", "three"));
  plane.cloud_.waitForEnd(MachineId{1});
  EXPECT_EQ(plane.cloud_.launches(MachineId{1}), 1);
  EXPECT_EQ(plane.cloud_.launches(MachineId{2}), 0);
  int told = 0;
  for (const json& record : plane.stream("/v1/jobs/" + job + "/events"))
    told += record["kind"] == "agent" ? 1 : 0;
  EXPECT_EQ(told, 1);
  const json metrics = plane.get("/v1/jobs/" + job + "/metrics")["metrics"];
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_EQ(metrics[0]["points"].size(), 1u);
}

class CrashTest : public testing::TestWithParam<std::tuple<const char*, int>> {};

// The killed process is this program again (a "threadsafe" death test), told by its environment where and
// when to die.
TEST_P(CrashTest, NothingIsLostAndNothingRunsTwice) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr const char* kDirectory = "BUOY_CONTROL_TEST_DIRECTORY";
  std::optional<os::TempDir> own;
  if (std::getenv(kDirectory) == nullptr) {
    own.emplace(*os::TempDir::create("buoy-crash-"));
    ::setenv(kDirectory, own->path().c_str(), 1);
  }
  const std::string directory = std::getenv(kDirectory);
  const auto& [point, passing] = GetParam();
  ::setenv("BUOY_CRASH_AT", (std::string(point) + ":" + std::to_string(passing)).c_str(), 1);
  EXPECT_EXIT(liveALife(directory), testing::KilledBySignal(SIGKILL), "");
  ::unsetenv("BUOY_CRASH_AT");
  ::unsetenv(kDirectory);
  liveALife(directory);
}

INSTANTIATE_TEST_SUITE_P(Points, CrashTest,
                         testing::Combine(testing::Values("store.before_commit", "store.after_commit",
                                                          "control.before_actions", "control.after_actions",
                                                          "control.before_reply"),
                                          testing::Values(1, 3, 4, 5, 6, 7)));

}  // namespace
}  // namespace buoy::control
