#include "agent/boot.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "aws/test_support.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

class BootTest : public ::testing::Test {
 protected:
  BootTest()
      : service_([](const net::Request& request) {
          if (request.method == "PUT") return aws::answerOf("TOKEN");
          if (request.path == "/latest/meta-data/instance-id") return aws::answerOf("i-1");
          if (request.path == "/latest/meta-data/local-ipv4") return aws::answerOf("10.0.0.7");
          return aws::answerOf("", 404);
        }) {
    api::AgentConfig config;
    config.cluster = "c1";
    config.machine = MachineId{7};
    config.server = "https://10.0.0.1:7433";
    config.token = "m7.secret";
    config.store = "file://" + path("store");
    config.directory = "/elsewhere";
    laid_ = api::toJson(config);
    EXPECT_TRUE(
        os::writeFileAtomic(path("boot.json"), R"({"store": ")" + config.store + R"(", "cluster": "c1"})"));
    EXPECT_TRUE(os::makeDirectories(path("store")));
    environment_["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = service_.url();
    environment_["HOME"] = directory_.path();
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  Result<api::AgentConfig> boot(Duration patience = std::chrono::seconds{60}) {
    return agent::boot(path("boot.json"), environment_, patience);
  }

  const os::TempDir directory_ = *os::TempDir::create("buoy-boot-");
  aws::Service service_;
  aws::Environment environment_;
  std::string laid_;
};

TEST_F(BootTest, TakesWhatWasLaidForThisInstance) {
  const auto store = *objstore::openStore("file://" + path("store"));
  ASSERT_TRUE(store->put("c1/boot/i-1.json", laid_));
  const auto config = boot();
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->machine, MachineId{7});
  EXPECT_EQ(config->address, "10.0.0.7");
  EXPECT_EQ(config->directory, path("machine"));
  EXPECT_TRUE(std::filesystem::is_directory(config->directory));
  EXPECT_FALSE(store->head("c1/boot/i-1.json")) << "others may read the store";
  const auto again = boot();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->token, "m7.secret") << "an agent that is started again has it";
}

TEST_F(BootTest, WaitsForIt) {
  std::jthread later([&] {
    const auto store = *objstore::openStore("file://" + path("store"));
    EXPECT_TRUE(store->put("c1/boot/i-1.json", laid_));
  });
  EXPECT_TRUE(boot());
}

TEST_F(BootTest, GivesUpWhereNothingComes) {
  EXPECT_FALSE(boot(Duration{0}));
  service_.stop();
  EXPECT_FALSE(boot(Duration{0}));
}

TEST(ParseBootConfig, WantsAStoreAndACluster) {
  EXPECT_EQ(parseBootConfig(R"({"store": "s3://b", "cluster": "c"})").value().cluster, "c");
  for (const char* other : {"", "[]", "{}", R"({"store": "s3://b"})", R"({"store": 1, "cluster": "c"})"})
    EXPECT_FALSE(parseBootConfig(other)) << other;
}

}  // namespace
}  // namespace buoy::agent
