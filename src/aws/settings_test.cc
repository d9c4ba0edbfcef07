#include "aws/settings.h"

#include <gtest/gtest.h>

#include "aws/test_support.h"

namespace buoy::aws {
namespace {

Settings loaded(const Home& home, const std::string& profile = {}) {
  auto settings = loadSettings(home.environment, profile);
  EXPECT_TRUE(settings) << settings.error().message;
  return settings.value_or(Settings{});
}

std::string settingsError(const Home& home, const std::string& profile = {}) {
  const auto settings = loadSettings(home.environment, profile);
  if (settings) return "(no error)";
  EXPECT_EQ(settings.error().code, ErrorCode::invalid_argument);
  return settings.error().message;
}

TEST(Settings, HaveDefaultsWithoutAnyFile) {
  const Home home;
  const Settings settings = loaded(home);
  EXPECT_EQ(settings.profile, "default");
  EXPECT_EQ(settings.region, "us-east-1");
  EXPECT_FALSE(settings.region_given);
  EXPECT_EQ(settings.s3_endpoint, "");
  EXPECT_EQ(settings.addressing, Addressing::automatic);
}

TEST(Settings, ComeFromTheProfile) {
  Home home;
  home.config(R"([default]
region = us-west-1
[profile lab]
region = eu-north-1
ca_bundle = /etc/lab.pem
use_fips_endpoint = true
request_checksum_calculation = WHEN_REQUIRED
s3 =
  addressing_style = path
  payload_signing_enabled = false
  use_dualstack_endpoint = true
[profile "two words"]
region = sa-east-1
)");
  const Settings lab = loaded(home, "lab");
  EXPECT_EQ(lab.region, "eu-north-1");
  EXPECT_TRUE(lab.region_given);
  EXPECT_TRUE(lab.profile_given);
  EXPECT_EQ(lab.ca_bundle, "/etc/lab.pem");
  EXPECT_TRUE(lab.use_fips);
  EXPECT_TRUE(lab.use_dualstack);
  EXPECT_EQ(lab.addressing, Addressing::path);
  EXPECT_EQ(lab.payload_signing, PayloadSigning::never);
  EXPECT_EQ(lab.checksums, ChecksumCalculation::when_required);
  EXPECT_EQ(loaded(home, "two words").region, "sa-east-1");
  EXPECT_EQ(loaded(home).region, "us-west-1");
  home.environment["AWS_PROFILE"] = "lab";
  EXPECT_EQ(loaded(home).region, "eu-north-1");
  EXPECT_FALSE(loaded(home).profile_given);
}

TEST(Settings, TakeTheEnvironmentFirst) {
  Home home;
  home.config("[default]\nregion = us-west-1\nca_bundle = /a\n");
  home.environment["AWS_DEFAULT_REGION"] = "ap-south-1";
  EXPECT_EQ(loaded(home).region, "ap-south-1");
  home.environment["AWS_REGION"] = "ap-south-2";
  EXPECT_EQ(loaded(home).region, "ap-south-2");
  home.environment["AWS_REGION"] = "";
  EXPECT_EQ(loaded(home).region, "ap-south-1") << "an empty variable is one that is not set";
  home.environment["AWS_CA_BUNDLE"] = "/b";
  home.environment["AWS_USE_DUALSTACK_ENDPOINT"] = "TRUE";
  home.environment["AWS_REQUEST_CHECKSUM_CALCULATION"] = "when_supported";
  const Settings settings = loaded(home);
  EXPECT_EQ(settings.ca_bundle, "/b");
  EXPECT_TRUE(settings.use_dualstack);
  EXPECT_EQ(settings.checksums, ChecksumCalculation::when_supported);
}

TEST(Settings, TakeFilesFromWhereTheEnvironmentSays) {
  Home home;
  home.environment["AWS_CONFIG_FILE"] = home.write("elsewhere", "[profile x]\nregion = eu-west-2\n");
  home.environment["AWS_SHARED_CREDENTIALS_FILE"] = "~/keys";
  home.write("keys", "[y]\nregion = eu-west-3\n");
  EXPECT_EQ(loaded(home, "x").region, "eu-west-2");
  EXPECT_EQ(loaded(home, "y").region, "eu-west-3");
}

TEST(Settings, FindEndpointsInAwsOrder) {
  Home home;
  home.config(R"([default]
endpoint_url = http://config-global
services = lab
[profile plain]
endpoint_url = http://config-global
[profile bad]
services = missing
[services lab]
s3 =
  endpoint_url = http://config-s3
)");
  EXPECT_EQ(loaded(home).s3_endpoint, "http://config-s3");
  EXPECT_EQ(loaded(home).sts_endpoint, "http://config-global");
  EXPECT_EQ(loaded(home, "plain").s3_endpoint, "http://config-global");
  EXPECT_NE(settingsError(home, "bad").find("[services missing]"), std::string::npos);
  home.environment["AWS_ENDPOINT_URL"] = "http://env-global";
  EXPECT_EQ(loaded(home).s3_endpoint, "http://env-global");
  home.environment["AWS_ENDPOINT_URL_S3"] = "https://env-s3";
  EXPECT_EQ(loaded(home).s3_endpoint, "https://env-s3");
  EXPECT_EQ(loaded(home).sts_endpoint, "http://env-global");
  home.environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true";
  EXPECT_EQ(loaded(home).s3_endpoint, "");
}

TEST(Settings, SayWhatIsWrongAndWhere) {
  Home home;
  EXPECT_NE(settingsError(home, "nobody").find("there is no profile 'nobody' in " + home.path(".aws/config")),
            std::string::npos);
  home.environment["AWS_ENDPOINT_URL_S3"] = "localhost:9000";
  EXPECT_EQ(settingsError(home),
            "AWS_ENDPOINT_URL_S3 must be a URL that begins with http:// or https://, not 'localhost:9000'");
  home.environment.erase("AWS_ENDPOINT_URL_S3");
  home.config("[default]\ns3 =\n  addressing_style = sideways\n");
  EXPECT_NE(settingsError(home).find("must be auto, path or virtual, not 'sideways'"), std::string::npos);
  home.config("[default]\nuse_fips_endpoint = maybe\n");
  EXPECT_NE(settingsError(home).find("`use_fips_endpoint` of profile 'default'"), std::string::npos);
  home.config("[default\n");
  EXPECT_EQ(settingsError(home), home.path(".aws/config") + ":1: there is no [section] before this line");
}

}  // namespace
}  // namespace buoy::aws
