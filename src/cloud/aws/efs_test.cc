#include "cloud/aws/efs.h"

#include <gtest/gtest.h>

#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

using Kind = SharedStep::Kind;

SharedWish sharedWish(Deletion deletion = Deletion::retain) {
  return {{"shared", "/mnt/shared", deletion}, "c1", JobId{7}, "a"};
}

SharedFileSystem system(const std::string& state, const SharedWish& of = sharedWish()) {
  return {"fs-1", state, sharedTags(of)};
}

TEST(SharedPlan, MakesWhatIsMissing) {
  EXPECT_EQ(nextStep(sharedWish(), {}, {}).kind, Kind::create);
  EXPECT_EQ(nextStep(sharedWish(), {system("creating")}, {}).kind, Kind::wait);
  EXPECT_EQ(nextStep(sharedWish(), {system("available")}, {}).kind, Kind::create_target);
  EXPECT_EQ(nextStep(sharedWish(), {system("error")}, {}).kind, Kind::fail);
}

TEST(SharedPlan, IsServedInTheMachinesZone) {
  const std::vector<MountTarget> targets{{"fsmt-1", "b", "subnet-b", "10.0.1.1", "available"}};
  EXPECT_EQ(nextStep(sharedWish(), {system("available")}, targets).kind, Kind::create_target);
  const MountTarget coming{"fsmt-2", "a", "subnet-a", "10.0.0.1", "creating"};
  EXPECT_EQ(nextStep(sharedWish(), {system("available")}, {coming}).kind, Kind::wait);
  MountTarget here = coming;
  here.state = "available";
  const SharedStep ready = nextStep(sharedWish(), {system("available")}, {targets[0], here});
  EXPECT_EQ(ready.kind, Kind::ready);
  EXPECT_EQ(ready.server, "10.0.0.1:/");
}

TEST(SharedPlan, MarksOnlyWhatItWillDelete) {
  SharedFileSystem found = system("available");
  found.tags = {{"Name", "shared"}};
  EXPECT_EQ(nextStep(sharedWish(), {found}, {}).kind, Kind::create_target);
  EXPECT_EQ(nextStep(sharedWish(Deletion::remove), {found}, {}).kind, Kind::mark);
}

TEST(SharedPlan, WhatIsNamedByItsIdIsNeverMade) {
  SharedWish wish{{"fs-1", "/mnt/fs-1", Deletion::retain}, "c1", JobId{7}, "a"};
  EXPECT_EQ(nextStep(wish, {system("available")}, {}).kind, Kind::create_target);
  EXPECT_EQ(nextStep(wish, {system("available")}, {}).id, "fs-1");
  wish.spec.name = "fs-2";
  EXPECT_EQ(nextStep(wish, {system("available")}, {}).kind, Kind::fail);
}

TEST(EfsAnswers, AreRead) {
  const auto page = parseFileSystems(
      R"({"FileSystems":[{"FileSystemId":"fs-1","LifeCycleState":"available","Tags":[{"Key":"Name","Value":"x"}]},7,{}],"NextMarker":"m"})");
  ASSERT_TRUE(page);
  ASSERT_EQ(page->systems.size(), 1u);
  EXPECT_EQ(page->systems[0].tag("Name"), "x");
  EXPECT_EQ(page->next, "m");
  EXPECT_FALSE(parseFileSystems("[]"));
  const auto targets = parseMountTargets(
      R"({"MountTargets":[{"MountTargetId":"fsmt-1","AvailabilityZoneName":"a","SubnetId":"s","IpAddress":"10.0.0.1","LifeCycleState":"available"}]})");
  ASSERT_TRUE(targets);
  EXPECT_EQ(targets->at(0).address, "10.0.0.1");
}

}  // namespace
}  // namespace buoy::cloud::aws
