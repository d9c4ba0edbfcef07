#include "aws/endpoint.h"

#include <gtest/gtest.h>

#include "aws/test_support.h"

namespace buoy::aws {
namespace {

Settings in(const std::string& region) {
  Settings settings;
  settings.region = region;
  return settings;
}

TEST(ServiceEndpoint, IsTheRegionsOwn) {
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "ec2").url, "https://ec2.eu-west-1.amazonaws.com");
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "ec2").signing_region, "eu-west-1");
  EXPECT_EQ(serviceEndpoint(in("cn-north-1"), "ec2").url, "https://ec2.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "efs").url, "https://elasticfilesystem.eu-west-1.amazonaws.com");
}

TEST(ServiceEndpoint, IsOneForAllRegionsWhereThereIsOne) {
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "iam").url, "https://iam.amazonaws.com");
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "iam").signing_region, "us-east-1");
  EXPECT_EQ(serviceEndpoint(in("cn-north-1"), "iam").url, "https://iam.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "pricing").url, "https://api.pricing.us-east-1.amazonaws.com");
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "pricing").signing_region, "us-east-1");
}

TEST(ServiceEndpoint, IsTheConfiguredOne) {
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "ec2", "http://127.0.0.1:5000").url, "http://127.0.0.1:5000");
  EXPECT_EQ(serviceEndpoint(in("eu-west-1"), "iam", "http://127.0.0.1:5001").signing_region, "us-east-1");
}

TEST(LoadEndpoints, FindsThemAsAwssOwnToolsDo) {
  Home home;
  home.config("[default]\nservices = mine\n[services mine]\nec2 =\n  endpoint_url = http://config-ec2\n");
  const auto load = [&] {
    return loadEndpoints(home.environment, loadSettings(home.environment).value(), {"ec2", "iam"}).value();
  };
  EXPECT_EQ(load(), (std::map<std::string, std::string>{{"ec2", "http://config-ec2"}}));
  home.environment["AWS_ENDPOINT_URL"] = "http://all";
  home.environment["AWS_ENDPOINT_URL_IAM"] = "http://iam";
  EXPECT_EQ(load(), (std::map<std::string, std::string>{{"ec2", "http://all"}, {"iam", "http://iam"}}));
  home.environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_TRUE(load().empty());
}

}  // namespace
}  // namespace buoy::aws
