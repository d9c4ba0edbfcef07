#include "cloud/aws/answers.h"

#include <gtest/gtest.h>

#include <string>

namespace buoy::cloud::aws {
namespace {

std::string inside(const std::string& root, const std::string& content) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" + root +
         " xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>" + content + "</" +
         root + ">";
}

TEST(ParseError, TakesEveryFormThatAwsHas) {
  const ErrorAnswer ec2 = parseError(
      "<?xml "
      "version=\"1.0\"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>No.</Message></"
      "Error>"
      "</Errors><RequestID>1</RequestID></Response>");
  EXPECT_EQ(ec2.code, "UnauthorizedOperation");
  EXPECT_EQ(ec2.message, "No.");
  EXPECT_EQ(
      parseError("<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code></Error></ErrorResponse>")
          .code,
      "NoSuchEntity");
  EXPECT_EQ(parseError(R"({"__type":"com.amazonaws.ssm#ParameterNotFound","message":"m"})").code,
            "ParameterNotFound");
  EXPECT_EQ(parseError(R"({"ErrorCode":"FileSystemNotFound","Message":"m"})").message, "m");
  for (const char* other : {"", "no", "<html/>", "{", "{}", "[1]"})
    EXPECT_EQ(parseError(other).code, "") << other;
}

TEST(ParseInstances, TakesWhatAMachineNeeds) {
  const auto page = parseInstances(inside(
      "DescribeInstancesResponse",
      "<reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceState><code>48</code>"
      "<name>shutting-down</name></instanceState><reason>User initiated (2026-11-21 11:22:33 GMT)</reason>"
      "<stateReason><code>Client.UserInitiatedShutdown</code></stateReason><instanceType>m5.large</"
      "instanceType>"
      "<launchTime>2026-11-21T10:00:00.000Z</launchTime><placement><availabilityZone>eu-west-1a</"
      "availabilityZone>"
      "</placement><privateIpAddress>10.0.0.7</privateIpAddress><instanceLifecycle>spot</instanceLifecycle>"
      "<tagSet><item><key>Name</key><value>a &amp; b</value></item></tagSet></item></instancesSet></item>"
      "<item><instancesSet><item><instanceId>i-2</instanceId></item><item/></instancesSet></item></"
      "reservationSet>"
      "<nextToken>t2</nextToken>"));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->next, "t2");
  ASSERT_EQ(page->instances.size(), 2u);
  const Instance& first = page->instances[0];
  EXPECT_EQ(first.id, "i-1");
  EXPECT_EQ(first.state, InstanceState::shutting_down);
  EXPECT_EQ(first.reason_code, "Client.UserInitiatedShutdown");
  EXPECT_EQ(transitionTime(first.transition_reason), *parseTime("2026-11-21T11:22:33Z"));
  EXPECT_EQ(first.type, "m5.large");
  EXPECT_EQ(first.zone, "eu-west-1a");
  EXPECT_EQ(first.launched, *parseTime("2026-11-21T10:00:00Z"));
  EXPECT_TRUE(first.spot);
  EXPECT_EQ(first.tag("Name"), "a & b");
  EXPECT_EQ(first.tag("other"), "");
  EXPECT_EQ(page->instances[1].state, InstanceState::unknown);
}

TEST(TransitionTime, IsInParenthesesOrNowhere) {
  for (const char* none :
       {"", "Server.SpotInstanceTermination", "User initiated ()", "(GMT)", "(x GMT)", " GMT)("})
    EXPECT_EQ(transitionTime(none), std::nullopt) << none;
}

TEST(ParseFleet, TakesMachinesAndErrors) {
  const auto fleet = parseFleet(inside(
      "CreateFleetResponse",
      "<fleetId>fleet-1</fleetId><errorSet><item><launchTemplateAndOverrides><overrides>"
      "<instanceType>c5.large</instanceType><availabilityZone>eu-west-1b</availabilityZone></overrides>"
      "</launchTemplateAndOverrides><lifecycle>spot</lifecycle><errorCode>InsufficientInstanceCapacity</"
      "errorCode>"
      "<errorMessage>None.</errorMessage></item></"
      "errorSet><fleetInstanceSet><item><launchTemplateAndOverrides>"
      "<overrides><instanceType>m5.large</instanceType><subnetId>subnet-1</subnetId></overrides>"
      "</launchTemplateAndOverrides><instanceIds><item>i-1</item></instanceIds></item></fleetInstanceSet>"));
  ASSERT_TRUE(fleet);
  ASSERT_EQ(fleet->instances.size(), 1u);
  EXPECT_EQ(fleet->instances[0].instance, "i-1");
  EXPECT_EQ(fleet->instances[0].type, "m5.large");
  EXPECT_EQ(fleet->instances[0].subnet, "subnet-1");
  ASSERT_EQ(fleet->errors.size(), 1u);
  EXPECT_EQ(fleet->errors[0].code, "InsufficientInstanceCapacity");
  EXPECT_EQ(fleet->errors[0].zone, "eu-west-1b");
}

TEST(ParseSpotPrices, LeavesOutWhatIsNoPrice) {
  const auto page = parseSpotPrices(inside(
      "DescribeSpotPriceHistoryResponse",
      "<spotPriceHistorySet><item><instanceType>m5.large</instanceType><spotPrice>0.041600</spotPrice>"
      "<timestamp>2026-11-21T10:00:00Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>"
      "<item><spotPrice>free</spotPrice></item><item><spotPrice>-1</spotPrice></item></"
      "spotPriceHistorySet>"));
  ASSERT_TRUE(page);
  ASSERT_EQ(page->prices.size(), 1u);
  EXPECT_EQ(page->prices[0].price.nano_usd, 41'600'000);
}

TEST(ParseRouteTables, FindTheWayOut) {
  const auto tables = parseRouteTables(inside(
      "DescribeRouteTablesResponse",
      "<routeTableSet><item><routeTableId>rtb-1</routeTableId><associationSet><item><main>true</main></item>"
      "</associationSet><routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock></item></"
      "routeSet></item>"
      "<item><routeTableId>rtb-2</routeTableId><associationSet><item><subnetId>subnet-1</subnetId></item>"
      "</associationSet><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><state>active</"
      "state>"
      "</item></routeSet></item><item><routeTableId>rtb-3</routeTableId><routeSet><item>"
      "<destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><state>blackhole</state></item></routeSet></"
      "item>"
      "</routeTableSet>"));
  ASSERT_TRUE(tables);
  ASSERT_EQ(tables->size(), 3u);
  EXPECT_TRUE((*tables)[0].is_main);
  EXPECT_FALSE((*tables)[0].leads_out);
  EXPECT_TRUE((*tables)[1].leads_out);
  EXPECT_EQ((*tables)[1].subnets, std::vector<std::string>{"subnet-1"});
  EXPECT_FALSE((*tables)[2].leads_out);
}

TEST(ParseSecurityGroups, TellWhoMayComeIn) {
  const auto groups = parseSecurityGroups(
      inside("DescribeSecurityGroupsResponse",
             "<securityGroupInfo><item><groupId>sg-1</groupId><groupName>n</groupName><vpcId>vpc-1</"
             "vpcId><ipPermissions>"
             "<item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-1</groupId></item></groups></item>"
             "<item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort><ipRanges><item>"
             "<cidrIp>203.0.113.7/32</cidrIp></item></ipRanges></item><item><ipProtocol>tcp</ipProtocol>"
             "<fromPort>80</fromPort><toPort>80</toPort><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item></"
             "ipRanges></item>"
             "</ipPermissions></item></securityGroupInfo>"));
  ASSERT_TRUE(groups);
  ASSERT_EQ(groups->size(), 1u);
  EXPECT_TRUE((*groups)[0].open_within);
  EXPECT_EQ((*groups)[0].ssh_from, std::vector<std::string>{"203.0.113.7/32"});
}

TEST(Answers, OfIamAreLists) {
  const auto page = parseProfilePage(
      "<ListInstanceProfilesResponse><ListInstanceProfilesResult><IsTruncated>true</IsTruncated><Marker>m"
      "</Marker><InstanceProfiles><member><InstanceProfileName>a</InstanceProfileName></member><member>"
      "<InstanceProfileName>b</InstanceProfileName></member></InstanceProfiles></ListInstanceProfilesResult>"
      "</ListInstanceProfilesResponse>");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(page->next, "m");
  const auto arns = parseAttachedPolicies(
      "<ListAttachedRolePoliciesResponse><ListAttachedRolePoliciesResult><AttachedPolicies><member><"
      "PolicyArn>"
      "arn:1</PolicyArn></member></AttachedPolicies></ListAttachedRolePoliciesResult>"
      "</ListAttachedRolePoliciesResponse>");
  ASSERT_TRUE(arns);
  EXPECT_EQ(*arns, std::vector<std::string>{"arn:1"});
}

TEST(Answers, ThatAreSomethingElseAreRefused) {
  for (const std::string& body :
       {std::string(), std::string("<html/>"), std::string("\0\0", 2), inside("Other", "")}) {
    EXPECT_EQ(parseInstances(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseRun(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseFleet(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseGroupId(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseInstanceProfile(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseProfilePage(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseAttachedPolicies(body).error().code, ErrorCode::internal);
    EXPECT_EQ(parseParameter(body).error().code, ErrorCode::internal);
  }
  EXPECT_FALSE(parseRun(inside("RunInstancesResponse", "<instancesSet/>")))
      << "a success without a machine is none";
  EXPECT_FALSE(parseGroupId(inside("CreateSecurityGroupResponse", "")));
}

}  // namespace
}  // namespace buoy::cloud::aws
