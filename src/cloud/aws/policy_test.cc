#include "cloud/aws/policy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace buoy::cloud::aws {
namespace {

TEST(MachinePolicy, AllowsTheStoreAndNothingElse) {
  const auto policy = nlohmann::json::parse(machinePolicy("s3://bucket/some/prefix/"));
  ASSERT_EQ(policy["Statement"].size(), 2u);
  EXPECT_EQ(policy["Statement"][0]["Resource"], "arn:aws:s3:::bucket/some/prefix/*");
  EXPECT_EQ(policy["Statement"][1]["Resource"], "arn:aws:s3:::bucket");
  for (const auto& statement : policy["Statement"]) {
    for (const auto& action : statement["Action"]) EXPECT_TRUE(action.get<std::string>().starts_with("s3:"));
  }
  EXPECT_EQ(nlohmann::json::parse(machinePolicy("s3://bucket"))["Statement"][0]["Resource"],
            "arn:aws:s3:::bucket/*");
}

TEST(MachinePolicy, AllowsTheBucketsThatAreNamed) {
  const auto policy = nlohmann::json::parse(machinePolicy("s3://bucket/p", {"data", "more"}));
  ASSERT_EQ(policy["Statement"].size(), 4u);
  EXPECT_EQ(policy["Statement"][2]["Resource"],
            (nlohmann::json::array({"arn:aws:s3:::data/*", "arn:aws:s3:::more/*"})));
}

TEST(ControlPolicy, EndsOnlyWhatIsTagged) {
  const auto policy = nlohmann::json::parse(controlPolicy("s3://bucket/p"));
  for (const auto& statement : policy["Statement"]) {
    for (const auto& action : statement["Action"]) {
      if (action == "ec2:TerminateInstances") {
        EXPECT_EQ(statement["Condition"]["Null"]["aws:ResourceTag/buoy:cluster"], "false");
      }
      if (action == "iam:PassRole") {
        EXPECT_EQ(statement["Resource"], "arn:aws:iam::*:role/buoy-*");
      }
      EXPECT_EQ(action.get<std::string>().find('*'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace buoy::cloud::aws
