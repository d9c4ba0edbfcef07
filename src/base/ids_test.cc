#include "base/ids.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace buoy {
namespace {

TEST(Ids, PrintWithTheirPrefixAndReadBack) {
  EXPECT_EQ(JobId{42}.toString(), "j42");
  EXPECT_EQ(MachineId{7}.toString(), "m7");
  EXPECT_EQ(JobId::parse("j42"), JobId{42});
  EXPECT_EQ(MachineId::parse("m18446744073709551615"), MachineId{18446744073709551615u});
}

TEST(Ids, RefuseWhateverToStringDoesNotPrint) {
  for (const char* text :
       {"", "j", "42", "j0", "j01", "j-1", "j+1", "j 1", "j1 ", "j1x", "m1", "J1", "j18446744073709551616"}) {
    EXPECT_EQ(JobId::parse(text), std::nullopt) << text;
  }
}

TEST(Ids, ZeroIsNone) {
  EXPECT_FALSE(JobId{});
  EXPECT_TRUE(JobId{1});
}

TEST(Ids, OrderAndHashByNumber) {
  EXPECT_LT(JobId{9}, JobId{10});
  const std::unordered_set<JobId> ids{JobId{1}, JobId{2}, JobId{1}};
  EXPECT_EQ(ids.size(), 2u);
}

}  // namespace
}  // namespace buoy
