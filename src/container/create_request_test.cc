#include "container/create_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace buoy::container {
namespace {

using nlohmann::json;

CreateRequest requestOf(Spec spec, const std::vector<std::string>& args = {}) {
  CreateRequest request;
  request.image = "sha256:ab";
  request.spec = std::move(spec);
  request.args = parseRunArgs(args).value();
  request.command = {"/m/job/init", "/m/job", "/bin/sh", "-c", "python3 train.py"};
  request.mounts = {{"/m/work", "/workspace", false}, {"/m/job", "/m/job", true}};
  request.labels = {{"buoy.owner", "/m/job"}};
  return request;
}

TEST(CreateBodies, SayWhatTheJobSays) {
  Spec spec;
  spec.ports = {{80, 8080, false}, {53, 0, true}};
  spec.shm_size = ByteCount{1 << 30};
  spec.ulimits = {{"nofile", {1024, 2048}}};
  spec.privileged = true;
  CreateRequest request = requestOf(spec);
  request.user = "1000:1000";
  request.memory = ByteCount{64 << 20};
  request.milli_cpus = 1500;
  request.gpus = 2;
  const json body = json::parse(createBody(request));
  EXPECT_EQ(body["Entrypoint"], json({"/m/job/init"}));
  EXPECT_EQ(body["Cmd"], json({"/m/job", "/bin/sh", "-c", "python3 train.py"}));
  EXPECT_EQ(body["WorkingDir"], "/workspace");
  EXPECT_EQ(body["User"], "1000:1000");
  EXPECT_EQ(body["Labels"]["buoy.owner"], "/m/job");
  const json& host = body["HostConfig"];
  EXPECT_EQ(host["Mounts"][1],
            json({{"Type", "bind"}, {"Source", "/m/job"}, {"Target", "/m/job"}, {"ReadOnly", true}}));
  EXPECT_EQ(host["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
  EXPECT_EQ(host["PortBindings"]["53/udp"][0]["HostPort"], "");
  EXPECT_EQ(host["Memory"], 64 << 20);
  EXPECT_EQ(host["MemorySwap"], 64 << 20);
  EXPECT_EQ(host["NanoCpus"], 1'500'000'000);
  EXPECT_EQ(host["ShmSize"], 1 << 30);
  EXPECT_EQ(host["Ulimits"], json::array({{{"Name", "nofile"}, {"Soft", 1024}, {"Hard", 2048}}}));
  EXPECT_EQ(host["Privileged"], true);
  EXPECT_EQ(host["NetworkMode"], "bridge");
  EXPECT_EQ(host["DeviceRequests"][0]["Count"], 2);
}

TEST(CreateBodies, FollowRuntimeArgsFirst) {
  Spec spec;
  spec.shm_size = ByteCount{1};
  const json body = json::parse(createBody(requestOf(
      spec, {"--shm-size=1g", "--ipc=host", "--network=mine", "-u", "5", "-w", "/x", "--label", "a=b",
             "--device=/dev/fuse", "--device", "/dev/a:/dev/b:r", "-v", "/h:/c:ro", "--read-only"})));
  const json& host = body["HostConfig"];
  EXPECT_EQ(host["ShmSize"], 1 << 30);
  EXPECT_EQ(host["IpcMode"], "host");
  EXPECT_EQ(host["NetworkMode"], "mine");
  EXPECT_EQ(body["User"], "5");
  EXPECT_EQ(body["WorkingDir"], "/x");
  EXPECT_EQ(body["Labels"]["a"], "b");
  EXPECT_EQ(host["Devices"][0]["PathInContainer"], "/dev/fuse");
  EXPECT_EQ(host["Devices"][1],
            json({{"PathOnHost", "/dev/a"}, {"PathInContainer", "/dev/b"}, {"CgroupPermissions", "r"}}));
  EXPECT_EQ(host["Mounts"][2]["Target"], "/c");
  EXPECT_EQ(host["ReadonlyRootfs"], true);
}

TEST(CreateBodies, GiveGpusToPodmanByTheirNames) {
  CreateRequest request = requestOf({});
  request.podman = true;
  request.gpus = Spec::kAllGpus;
  const json all = json::parse(createBody(request));
  EXPECT_EQ(all["HostConfig"]["Devices"][0]["PathOnHost"], "nvidia.com/gpu=all");
  EXPECT_FALSE(all["HostConfig"].contains("DeviceRequests"));
  request.gpus = 2;
  EXPECT_EQ(json::parse(createBody(request))["HostConfig"]["Devices"].size(), 2u);
}

// Of two that share a machine, none sees the other's.
TEST(CreateBodies, OfAPartHaveItsGpusAndNoOthers) {
  CreateRequest request = requestOf({}, {"--gpus=all"});
  request.gpus = 2;
  ASSERT_TRUE(takeDevicesOf({1, 3}, request));
  const json docker = json::parse(createBody(request))["HostConfig"]["DeviceRequests"][0];
  EXPECT_EQ(docker.value("DeviceIDs", json()), json({"1", "3"}));
  EXPECT_FALSE(docker.contains("Count"));
  request.podman = true;
  const json podman = json::parse(createBody(request))["HostConfig"]["Devices"];
  ASSERT_EQ(podman.size(), 2u);
  EXPECT_EQ(podman[0]["PathOnHost"], "nvidia.com/gpu=1");
  EXPECT_EQ(podman[1]["PathOnHost"], "nvidia.com/gpu=3");
}

TEST(CreateBodies, OfAPartAskForNoMoreGpusThanItHas) {
  CreateRequest request = requestOf({}, {"--gpus=1"});
  ASSERT_TRUE(takeDevicesOf({2, 3}, request));
  EXPECT_EQ(request.devices, std::vector<std::int32_t>{2});
  const Status none = takeDevicesOf({}, request);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, testing::HasSubstr("0 of its GPUs are the job's"));
  request = requestOf({});
  request.gpus = 3;
  EXPECT_FALSE(takeDevicesOf({2, 3}, request));
  request.gpus = 0;
  EXPECT_TRUE(takeDevicesOf({2, 3}, request));
  EXPECT_FALSE(json::parse(createBody(request))["HostConfig"].contains("DeviceRequests"));
}

TEST(CreateBodies, PublishNoPortsOnTheHostsNetwork) {
  Spec spec;
  spec.ports = {{80, 0, false}};
  CreateRequest request = requestOf(spec);
  request.host_network = true;
  const json body = json::parse(createBody(request));
  EXPECT_EQ(body["HostConfig"]["NetworkMode"], "host");
  EXPECT_FALSE(body["HostConfig"].contains("PortBindings"));
}

}  // namespace
}  // namespace buoy::container
