#include "cli/aws_checks.h"

#include <algorithm>

#include "api/config.h"
#include "base/strings.h"
#include "cli/connection.h"
#include "cloud/aws/pool_config.h"
#include "os/environment.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::cli {
namespace {

namespace ec2 = cloud::aws;
using State = Check::State;

constexpr std::uint64_t kMaxConfig = 4 << 20;

template <class T>
Check checkOf(std::string subject, const ec2::Answer<T>& answer, std::string found, std::string advice) {
  if (answer) return {State::good, std::move(subject), std::move(found), ""};
  return {State::bad, std::move(subject), answer.error().error.message, std::move(advice)};
}

// What the server's configuration says for its machines on AWS.
std::vector<Check> checkConfiguration(std::vector<ec2::PoolConfig>* pools) {
  const std::string file = configFile();
  const auto text =
      file.empty() ? Result<std::string>(fail(ErrorCode::not_found, "")) : os::readFile(file, kMaxConfig);
  if (!text)
    return {
        {State::limited, "configuration", "there is none",
         "add a pool with `provider: aws` to $XDG_CONFIG_HOME/buoy/config.yaml; docs/aws.md has an example"}};
  const auto config = api::parseServerConfig(*text, file);
  if (!config) return {{State::bad, "configuration", config.error().front().toString(), "put it right"}};
  for (const engine::Pool& pool : config->pools) {
    if (pool.provider != "aws") continue;
    if (auto parsed = ec2::parsePoolConfig(pool.provider_config)) pools->push_back(std::move(*parsed));
  }
  if (pools->empty())
    return {{State::limited, "configuration", file + " has no pool with `provider: aws`",
             "docs/aws.md has an example"}};
  std::vector<Check> checks{{State::good, "configuration", file, ""}};
  if (config->advertise.empty() && config->listen.empty())
    checks.push_back({State::bad, "address", "agents on EC2 have no address of the server",
                      "set `listen` and `advertise` in " + file});
  else
    checks.push_back(
        {State::good, "address", config->advertise.empty() ? config->listen.front() : config->advertise, ""});
  return checks;
}

Check checkImage(ec2::Ec2& aws, const ec2::PoolConfig& pool) {
  const std::string advice = "images belong to one region: set `image: {id: ami-…}` in the pool";
  std::string id = pool.image_id, found = pool.image_id;
  if (id.empty() && pool.image_name.empty()) {
    const std::string parameter =
        pool.image_parameter.empty() ? ec2::kDefaultImageParameter : pool.image_parameter;
    const auto value = aws.parameter(parameter, {});
    if (!value) return checkOf("image", value, "", advice);
    id = *value;
    found = strCat({id, " by ", parameter});
  }
  const auto images = aws.images(id, pool.image_name, pool.image_owner, {});
  if (!images) return checkOf("image", images, "", advice);
  const std::string wanted = id.empty() ? pool.image_name : id;
  if (images->empty()) return {State::bad, "image", "there is no image " + wanted, advice};
  if (images->front().architecture != "x86_64")
    return {State::bad, "image", strCat({wanted, " is for ", images->front().architecture}),
            "Buoy's agent runs on x86_64 only: name another image"};
  return {State::good, "image", found.empty() ? wanted : found, ""};
}

std::vector<Check> checkRegion(ec2::Ec2& aws, const ec2::PoolConfig& pool) {
  const std::string region = aws.caller().settings().region;
  std::vector<Check> checks;
  ec2::Answer<std::vector<ec2::Vpc>> vpcs = std::vector<ec2::Vpc>{{pool.vpc, false}};
  if (pool.vpc.empty() && pool.subnets.empty()) vpcs = aws.vpcs({{"is-default", {"true"}}}, {});
  checks.push_back(checkOf("rights", vpcs, "EC2 in " + region + " answers", ""));
  if (!vpcs) return checks;
  if (vpcs->empty())
    checks.push_back({State::bad, "network", "there is no default VPC in " + region,
                      "name a `vpc` or `subnets` in the pool"});
  else
    checks.push_back({State::good, "network",
                      pool.subnets.empty() ? "VPC " + vpcs->front().id : join(pool.subnets, ", "), ""});
  checks.push_back(checkImage(aws, pool));
  const auto prices = aws.spotPrices({"m5.large"}, wallClockOfAws().now(), {});
  checks.push_back(checkOf("prices", prices, "spot prices can be read", ""));
  return checks;
}

}  // namespace

const Clock& wallClockOfAws() {
  static const os::SystemClock clock;
  return clock;
}

Result<std::unique_ptr<ec2::Ec2>> openAws(const std::string& profile, const std::string& region) {
  BUOY_TRY(ec2::CallerOptions options,
           ec2::callerOptions(os::processEnvironment(), profile, region, wallClockOfAws()));
  options.patience = std::chrono::seconds{30};
  return std::make_unique<ec2::Ec2>(std::move(options));
}

std::vector<Check> checkAws(const std::string& profile, const std::string& region) {
  std::vector<ec2::PoolConfig> pools;
  std::vector<Check> checks = checkConfiguration(&pools);
  if (pools.empty() || !region.empty()) {
    pools.assign(1, {});
    pools.front().region = region;
    pools.front().profile = profile;
  }
  for (const ec2::PoolConfig& pool : pools) {
    auto opened = openAws(profile.empty() ? pool.profile : profile, pool.region);
    const std::string advice =
        "`aws configure` keeps a key pair for AWS's tools and Buoy alike; AWS_PROFILE names one of several";
    if (!opened) {
      checks.push_back({State::bad, "keys", opened.error().message, advice});
      continue;
    }
    const auto identity = (*opened)->identity({});
    checks.push_back(checkOf("keys", identity, identity ? identity->arn : "", advice));
    if (!identity) continue;
    for (Check& check : checkRegion(**opened, pool)) checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace buoy::cli
