#include "gateways/spotty/project.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "gateways/spotty/names.h"
#include "gateways/spotty/spotty_files.h"

namespace buoy::gateways::spotty {
namespace {

Project projectOf(const std::string& text, const std::string& over = {}) {
  const SourceText override_text = over.empty() ? SourceText{} : SourceText{"spotty.override.yaml", over};
  auto project = parseProject({"spotty.yaml", text}, override_text);
  if (project) return std::move(*project);
  for (const api::Problem& problem : project.error()) ADD_FAILURE() << problem.toString();
  return {};
}

Parameters parametersOf(const Project& project, const std::string& instance) {
  const Instance* const found = project.instance(instance);
  if (found == nullptr) {
    ADD_FAILURE() << "no instance " << instance;
    return {};
  }
  auto parameters = readParameters(project, *found, {"spotty.yaml", {}});
  if (parameters) return std::move(*parameters);
  for (const api::Problem& problem : parameters.error()) ADD_FAILURE() << problem.toString();
  return {};
}

TEST(SpottyProject, ReadsTheOldestFormatWithItsDefaults) {
  const Project project = projectOf(kFile11);
  EXPECT_EQ(project.format, Format::v1_1);
  EXPECT_FALSE(project.syncsBeforeRun());
  ASSERT_EQ(project.containers.size(), 1u);
  const Container& container = project.containers[0];
  EXPECT_EQ(container.project_dir, "/workspace/project");
  EXPECT_EQ(container.file, "docker/Dockerfile.spotty");
  EXPECT_TRUE(container.host_network);
  EXPECT_EQ(container.ports, (std::vector<Port>{{6006, 6006}, {8888, 8888}}));
  EXPECT_EQ(container.mounts,
            (std::vector<VolumeMount>{{"Tacotron", "/workspace"}, {"volume-2", "/scratch"}}));
  const Parameters parameters = parametersOf(project, "instance");
  EXPECT_TRUE(parameters.spot);
  EXPECT_EQ(parameters.max_price, "0.5");
  EXPECT_EQ(parameters.local_ssh_port, 2222);
  EXPECT_EQ(parameters.docker_data_root, "/workspace/docker");
  ASSERT_EQ(parameters.volumes.size(), 2u);
  EXPECT_EQ(parameters.volumes[0].disk, "Tacotron");
  EXPECT_EQ(parameters.volumes[0].mount_dir, "/workspace");
  EXPECT_EQ(parameters.volumes[0].deletion, cloud::Deletion::create_snapshot);
  EXPECT_EQ(parameters.volumes[1].deletion, cloud::Deletion::remove);
}

TEST(SpottyProject, ReadsTheSecondFormatWithItsDefaults) {
  const Project project = projectOf(kFile12);
  EXPECT_EQ(project.format, Format::v1_2);
  EXPECT_TRUE(project.containers.at(0).host_network);
  EXPECT_EQ(project.filters, (std::vector<SyncFilter>{{false, {"data/*"}}, {true, {"data/test/*"}}}));
  const Parameters first = parametersOf(project, "aws-1");
  EXPECT_TRUE(first.spot);
  EXPECT_EQ(first.volumes.at(0).disk, "my-project-aws-1-workspace");
  EXPECT_EQ(first.volumes.at(0).mount_dir, "/mnt/my-project-aws-1-workspace");
  EXPECT_EQ(first.volumes.at(0).deletion, cloud::Deletion::create_snapshot);
  EXPECT_EQ(first.volumes.at(1).deletion, cloud::Deletion::retain);
  const Parameters second = parametersOf(project, "aws-2");
  EXPECT_FALSE(second.spot);
  EXPECT_EQ(second.volumes.at(0).disk, "my-project-aws-2-workspace");
}

TEST(SpottyProject, ReadsTheThirdFormatWithItsDefaults) {
  const Project project = projectOf(kFile13);
  EXPECT_EQ(project.format, Format::v1_3);
  EXPECT_TRUE(project.syncsBeforeRun());
  ASSERT_EQ(project.containers.size(), 2u);
  EXPECT_EQ(project.containers[0].name, "default");
  EXPECT_EQ(project.containers[0].ports, (std::vector<Port>{{6006, 6006}, {8888, 0}}));
  EXPECT_EQ(project.containers[0].working_dir, "/workspace/project");
  EXPECT_TRUE(project.containers[1].run_as_host_user);
  EXPECT_EQ(project.containers[1].working_dir, "/workspace");
  const Parameters aws = parametersOf(project, "aws-1");
  EXPECT_TRUE(aws.spot);
  EXPECT_EQ(aws.volumes.at(0).disk, "digits-aws-1-workspace");
  EXPECT_EQ(aws.volumes.at(0).mount_dir, "/workspace-disk");
  EXPECT_EQ(aws.volumes.at(0).deletion, cloud::Deletion::update_snapshot);
  const Parameters local = parametersOf(project, "2");
  EXPECT_EQ(local.container_name, "plain");
  EXPECT_EQ(local.volumes.at(0).path, "./out");
  EXPECT_FALSE(local.spot);
  EXPECT_EQ(parametersOf(project, "mine").port, 2222);
}

TEST(SpottyProject, AnOverrideGoesIntoContainersAndInstancesByName) {
  const Project project = projectOf(kFile13, R"(containers:
  - {projectDir: /over, env: {MORE: "1"}, ports: [{containerPort: 80}]}
  - {name: third, projectDir: /p, image: i}
instances:
  - {name: 2, parameters: {containerName: default}}
  - {name: more, provider: local}
project: {syncFilters: [{exclude: ['*']}]}
)");
  ASSERT_EQ(project.containers.size(), 3u);
  EXPECT_EQ(project.containers[0].project_dir, "/over");
  EXPECT_EQ(project.containers[0].file, "docker/Dockerfile");
  EXPECT_EQ(project.containers[0].env,
            (std::map<std::string, std::string>{{"MORE", "1"}, {"PYTHONPATH", "/workspace/project"}}));
  EXPECT_EQ(project.containers[0].ports, (std::vector<Port>{{80, 0}}));
  EXPECT_EQ(project.filters, (std::vector<SyncFilter>{{false, {"*"}}}));
  EXPECT_EQ(project.instances.size(), 5u);
  EXPECT_EQ(parametersOf(project, "2").container_name, "default");
}

TEST(SpottyProject, AnOverrideIsToldByItsOwnFileAndLine) {
  const auto project =
      parseProject({"spotty.yaml", kFile12}, {"spotty.override.yaml", "project:\n  nam: x\n"});
  ASSERT_FALSE(project);
  EXPECT_EQ(project.error().at(0).toString().substr(0, 45), "spotty.override.yaml:2:3: project.nam: unknow");
}

TEST(SpottyProject, OnlyTheChosenInstanceIsJudged) {
  const std::string broken = kFile13 + "\n";
  const Project project = projectOf(broken.substr(0, broken.find("      region")) + "      nonsense: 1\n" +
                                    broken.substr(broken.find("      region")));
  EXPECT_EQ(parametersOf(project, "2").volumes.size(), 1u);
  EXPECT_FALSE(readParameters(project, *project.instance("aws-1"), {"spotty.yaml", {}}));
}

TEST(SpottyProject, GoogleIsReadCheckedAndRefused) {
  const Project project = projectOf(kFile13);
  const auto refused = readParameters(project, *project.instance("theirs"), {"spotty.yaml", {}});
  ASSERT_FALSE(refused);
  ASSERT_EQ(refused.error().size(), 1u);
  EXPECT_NE(refused.error()[0].message.find("no provider for Google Cloud"), std::string::npos);
}

TEST(SpottyNames, AreSpottys) {
  EXPECT_EQ(ebsName("Digits", "I1", "Work"), "digits-i1-work");
  EXPECT_EQ(containerName("Digits", "i1", "default"), "spotty-digits-i1-default");
  EXPECT_EQ(keyPairName("Digits", "eu-west-1"), "spotty-key-digits-eu-west-1");
  EXPECT_TRUE(isBucketOf("spotty-digits-abcdefghij12-eu-west-1", "Digits", "eu-west-1"));
  EXPECT_FALSE(isBucketOf("spotty-digits-abcdefghij1-eu-west-1", "Digits", "eu-west-1"));
  EXPECT_FALSE(isBucketOf("spotty-digits-2-abcdefghij12-eu-west-1", "digits", "eu-west-1"));
  EXPECT_EQ(workspaceName("Digits", "my instance/1"), "spotty-digits-my-instance-1");
}

}  // namespace
}  // namespace buoy::gateways::spotty
