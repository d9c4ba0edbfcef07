#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace buoy {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorCode::invalid_argument, "is odd");
  return value / 2;
}

Result<int> quarter(int value) {
  BUOY_TRY(const int first, half(value));
  BUOY_TRY(const int second, half(first));
  return second;
}

Status check(int value) {
  BUOY_TRY_VOID(half(value));
  return {};
}

TEST(Result, TryPassesTheValueOrReturnsTheError) {
  EXPECT_EQ(quarter(12), 3);
  const auto failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(check(2));
  EXPECT_FALSE(check(3));
}

TEST(Result, WrapPutsTheContextBeforeAndKeepsTheRest) {
  const Error error{ErrorCode::unavailable, "connection refused", true};
  const Error wrapped = error.wrap("server.sock");
  EXPECT_EQ(wrapped.message, "server.sock: connection refused");
  EXPECT_EQ(wrapped.code, ErrorCode::unavailable);
  EXPECT_TRUE(wrapped.retryable);
}

TEST(Result, ErrnoBecomesACodeAndAMessage) {
  const Status missing = failErrno(ENOENT, "/nowhere");
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_EQ(missing.error().message, "/nowhere: No such file or directory");
  EXPECT_FALSE(missing.error().retryable);
  const Status full = failErrno(ENOSPC, "write");
  EXPECT_EQ(full.error().code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(full.error().retryable);
  const Status strange = failErrno(ESRCH, "x");
  EXPECT_EQ(strange.error().code, ErrorCode::internal);
}

TEST(Result, CodesHaveTheNamesOfTheApi) {
  EXPECT_EQ(toString(ErrorCode::invalid_argument), "invalid_argument");
  EXPECT_EQ(toString(ErrorCode::failed_precondition), "failed_precondition");
  EXPECT_EQ(toString(ErrorCode::internal), "internal");
}

TEST(ResultDeathTest, ABrokenInvariantNamesItselfAndEndsTheProgram) {
  EXPECT_DEATH(BUOY_CHECK(1 + 1 == 3), "invariant broken: 1 \\+ 1 == 3 at .*result_test.cc");
}

}  // namespace
}  // namespace buoy
