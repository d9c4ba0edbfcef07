#include "objstore/s3/multipart_result.h"

#include <gtest/gtest.h>

namespace buoy::objstore::s3 {
namespace {

// MD5 of nothing and of "a".
const std::vector<Part> kParts = {{1, 5, "\"d41d8cd98f00b204e9800998ecf8427e\"", "AAAAAA=="},
                                  {2, 2, "0CC175B9C0F1B6A831C399E269772661", "wdBDMA=="}};

// printf '\xd4\x1d…\x0c\xc1…' | md5sum
TEST(MultipartResult, IsTheSumOfSums) {
  EXPECT_EQ(etagOfParts(kParts), "68083ea43d0307eecfa2b4749f19df15-2");
  EXPECT_EQ(crc32cOfParts(kParts), "b5gj1g==-2");
  EXPECT_EQ(etagOfParts({{1, 5, "\"0123\"", ""}}), "");
  EXPECT_EQ(etagOfParts({{1, 5, "\"zzcc175b9c0f1b6a831c399e269772661\"", ""}}), "");
  EXPECT_EQ(crc32cOfParts({{1, 5, "", ""}}), "");
  EXPECT_EQ(crc32cOfParts({{1, 5, "", "????????"}}), "");
}

TEST(MultipartResult, TellsTheObjectByEither) {
  const Object made{"k", 7, {}, "\"" + etagOfParts(kParts) + "\""};
  EXPECT_TRUE(isMadeOf(made, "", kParts));
  EXPECT_TRUE(isMadeOf({"k", 7, {}, "\"opaque\""}, crc32cOfParts(kParts), kParts));
  EXPECT_FALSE(isMadeOf({"k", 7, {}, "\"opaque\""}, "", kParts));
  EXPECT_FALSE(isMadeOf({"k", 7, {}, ""}, "AAAAAA==-2", kParts));
  EXPECT_FALSE(isMadeOf({"k", 6, {}, made.etag}, crc32cOfParts(kParts), kParts));
  EXPECT_FALSE(isMadeOf({"k", 0, {}, ""}, "", {}));
}

}  // namespace
}  // namespace buoy::objstore::s3
