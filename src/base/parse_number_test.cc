#include "base/parse_number.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace buoy {
namespace {

TEST(ParseNumber, TakesAllOfTheTextOrNothing) {
  EXPECT_EQ(parseNumber<int>("-42"), -42);
  EXPECT_EQ(parseNumber<double>("1.5e3"), 1500.0);
  for (const char* text : {"", " 1", "1 ", "+1", "0x10", "1.5", "one"})
    EXPECT_FALSE(parseNumber<int>(text)) << '\'' << text << '\'';
}

TEST(ParseNumber, RefusesWhatDoesNotFit) {
  EXPECT_EQ(parseNumber<std::uint8_t>("255"), 255);
  EXPECT_FALSE(parseNumber<std::uint8_t>("256"));
  EXPECT_FALSE(parseNumber<unsigned>("-1"));
  EXPECT_FALSE(parseNumber<double>("1e999"));
}

TEST(ParseNumber, LeavesTheTargetAloneWhenItFails) {
  int number = 7;
  EXPECT_FALSE(parseNumber("8x", number));
  EXPECT_EQ(number, 7);
  EXPECT_TRUE(parseNumber("8", number));
  EXPECT_EQ(number, 8);
}

}  // namespace
}  // namespace buoy
