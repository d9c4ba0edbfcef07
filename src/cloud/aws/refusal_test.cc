#include "cloud/aws/refusal.h"

#include <gtest/gtest.h>

namespace buoy::cloud::aws {
namespace {

TEST(KindOf, KnowsWhatToDoAboutACode) {
  EXPECT_EQ(kindOf("InsufficientInstanceCapacity", 500), RefusalKind::capacity);
  EXPECT_EQ(kindOf("UnfulfillableCapacity", 400), RefusalKind::capacity);
  EXPECT_EQ(kindOf("SpotMaxPriceTooLow", 400), RefusalKind::price);
  EXPECT_EQ(kindOf("MaxSpotInstanceCountExceeded", 400), RefusalKind::quota);
  EXPECT_EQ(kindOf("VcpuLimitExceeded", 400), RefusalKind::quota);
  EXPECT_EQ(kindOf("Unsupported", 400), RefusalKind::unsupported);
  EXPECT_EQ(kindOf("RequestLimitExceeded", 503), RefusalKind::throttled);
  EXPECT_EQ(kindOf("AuthFailure", 401), RefusalKind::credentials);
  EXPECT_EQ(kindOf("UnauthorizedOperation", 403), RefusalKind::permission);
  EXPECT_EQ(kindOf("InvalidAMIID.NotFound", 400), RefusalKind::not_found);
  EXPECT_EQ(kindOf("InvalidGroup.Duplicate", 400), RefusalKind::exists);
  EXPECT_EQ(kindOf("InvalidLaunchTemplateName.AlreadyExistsException", 400), RefusalKind::exists);
  EXPECT_EQ(kindOf("IdempotentParameterMismatch", 400), RefusalKind::mismatch);
}

TEST(KindOf, GoesByTheStatusOtherwise) {
  EXPECT_EQ(kindOf("", 503), RefusalKind::trouble);
  EXPECT_EQ(kindOf("SomethingNew", 500), RefusalKind::trouble);
  EXPECT_EQ(kindOf("", 429), RefusalKind::throttled);
  EXPECT_EQ(kindOf("SomethingNew", 400), RefusalKind::bad_request);
  EXPECT_EQ(kindOf("", 403), RefusalKind::permission);
}

TEST(RefusalOf, IsOneSentenceWithWhatToDo) {
  const Refusal refusal =
      refusalOf("EC2", "CreateFleet", "UnauthorizedOperation",
                "You are not authorized. Encoded authorization failure message: aBcDeF", 403);
  EXPECT_EQ(refusal.error.code, ErrorCode::permission_denied);
  EXPECT_EQ(
      refusal.error.message,
      "EC2 refuses CreateFleet: UnauthorizedOperation, You are not authorized (`buoy aws policy` prints the "
      "policy that Buoy needs)");
  EXPECT_FALSE(refusal.error.retryable);
  EXPECT_EQ(refusalOf("EC2", "X", "", "", 502).error.message, "EC2 refuses X: status 502");
  EXPECT_LT(refusalOf("EC2", "X", "Odd", std::string(5000, 'x'), 400).error.message.size(), 400u);
}

TEST(LaunchErrorOf, TellsTheEngineWhatItCanTellApart) {
  using engine::LaunchError;
  EXPECT_EQ(launchErrorOf(RefusalKind::capacity), LaunchError::capacity);
  EXPECT_EQ(launchErrorOf(RefusalKind::quota), LaunchError::quota);
  EXPECT_EQ(launchErrorOf(RefusalKind::price), LaunchError::price);
  EXPECT_EQ(launchErrorOf(RefusalKind::throttled), LaunchError::throttled);
  EXPECT_EQ(launchErrorOf(RefusalKind::permission), LaunchError::invalid);
  EXPECT_EQ(launchErrorOf(RefusalKind::trouble), LaunchError::other);
}

}  // namespace
}  // namespace buoy::cloud::aws
