#include "os/command_output.h"

#include <gtest/gtest.h>

#include <chrono>

#include "os/files.h"

namespace buoy::os {
namespace {

constexpr Duration kLongEnough = std::chrono::seconds{30};
const std::vector<std::string> kEnvironment = {"GREETING=hello", "PATH=/nowhere:/usr/bin:/bin"};

TEST(CommandOutput, GivesBothOutputsAndTheExitCode) {
  const auto output =
      runCommand({"sh", "-c", "echo $GREETING; echo lost >&2; exit 3"}, kEnvironment, kLongEnough);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "hello\n");
  EXPECT_EQ(output->err, "lost\n");
  EXPECT_EQ(output->status.toString(), "exit code 3");
}

TEST(CommandOutput, TakesMoreThanAPipeHolds) {
  const auto output = runCommand({"head", "-c", "300000", "/dev/zero"}, kEnvironment, kLongEnough);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out.size(), 300'000u);
}

TEST(CommandOutput, DoesNotWaitForWhatTheProgramLeavesRunning) {
  const auto output = runCommand({"sh", "-c", "echo done; sleep 60 &"}, kEnvironment, kLongEnough);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "done\n");
}

TEST(CommandOutput, KillsWhatRunsTooLongWithItsChildren) {
  auto directory = TempDir::create("buoy-command").value();
  const auto output = runCommand({"sh", "-c", "sleep 60 & echo $! >" + directory.path() + "/pid; wait"},
                                 kEnvironment, std::chrono::milliseconds{300});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::deadline_exceeded);
  const auto pid = readFile(directory.path() + "/pid");
  if (!pid) return;  // killed before it came that far
  const auto left = Pidfd::open(static_cast<pid_t>(std::stoi(*pid)));
  EXPECT_TRUE(!left || left->waitEnded(kLongEnough));
}

TEST(CommandOutput, RefusesTooMuchOutput) {
  const auto output = runCommand({"sh", "-c", "cat /dev/zero"}, kEnvironment, kLongEnough);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::resource_exhausted);
}

TEST(CommandOutput, SaysWhichProgramIsMissing) {
  const auto output = runCommand({"no-such-program"}, kEnvironment, kLongEnough);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::not_found);
  EXPECT_NE(output.error().message.find("no-such-program"), std::string::npos);
}

}  // namespace
}  // namespace buoy::os
