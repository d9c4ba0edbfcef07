#include "cloud/aws/known_types.h"

#include <gtest/gtest.h>

namespace buoy::cloud::aws {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(KnownTypes, HaveResourcesAndAPriceInSomeRegions) {
  const auto type = knownType("g5.12xlarge", "us-east-1");
  ASSERT_TRUE(type);
  EXPECT_EQ(type->resources, (engine::Resources{48'000, 4, ByteCount{192 * kGiB}}));
  EXPECT_EQ(type->price->nano_usd, 5'672'000'000);
  EXPECT_GT(knownType("g5.xlarge", "eu-west-1")->price->nano_usd, 1'100'000'000);

  const auto elsewhere = knownType("g5.xlarge", "mars-north-1");
  ASSERT_TRUE(elsewhere);
  EXPECT_FALSE(elsewhere->price);
  EXPECT_EQ(elsewhere->resources.gpus, 1);
}

TEST(KnownTypes, OfAFamilyGrowWithTheSize) {
  const auto type = knownType("m5.4xlarge", "us-west-2");
  ASSERT_TRUE(type);
  EXPECT_EQ(type->resources, (engine::Resources{16'000, 0, ByteCount{64 * kGiB}}));
  EXPECT_EQ(type->price->nano_usd, 768'000'000);
  EXPECT_EQ(knownType("t3.nano", "us-east-1")->resources, (engine::Resources{2'000, 0, ByteCount{kGiB / 2}}));
}

TEST(KnownTypes, AreNotAll) {
  EXPECT_FALSE(knownType("x9.huge", "us-east-1"));
  for (const char* none : {"m5.tiny", "c5.8xlarge", "t3.4xlarge", "m5.9xlarge", "m7i.32xlarge", "m5."})
    EXPECT_FALSE(knownType(none, "us-east-1")) << none;
  EXPECT_TRUE(knownType("c5.9xlarge", "us-east-1"));
  EXPECT_FALSE(knownType("m5", "us-east-1"));
  EXPECT_FALSE(knownType("", "us-east-1"));
}

}  // namespace
}  // namespace buoy::cloud::aws
