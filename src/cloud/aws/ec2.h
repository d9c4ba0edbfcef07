#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "cloud/aws/answers.h"
#include "cloud/aws/caller.h"
#include "cloud/aws/parameters.h"

// The operations of EC2, IAM, STS and SSM that Buoy uses, one function each. Threads: any; each blocks.
// `stop` ends the wait.
namespace buoy::cloud::aws {

// What a machine is made of, for a launch template.
struct TemplateData {
  std::string image;
  std::string key_pair;                      // empty: none
  std::vector<std::string> security_groups;  // ids
  std::string instance_profile;              // name
  std::string root_device;                   // with root_gib
  std::int64_t root_gib = 0;                 // zero: the image's own
  std::string user_data;                     // as it is: encoded here
  std::vector<Tag> tags;                     // of the volumes
};

// A type in a zone.
struct Override {
  std::string type, zone, subnet;
  PricePerHour max_price{};  // zero: none
};

struct FleetRequest {
  std::string token;
  std::string launch_template;
  std::int64_t version = 1;
  std::vector<Override> overrides;
  bool spot = true;
  std::vector<Tag> tags;  // of the machine and of the fleet
};

class Ec2 {
 public:
  explicit Ec2(CallerOptions options) : caller_(std::move(options)) {}
  Caller& caller() { return caller_; }

  // ---- machines
  Answer<FleetAnswer> createFleet(const FleetRequest& request, const std::stop_token& stop);
  // The first override only.
  Answer<Instance> runInstance(const FleetRequest& request, const std::stop_token& stop);
  Answer<std::vector<Terminated>> terminate(const std::vector<std::string>& ids, const std::stop_token& stop);
  // All pages, `visit` called for each.
  Answer<void> describeInstances(const std::vector<Filter>& filters,
                                 const std::function<void(std::vector<Instance>)>& visit,
                                 const std::stop_token& stop);
  // Of these types, since then, in order of time and latest first.
  Answer<std::vector<SpotPrice>> spotPrices(const std::vector<std::string>& types, Time since,
                                            const std::stop_token& stop);

  // ---- what machines are made of
  Answer<std::vector<Image>> images(const std::string& id, const std::string& name, const std::string& owner,
                                    const std::stop_token& stop);
  Answer<std::string> parameter(const std::string& name, const std::stop_token& stop);
  Answer<std::vector<TypeInfo>> types(const std::vector<std::string>& names, const std::stop_token& stop);
  Answer<LaunchTemplate> createTemplate(const std::string& name, const std::string& token,
                                        const TemplateData& data, const std::vector<Tag>& tags,
                                        const std::stop_token& stop);
  Answer<std::vector<LaunchTemplate>> templates(const std::vector<Filter>& filters,
                                                const std::stop_token& stop);
  Answer<void> deleteTemplate(const std::string& id, const std::stop_token& stop);

  // ---- network and access
  Answer<std::vector<Vpc>> vpcs(const std::vector<Filter>& filters, const std::stop_token& stop);
  Answer<std::vector<Subnet>> subnets(const std::vector<Filter>& filters, const std::stop_token& stop);
  Answer<std::vector<RouteTable>> routeTables(const std::string& vpc, const std::stop_token& stop);
  Answer<std::vector<SecurityGroup>> securityGroups(const std::vector<Filter>& filters,
                                                    const std::stop_token& stop);
  Answer<std::string> createSecurityGroup(const std::string& name, const std::string& vpc,
                                          const std::vector<Tag>& tags, const std::stop_token& stop);
  Answer<void> allowSsh(const std::string& group, const std::vector<std::string>& from,
                        const std::stop_token& stop);
  Answer<void> allowWithin(const std::string& group, const std::stop_token& stop);
  Answer<void> deleteSecurityGroup(const std::string& id, const std::stop_token& stop);
  Answer<std::vector<KeyPair>> keyPairs(const std::string& name, const std::stop_token& stop);
  Answer<std::string> createKeyPair(const std::string& name, const std::vector<Tag>& tags,
                                    const std::stop_token& stop);  // the private key; secret

  // ---- roles
  Answer<InstanceProfile> instanceProfile(const std::string& name, const std::stop_token& stop);
  // Those whose names begin so.
  Answer<std::vector<std::string>> instanceProfiles(const std::string& prefix, const std::stop_token& stop);
  // A role of that name that EC2 may take, with this policy and the `managed` ones (ARNs), in a profile of
  // the same name. Each part may exist.
  Answer<void> makeInstanceProfile(const std::string& name, const std::string& policy,
                                   const std::vector<std::string>& managed, const std::vector<Tag>& tags,
                                   const std::stop_token& stop);
  Answer<void> deleteInstanceProfile(const std::string& name, const std::stop_token& stop);
  Answer<Identity> identity(const std::stop_token& stop);

 private:
  Answer<std::string> ec2(const std::string& action, Parameters parameters, const std::stop_token& stop);
  Answer<std::string> iam(const std::string& action, Parameters parameters, const std::stop_token& stop);
  template <class T>
  Answer<T> parsed(const std::string& action, Result<T> result);
  // What was there already is as good.
  Answer<void> ensured(Answer<std::string> answer);
  // What is gone already is as good.
  Answer<void> removed(Answer<std::string> answer);
  template <class T>
  Answer<std::vector<T>> listed(const std::string& action, const std::vector<Filter>& filters,
                                Result<std::vector<T>> (*parse)(std::string_view),
                                const std::stop_token& stop);

  Caller caller_;
};

}  // namespace buoy::cloud::aws
