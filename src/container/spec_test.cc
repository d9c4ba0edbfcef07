#include "container/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "container/run_args.h"

namespace buoy::container {
namespace {

using testing::HasSubstr;

TEST(Volumes, AreWrittenAsDockersOptionIs) {
  EXPECT_EQ(parseVolume("/a:/b"), (Volume{"/a", "/b", false}));
  EXPECT_EQ(parseVolume("/a:/b:ro"), (Volume{"/a", "/b", true}));
  EXPECT_EQ(parseVolume("/a:/b:z,ro"), (Volume{"/a", "/b", true}));
  EXPECT_EQ(parseVolume("/scratch"), (Volume{"", "/scratch", false}));
  for (const char* wrong : {"", "a", "/a:b", ":/b", "/a:/b:ro:x"}) EXPECT_FALSE(parseVolume(wrong)) << wrong;
}

TEST(Ports, AreWrittenAsDockersOptionIs) {
  EXPECT_EQ(parsePort("80"), (Port{80, 0, false}));
  EXPECT_EQ(parsePort("8080:80"), (Port{80, 8080, false}));
  EXPECT_EQ(parsePort("5353:53/udp"), (Port{53, 5353, true}));
  for (const char* wrong : {"", "0", "80:0", "70000", "a:80", "80/sctp", "1-3"})
    EXPECT_FALSE(parsePort(wrong)) << wrong;
}

TEST(Variables, AreFilledInWhereTheyAreKnown) {
  const std::map<std::string, std::string> known = {{"BUOY_ATTEMPT", "3"}, {"A", ""}};
  EXPECT_EQ(expandVariables("try ${BUOY_ATTEMPT}${A}", known), "try 3");
  EXPECT_EQ(expandVariables("${B} $A ${A", known), "${B} $A ${A");
}

TEST(RunArgs, AreWhatDockerRunTakes) {
  const auto args = parseRunArgs({"-td",
                                  "--privileged",
                                  "--ipc=host",
                                  "--cap-add",
                                  "SYS_PTRACE",
                                  "-v/a:/b:ro",
                                  "-p",
                                  "8080:80",
                                  "--shm-size=1.5g",
                                  "--ulimit",
                                  "nofile=1024:2048",
                                  "--gpus",
                                  "all",
                                  "-eA=b=c",
                                  "--mount",
                                  "type=bind,src=/x,dst=/y",
                                  "--cpus",
                                  "1.5",
                                  "--restart",
                                  "always",
                                  "--entrypoint",
                                  "",
                                  "--tmpfs=/run:size=64m",
                                  "--memory-swap=-1"});
  ASSERT_TRUE(args) << args.error().message;
  EXPECT_EQ(args->privileged, true);
  EXPECT_EQ(args->ipc, "host");
  EXPECT_EQ(args->cap_add, (std::vector<std::string>{"SYS_PTRACE"}));
  EXPECT_EQ(args->volumes, (std::vector<Volume>{{"/a", "/b", true}, {"/x", "/y", false}}));
  EXPECT_EQ(args->ports, (std::vector<Port>{{80, 8080, false}}));
  EXPECT_EQ(args->shm_size, ByteCount{3ull << 29});
  EXPECT_EQ(args->ulimits.at("nofile"), (Ulimit{1024, 2048}));
  EXPECT_EQ(args->gpus, Spec::kAllGpus);
  EXPECT_EQ(args->env.at("A"), "b=c");
  EXPECT_EQ(args->milli_cpus, 1500);
  EXPECT_EQ(args->entrypoint, std::vector<std::string>());
  EXPECT_EQ(args->tmpfs.at("/run"), "size=64m");
  EXPECT_EQ(args->memory_swap, -1);
}

TEST(RunArgs, AreRefusedByName) {
  const auto error = [](std::vector<std::string> words) {
    const auto args = parseRunArgs(words);
    return args ? std::string("taken") : args.error().message;
  };
  EXPECT_THAT(error({"--frob=1"}), HasSubstr("--frob is not known here"));
  EXPECT_THAT(error({"--shm-size"}), HasSubstr("--shm-size needs a value"));
  EXPECT_THAT(error({"--shm-size=much"}), HasSubstr("--shm-size does not take 'much'"));
  EXPECT_THAT(error({"ubuntu"}), HasSubstr("'ubuntu' is no option"));
  EXPECT_THAT(error({"--privileged=perhaps"}), HasSubstr("must be true or false"));
  EXPECT_THAT(error({"-p", "1-3:1-3"}), HasSubstr("-p does not take"));
}

}  // namespace
}  // namespace buoy::container
