#include "cloud/aws/caller.h"

#include <gtest/gtest.h>

#include "cloud/aws/fake_ec2.h"
#include "os/system_clock.h"

namespace buoy::cloud::aws {
namespace {

// Answers as told, in order; the last answer again and again.
FakeAws::Answer inTurn(std::vector<net::Response> answers) {
  auto next = std::make_shared<std::atomic<std::size_t>>(0);
  return [answers = std::move(answers), next](const FakeCall&) {
    return answers[std::min(next->fetch_add(1), answers.size() - 1)];
  };
}

class CallerTest : public ::testing::Test {
 protected:
  Answer<std::string> call(Caller& caller) {
    return caller.call(queryCall("ec2", "2016-11-15", "DescribeVpcs", {{"Filter.1.Name", "a b&c"}}),
                       stop_.get_token());
  }
  net::Response good() const { return buoy::aws::answerOf(ec2Answer("DescribeVpcs", "<vpcSet/>")); }

  const os::SystemClock clock_;
  FakeAws aws_;
  std::stop_source stop_;
};

TEST_F(CallerTest, SignsWhatItSends) {
  aws_.on("DescribeVpcs", "<vpcSet/>");
  Caller caller(aws_.options(clock_));
  ASSERT_TRUE(call(caller));
  const auto calls = aws_.calls("DescribeVpcs");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].parameters.at("Filter.1.Name"), "a b&c");
  EXPECT_EQ(calls[0].parameters.at("Version"), "2016-11-15");
  EXPECT_NE(calls[0].authorization.find("/eu-west-1/ec2/aws4_request"), std::string::npos);
}

TEST_F(CallerTest, TriesAgainWhatMayPass) {
  aws_.on("DescribeVpcs", inTurn({ec2Refusal(503, "RequestLimitExceeded"), ec2Refusal(500, "InternalError"),
                                  buoy::aws::answerOf("<html>", 502), good()}));
  Caller caller(aws_.options(clock_));
  EXPECT_TRUE(call(caller));
  EXPECT_EQ(caller.sent(), 4u);
}

TEST_F(CallerTest, GivesUpWhatDoesNotPass) {
  for (const char* code :
       {"UnauthorizedOperation", "InvalidParameterValue", "InsufficientInstanceCapacity"}) {
    aws_.on("DescribeVpcs", inTurn({ec2Refusal(400, code)}));
    Caller caller(aws_.options(clock_));
    const auto answer = call(caller);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, code);
    EXPECT_EQ(caller.sent(), 1u);
  }
}

TEST_F(CallerTest, AsksForNewCredentialsWhenTheyHaveExpired) {
  // Counts what it is asked for.
  class Renewed final : public buoy::aws::CredentialsProvider {
   public:
    Result<buoy::aws::Credentials> get() override {
      return buoy::aws::Credentials{rejected ? "AKIDtwo" : "AKIDone", "s", "t", std::nullopt};
    }
    void reject(const buoy::aws::Credentials&) override { rejected = true; }
    bool rejected = false;
  };
  const auto credentials = std::make_shared<Renewed>();
  aws_.on("DescribeVpcs", [&](const FakeCall& call) {
    return call.authorization.find("AKIDtwo") == std::string::npos ? ec2Refusal(400, "ExpiredToken") : good();
  });
  CallerOptions options = aws_.options(clock_);
  options.credentials = credentials;
  Caller caller(std::move(options));
  EXPECT_TRUE(call(caller));
}

TEST_F(CallerTest, SaysThatCredentialsAreWrong) {
  aws_.on("DescribeVpcs", inTurn({ec2Refusal(401, "AuthFailure", "AWS was not able to validate them")}));
  Caller caller(aws_.options(clock_));
  const auto answer = call(caller);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, RefusalKind::credentials);
  EXPECT_EQ(answer.error().error.code, ErrorCode::unauthenticated);
  EXPECT_NE(answer.error().error.message.find("buoy doctor aws"), std::string::npos);
}

TEST_F(CallerTest, TakesTheServersTimeWhenTheClockIsWrong) {
  aws_.on("DescribeVpcs", [&](const FakeCall&) {
    net::Response refusal = ec2Refusal(400, "RequestExpired");
    return aws_.calls("DescribeVpcs").size() == 1 ? refusal : good();
  });
  // The server's answer carries the true time.
  FakeClock wrong(os::SystemClock{}.now() - std::chrono::hours{2});
  Caller caller(aws_.options(wrong));
  EXPECT_TRUE(call(caller));
  EXPECT_EQ(caller.sent(), 2u);
}

TEST_F(CallerTest, EndsWhenItIsStopped) {
  aws_.on("DescribeVpcs", [&](const FakeCall&) {
    stop_.request_stop();
    return ec2Refusal(503, "RequestLimitExceeded");
  });
  Caller caller(aws_.options(clock_));
  const auto answer = call(caller);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, RefusalKind::cancelled);
}

TEST_F(CallerTest, SpeaksJsonToo) {
  aws_.on("GetParameter", [](const FakeCall&) {
    return buoy::aws::answerOf(R"({"Parameter": {"Name": "n", "Value": "ami-1"}})");
  });
  Ec2 ec2(aws_.options(clock_));
  EXPECT_EQ(ec2.parameter("n", {}).value(), "ami-1");
  EXPECT_EQ(aws_.calls("GetParameter").at(0).parameters.at("body"), R"({"Name":"n"})");
}

}  // namespace
}  // namespace buoy::cloud::aws
