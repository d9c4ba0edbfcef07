#include "cloud/aws/policy.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "base/strings.h"
#include "cloud/aws/names.h"
#include "objstore/s3/client.h"

namespace buoy::cloud::aws {
namespace {

using Json = nlohmann::ordered_json;

struct StoreArns {
  std::string bucket, objects;
};

StoreArns arnsOf(const std::string& store_uri) {
  const auto at = objstore::s3::parseLocation(store_uri).value_or(objstore::s3::Location{"BUCKET", "PREFIX"});
  std::string prefix = at.key;
  while (prefix.ends_with('/')) prefix.pop_back();
  const std::string bucket = "arn:aws:s3:::" + at.bucket;
  return {bucket, strCat({bucket, "/", prefix, prefix.empty() ? "*" : "/*"})};
}

Json allow(const char* id, std::vector<std::string> actions, const Json& resource,
           const Json& condition = nullptr) {
  Json statement{{"Sid", id}, {"Effect", "Allow"}, {"Action", std::move(actions)}, {"Resource", resource}};
  if (!condition.is_null()) statement["Condition"] = condition;
  return statement;
}

Json document(const Json& statements, int indent) {
  return Json{{"Version", "2012-10-17"}, {"Statement", statements}}.dump(indent);
}

const std::vector<std::string> kObjectActions{"s3:GetObject", "s3:PutObject", "s3:DeleteObject",
                                              "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"};

}  // namespace

std::string machinePolicy(const std::string& store_uri, const std::vector<std::string>& buckets) {
  const StoreArns arns = arnsOf(store_uri);
  Json statements = Json::array(
      {allow("Objects", kObjectActions, arns.objects), allow("List", {"s3:ListBucket"}, arns.bucket)});
  if (!buckets.empty()) {
    Json whole = Json::array(), objects = Json::array();
    for (const std::string& bucket : buckets) {
      whole.push_back("arn:aws:s3:::" + bucket);
      objects.push_back(strCat({"arn:aws:s3:::", bucket, "/*"}));
    }
    statements.push_back(allow("ObjectsOfBuckets", kObjectActions, objects));
    statements.push_back(allow("ListBuckets", {"s3:ListBucket"}, whole));
  }
  return document(statements, -1);
}

std::string controlPolicy(const std::string& store_uri) {
  const StoreArns arns = arnsOf(store_uri);
  const Json tagged{{"Null", {{strCat({"aws:ResourceTag/", kClusterTag}), "false"}}}};
  const Json roles = Json::array({"arn:aws:iam::*:role/buoy-*", "arn:aws:iam::*:instance-profile/buoy-*"});
  return document(
      Json::array(
          {allow("Look",
                 {"ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeImages",
                  "ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeRouteTables",
                  "ec2:DescribeSecurityGroups", "ec2:DescribeKeyPairs", "ec2:DescribeLaunchTemplates",
                  "ec2:DescribeSpotPriceHistory", "ec2:DescribeVolumes", "ec2:DescribeSnapshots",
                  "pricing:GetProducts", "ssm:GetParameter", "sts:GetCallerIdentity"},
                 "*"),
           allow("Launch",
                 {"ec2:CreateFleet", "ec2:RunInstances", "ec2:CreateLaunchTemplate",
                  "ec2:CreateSecurityGroup", "ec2:CreateKeyPair", "ec2:CreateVolume", "ec2:CreateSnapshot"},
                 "*"),
           allow("TagWhatIsMade", {"ec2:CreateTags"}, "*",
                 Json{{"StringEquals",
                       {{"ec2:CreateAction",
                         {"CreateFleet", "RunInstances", "CreateLaunchTemplate", "CreateSecurityGroup",
                          "CreateKeyPair", "CreateVolume", "CreateSnapshot"}}}}}),
           allow("SharedFileSystems",
                 {"elasticfilesystem:DescribeFileSystems", "elasticfilesystem:CreateFileSystem",
                  "elasticfilesystem:TagResource", "elasticfilesystem:DescribeMountTargets",
                  "elasticfilesystem:CreateMountTarget", "ec2:DescribeNetworkInterfaces",
                  "ec2:CreateNetworkInterface"},
                 "*"),
           allow("EndSharedFileSystems",
                 {"elasticfilesystem:DeleteMountTarget", "elasticfilesystem:DeleteFileSystem",
                  "ec2:DeleteNetworkInterface"},
                 "*", tagged),
           // Volumes are taken by their names, whoever made them.
           allow("MarkVolumes", {"ec2:CreateTags", "ec2:DeleteTags"},
                 Json::array({"arn:aws:ec2:*:*:volume/*", "arn:aws:ec2:*:*:snapshot/*"})),
           allow("EndWhatIsBuoys",
                 {"ec2:TerminateInstances", "ec2:DeleteLaunchTemplate", "ec2:DeleteSecurityGroup",
                  "ec2:AuthorizeSecurityGroupIngress", "ec2:AttachVolume", "ec2:DetachVolume",
                  "ec2:ModifyVolume", "ec2:DeleteVolume", "ec2:DeleteSnapshot"},
                 "*", tagged),
           allow("Roles",
                 {"iam:GetInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile",
                  "iam:AddRoleToInstanceProfile", "iam:RemoveRoleFromInstanceProfile",
                  "iam:TagInstanceProfile", "iam:CreateRole", "iam:DeleteRole", "iam:PutRolePolicy",
                  "iam:DeleteRolePolicy", "iam:TagRole", "iam:AttachRolePolicy", "iam:DetachRolePolicy",
                  "iam:ListAttachedRolePolicies"},
                 roles),
           allow("LookForProfiles", {"iam:ListInstanceProfiles"}, "*"),
           allow("GiveTheRoleToMachines", {"iam:PassRole"}, "arn:aws:iam::*:role/buoy-*",
                 Json{{"StringEquals", {{"iam:PassedToService", "ec2.amazonaws.com"}}}}),
           allow("FirstSpotMachineOfAnAccount", {"iam:CreateServiceLinkedRole"},
                 Json::array({"arn:aws:iam::*:role/aws-service-role/spot.amazonaws.com/*",
                              "arn:aws:iam::*:role/aws-service-role/ec2fleet.amazonaws.com/*"})),
           allow("Objects", kObjectActions, arns.objects), allow("List", {"s3:ListBucket"}, arns.bucket)}),
      2);
}

}  // namespace buoy::cloud::aws
