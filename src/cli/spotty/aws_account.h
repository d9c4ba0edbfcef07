#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/spotty/choice.h"
#include "cloud/aws/ec2.h"
#include "gateways/spotty/aws_pool.h"

namespace buoy::cli {

// What is in the account for an instance on AWS, found by Spotty's names, and what it is to be made of.
struct AwsAccount {
  std::unique_ptr<cloud::aws::Ec2> ec2;
  gateways::spotty::AwsFacts facts;  // its bucket is empty: there is none yet
  bool has_key_pair = false;
  std::vector<std::string> volumes;  // for people: what becomes of each
};

// Changes nothing. failed_precondition or invalid_argument: it cannot be started like this, and why.
Result<AwsAccount> lookAtAws(const SpottyChoice& choice);
// Makes the bucket and the key pair, if there are none; `tell` is told.
Status completeAws(const SpottyChoice& choice, AwsAccount& account,
                   const std::function<void(const std::string&)>& tell);

// The bucket's copy of the project, "s3://spotty-…/project". not_found: there is no bucket.
Result<std::string> projectCopyOf(const SpottyChoice& choice);
inline std::string projectCopyIn(const std::string& bucket) {
  return "s3://" + bucket + "/project";
}
// The private key of the pair, on this computer.
std::string keyFileOf(const SpottyChoice& choice);
// By its id. not_found.
Result<cloud::aws::Instance> instanceOnAws(const SpottyChoice& choice, const std::string& id);

}  // namespace buoy::cli
