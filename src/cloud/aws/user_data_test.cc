#include "cloud/aws/user_data.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/strings.h"
#include "objstore/sha256.h"
#include "os/files.h"

namespace buoy::cloud::aws {
namespace {

// Runs the script as a machine without systemd would, with everything in a directory, and an agent that is a
// script.
class Machine {
 public:
  explicit Machine(const std::string& agent) {
    EXPECT_TRUE(os::writeFileAtomic(path("agent"), agent));
    data_.agent_url = "file://" + path("agent");
    data_.agent_sha256 = objstore::sha256Hex(agent);
    data_.boot_config = R"({"store": "s3://b/p"})";
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string read(const std::string& name) const { return os::readFile(path(name)).value_or(""); }

  // Until the machine has ended itself.
  void boot(const std::string& given = {}) {
    const std::string script = userDataScript(data_).value();
    EXPECT_TRUE(os::writeFileAtomic(path("user-data"), script, 0700));
    const std::string command = strCat(
        {given, " BUOY_ROOT=", path("root"), " BUOY_END='touch ", path("ended"), "' sh ", path("user-data"),
         "; i=0; while [ ! -e ", path("ended"), " ] && [ $i -lt 500 ]; do sleep 0.02; i=$((i+1)); done"});
    EXPECT_EQ(std::system(command.c_str()), 0);
  }

  UserData data_;

 private:
  const os::TempDir directory_ = *os::TempDir::create("buoy-user-data-");
};

TEST(UserDataScript, FetchesTheAgentAndStartsItWithItsConfiguration) {
  Machine machine("#!/bin/sh\necho \"$@\" region=$AWS_REGION >started\ncat boot.json >>started\n");
  machine.data_.environment = {{"AWS_REGION", "it's"}};
  machine.boot("unset AWS_REGION;");
  EXPECT_EQ(machine.read("root/started"), "boot --config boot.json region=it's\n{\"store\": \"s3://b/p\"}\n")
      << machine.read("root/boot.log") << machine.read("root/agent.log");
  struct stat info {};
  ASSERT_EQ(::stat(machine.path("root/boot.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0077u, 0u);
}

TEST(UserDataScript, KeepsItsDirectoryToItselfAndJobsFilesToTheirOwnModes) {
  Machine machine("#!/bin/sh\necho x >started\n");
  ASSERT_TRUE(os::makeDirectories(machine.path("root"), 0755));
  machine.boot();
  struct stat root {
  }, made{};
  ASSERT_EQ(::stat(machine.path("root").c_str(), &root), 0);
  ASSERT_EQ(::stat(machine.path("root/started").c_str(), &made), 0);
  EXPECT_EQ(root.st_mode & 0777u, 0700u);
  EXPECT_EQ(made.st_mode & 0777u, 0644u);
}

TEST(UserDataScript, LeavesWhatTheMachineHasInItsOwnEnvironment) {
  Machine machine("#!/bin/sh\necho $AWS_REGION >started\n");
  machine.data_.environment = {{"AWS_REGION", "given"}};
  machine.boot("AWS_REGION=own");
  EXPECT_EQ(machine.read("root/started"), "own\n");
}

TEST(UserDataScript, StartsACrashedAgentAgainButNotOneThatHasEnded) {
  Machine machine("#!/bin/sh\necho x >>starts\n[ $(wc -l <starts) -ge 2 ] && exit 3\nkill -SEGV $$\n");
  machine.boot();
  EXPECT_EQ(machine.read("root/starts"), "x\nx\n");
}

TEST(UserDataScript, RunsTheUsersCommandsFirst) {
  Machine machine("#!/bin/sh\ncat made >started\n");
  machine.data_.commands = "echo \"it's $(pwd | wc -l)\" >made\n";
  machine.boot();
  EXPECT_EQ(machine.read("root/started"), "it's 1\n") << machine.read("root/boot.log");
}

TEST(UserDataScript, EndsTheMachineWhenTheUsersCommandsFail) {
  Machine machine("#!/bin/sh\ntouch started\n");
  machine.data_.commands = "false\ntouch after";
  machine.boot();
  EXPECT_EQ(machine.read("root/boot.log"), "buoy: the pool's commands failed; this machine ends\n");
  struct stat info {};
  EXPECT_NE(::stat(machine.path("root/started").c_str(), &info), 0);
}

TEST(UserDataScript, IsNoLongerThanEc2Takes) {
  UserData data;
  data.commands = std::string(15'000, '#');
  const auto script = userDataScript(data);
  ASSERT_FALSE(script);
  EXPECT_EQ(script.error().code, ErrorCode::invalid_argument);
}

TEST(ShellQuoted, SurvivesAShell) {
  EXPECT_EQ(shellQuoted("a'b $c"), "'a'\\''b $c'");
}

}  // namespace
}  // namespace buoy::cloud::aws
