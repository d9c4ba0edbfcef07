#include "gateways/spotty/workspace.h"

#include <gtest/gtest.h>

#include "gateways/spotty/spotty_files.h"

namespace buoy::gateways::spotty {
namespace {

struct Chosen {
  Project project;
  const Instance* instance = nullptr;
  Parameters parameters;
};
Chosen chosen(const std::string& text, const std::string& name) {
  Chosen all;
  all.project = parseProject({"spotty.yaml", text}).value();
  all.instance = all.project.instance(name);
  all.parameters = readParameters(all.project, *all.instance, {"spotty.yaml", text}).value();
  return all;
}

TEST(SpottyWorkspace, TheProjectLiesOnTheVolumeThatItIsOnInTheContainer) {
  const Chosen aws = chosen(kFile13, "aws-1");
  const auto plan = planOf(aws.project, *aws.instance, aws.parameters, {});
  EXPECT_EQ(plan.container, "spotty-digits-aws-1-default");
  EXPECT_EQ(plan.project, "/workspace-disk/project");
  EXPECT_EQ(plan.dockerfile, "/workspace-disk/project/docker/Dockerfile");
  EXPECT_EQ(plan.mounts, (std::vector<api::WorkspacePlan::Mount>{{"/workspace-disk", "/workspace"}}));
  EXPECT_EQ(api::parseWorkspacePlan(api::toJson(plan)).value(), plan);
}

TEST(SpottyWorkspace, WithoutAVolumeThereAreDirectoriesOfTheMachine) {
  Chosen local = chosen(kFile13, "2");
  local.parameters.volumes.clear();
  const auto plan = planOf(local.project, *local.instance, local.parameters, {.project_root = "/me"});
  EXPECT_EQ(plan.mounts, (std::vector<api::WorkspacePlan::Mount>{{"volumes/workspace", "/workspace"}}));
  EXPECT_EQ(plan.project, "volumes/workspace/project");
  const Chosen with_volume = chosen(kFile13, "2");
  EXPECT_EQ(
      planOf(with_volume.project, *with_volume.instance, with_volume.parameters, {.project_root = "/me"})
          .mounts[0]
          .host,
      "/me/./out");
}

TEST(SpottyWorkspace, TheJobKeepsTheVolumesByTheirPolicies) {
  const Chosen aws = chosen(kFile12, "aws-1");
  const api::JobSpec job = jobOf(aws.project, *aws.instance, aws.parameters,
                                 {.directory = "/var/lib/x", .hours = std::chrono::hours{8}});
  EXPECT_TRUE(api::validate(job).empty());
  EXPECT_EQ(job.name, "spotty-my-project-aws-1");
  EXPECT_EQ(job.spot, engine::SpotPreference::only);
  EXPECT_EQ(job.max_run, std::chrono::hours{8});
  ASSERT_EQ(job.storage.volumes.size(), 2u);
  EXPECT_EQ(job.storage.volumes[0].name, "my-project-aws-1-workspace");
  EXPECT_EQ(job.storage.volumes[0].deletion, cloud::Deletion::create_snapshot);
  EXPECT_EQ(job.storage.volumes[1].deletion, cloud::Deletion::retain);
}

TEST(SpottyWorkspace, WhatIsConvertedIsAJob) {
  for (const auto& [text, name] : {std::pair{kFile11, "instance"}, std::pair{kFile12, "aws-1"},
                                   std::pair{kFile13, "aws-1"}, std::pair{kFile13, "2"}}) {
    const Chosen from = chosen(text, name);
    const std::string yaml = convert(from.project, *from.instance, from.parameters, "/me");
    const auto job = api::parseJobYaml(yaml, "buoy.yaml");
    ASSERT_TRUE(job) << job.error().front().toString() << "\n" << yaml;
    EXPECT_NE(job->run.find("python train.py"), std::string::npos);
  }
  const Chosen from = chosen(kFile13, "aws-1");
  EXPECT_NE(convert(from.project, *from.instance, from.parameters, "/me").find("--lr ${LR}"),
            std::string::npos);
}

std::string converted(const std::string& text, const std::string& name) {
  const Chosen from = chosen(text, name);
  return convert(from.project, *from.instance, from.parameters, "/me");
}

TEST(SpottyConvert, KeepsTheDirectoriesOfThisHostAndSaysWhichAreElsewhere) {
  EXPECT_NE(converted(kFile13, "2").find("\n    - \"/me/out:/workspace\"\n"), std::string::npos)
      << converted(kFile13, "2");
  std::string remote = kFile13;
  remote.replace(remote.find("port: 2222"), 10,
                 "volumes: [{name: workspace, type: HostPath, parameters: {path: ~/data}}]");
  EXPECT_NE(converted(remote, "mine").find("It was ~/data there"), std::string::npos);
}

std::string saidBy(const std::string& command) {
  std::string said;
  FILE* const pipe = ::popen(command.c_str(), "r");
  for (int c; (c = std::fgetc(pipe)) != EOF;) said += static_cast<char>(c);
  EXPECT_EQ(::pclose(pipe), 0);
  return said;
}

TEST(SpottyConvert, GivesScriptsToTheProgramsThatTheyAreFor) {
  const std::string head =
      "project: {name: ab}\ncontainers: [{projectDir: /p, image: i, commands: \"  true\\n\"}]\n"
      "instances: [{name: i, provider: local}]\nscripts:\n  convert-test: |\n    ";
  for (const auto& [script, says] : {
           std::pair{"a=(it\\'s {{N}}); [[ ${a[1]} == 3 ]] && echo ${a[0]}", "it's\n"},
           std::pair{"#!/bin/sh\n    echo \"$0\" {{N}}", "sh 3\n"},
           std::pair{"#!/usr/bin/env -S awk -f\n    BEGIN { print \"awk\", ENVIRON[\"N\"] }", "awk 3\n"},
       }) {
    const auto job = api::parseJobYaml(converted(head + script + "\n", "i"), "buoy.yaml");
    ASSERT_TRUE(job) << job.error().front().toString();
    EXPECT_EQ(job->container->commands, "  true\n");
    ::setenv("RUN", job->run.c_str(), 1);
    EXPECT_EQ(saidBy("N=3 sh -c \"$RUN\" 2>/dev/null"), says) << job->run;
  }
}

}  // namespace
}  // namespace buoy::gateways::spotty
