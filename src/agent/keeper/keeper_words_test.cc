#include <gtest/gtest.h>

#include "agent/keeper/container_words.h"
#include "agent/keeper/desk.h"
#include "base/strings.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

api::WorkspacePlan keeperPlan() {
  api::WorkspacePlan plan;
  plan.container = "spotty-a-b-default";
  plan.image = "image:1";
  plan.working_dir = "/p";
  plan.mounts = {{"project", "/p"}, {"~/data", "/data"}, {"/mnt/disk", "/disk"}};
  plan.ports = {{6006, 0}, {8888, 80}};
  plan.env = {{"A", "x y"}};
  plan.runtime_parameters = {"--shm-size", "1g"};
  return plan;
}

TEST(KeeperWords, TheContainerIsMadeAsSpottyMakesIt) {
  const BuildFacts facts{.runtime = "docker", .uid = 7, .gid = 8, .nvidia = false, .inside = "/d/inside"};
  const std::string words = join(runWords(keeperPlan(), facts), " ");
  EXPECT_EQ(
      words,
      "docker run -td --shm-size 1g --name spotty-a-b-default -w /p -p 6006 -p 80:8888 -v project:/p -v "
      "~/data:/data -v /mnt/disk:/disk -v /d/inside:/run/spotty -e A=x y -e "
      "SPOTTY_CONTAINER_NAME=spotty-a-b-default -e SPOTTY_CONTAINER_WORKING_DIR=/p image:1 /bin/sh");
}

TEST(KeeperWords, HostUserNetworkAndDevicesAreAskedFor) {
  api::WorkspacePlan plan = keeperPlan();
  plan.run_as_host_user = plan.host_network = true;
  const BuildFacts facts{.runtime = "podman", .uid = 7, .gid = 8, .nvidia = true, .inside = "/d"};
  const std::string words = join(runWords(plan, facts), " ");
  EXPECT_NE(words.find("--gpus all --network host -v"), std::string::npos) << words;
  EXPECT_NE(words.find("-u 7:8 -e HOST_USER_ID=7 -e HOST_GROUP_ID=8"), std::string::npos) << words;
}

TEST(KeeperWords, AnImageIsBuiltInTheDirectoryOfItsFile) {
  api::WorkspacePlan plan = keeperPlan();
  plan.image.clear();
  plan.dockerfile = "/p/docker/Dockerfile.gpu";
  EXPECT_EQ(join(buildWords(plan, {.runtime = "docker"}), " "),
            "docker build -t spotty-a-b-default -f /p/docker/Dockerfile.gpu /p/docker");
}

TEST(KeeperWords, CommandsAreRunInItsWorkingDirectory) {
  EXPECT_EQ(join(execWords(keeperPlan(), "docker", {.interactive = true, .terminal = true, .user = "me"},
                           {"ls", "-l"}),
                 " "),
            "docker exec -i -t -u me -w /p spotty-a-b-default ls -l");
}

TEST(KeeperWords, WithoutARuntimeWhatIsMissingIsSaid) {
  const auto none = findContainerRuntime({{"PATH", "/nowhere"}});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "there is neither docker nor podman on this machine: install one of them");
}

TEST(Desk, KeepsThePlanWithPathsOfTheMachine) {
  const auto directory = os::TempDir::create("desk").value();
  const Desk desk(directory.path() + "/d");
  EXPECT_FALSE(desk.plan());
  ASSERT_TRUE(desk.open({}));
  ASSERT_TRUE(desk.writePlan(keeperPlan()));
  const auto plan = desk.plan();
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->mounts[0].host, desk.root() + "/project");
  EXPECT_FALSE(plan->mounts[1].host.starts_with("~"));
  EXPECT_EQ(plan->mounts[2].host, "/mnt/disk");
}

TEST(Desk, RecordsOfScriptsLieWhereTheyOutliveTheMachine) {
  const auto directory = os::TempDir::create("desk").value();
  const std::string kept = directory.path() + "/kept";
  ASSERT_TRUE(os::makeDirectories(kept));
  api::WorkspaceScript script;
  script.session = "spotty-script-train";
  script.name = "train";
  script.text = "#!/bin/sh\n";
  script.arguments = {"a b"};
  {
    const Desk desk(directory.path() + "/first");
    ASSERT_TRUE(desk.open(kept));
    ASSERT_TRUE(desk.writeRecord(script));
  }
  const Desk next(directory.path() + "/next");
  ASSERT_TRUE(next.open({}));
  EXPECT_TRUE(next.records().empty());
  ASSERT_TRUE(next.open(kept));
  EXPECT_EQ(next.records(), std::vector<api::WorkspaceScript>{script});
  EXPECT_LT(next.socket().size(), 100u);
  // Somebody else's file among them is none.
  ASSERT_TRUE(os::writeFileAtomic(kept + "/x.json", "{", 0600));
  EXPECT_EQ(next.records().size(), 1u);
}

}  // namespace
}  // namespace buoy::agent
