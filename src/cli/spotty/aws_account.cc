#include "cli/spotty/aws_account.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "base/strings.h"
#include "cli/aws_checks.h"
#include "cli/transfer/args.h"
#include "cloud/aws/ebs.h"
#include "cloud/aws/on_demand.h"
#include "gateways/spotty/names.h"
#include "os/files.h"
#include "os/paths.h"

namespace buoy::cli {
namespace {

namespace ec2 = cloud::aws;
namespace spotty = gateways::spotty;

constexpr Duration kRecentPrices = std::chrono::hours{1};
constexpr std::size_t kBucketLetters = 12;
constexpr std::int64_t kRoomBesideImage = 5;  // GiB, as Spotty adds
constexpr const char* kOwnImage = "SpottyAMI";
constexpr const char* kDeepLearningImage = "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) *";

tl::unexpected<Error> refuse(std::string why) {
  return fail(ErrorCode::failed_precondition, std::move(why));
}

std::string randomLetters(std::size_t count) {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::uniform_int_distribution<std::size_t> which(0, letters.size() - 1);
  std::string text;
  while (text.size() < count) text += letters[which(random)];
  return text;
}

// Empty: there is none.
Result<std::string> findBucket(objstore::s3::Client& client, const SpottyChoice& choice) {
  BUOY_TRY(const std::vector<std::string> all, client.listBuckets({}));
  std::vector<std::string> found;
  for (const std::string& bucket : all) {
    if (spotty::isBucketOf(bucket, choice.project.name, choice.parameters.region)) found.push_back(bucket);
  }
  if (found.size() > 1)
    return refuse(strCat({"there are several buckets of this project: ", join(found, ", "),
                          "; remove those that are not used"}));
  return found.empty() ? std::string() : found.front();
}

Result<std::string> bucketAt(const SpottyChoice& choice, bool make) {
  StoreFlags flags;
  flags.region = choice.parameters.region;
  BUOY_TRY(const auto client, openStore(flags));
  BUOY_TRY(std::string bucket, findBucket(*client, choice));
  if (!bucket.empty() || !make) return bucket;
  bucket = spotty::bucketName(choice.project.name, choice.parameters.region, randomLetters(kBucketLetters));
  BUOY_TRY_VOID(client->createBucket(bucket, {}));
  return bucket;
}

Result<ec2::Image> newestImage(ec2::Ec2& aws, const std::string& id, const std::string& name,
                               const std::string& owner) {
  auto answer = aws.images(id, name, owner, {});
  if (!answer && answer.error().kind == ec2::RefusalKind::not_found) answer = std::vector<ec2::Image>();
  BUOY_TRY(const std::vector<ec2::Image> found, ec2::resultOf(std::move(answer)));
  const auto newest = std::max_element(found.begin(), found.end(),
                                       [](const auto& a, const auto& b) { return a.created < b.created; });
  if (newest == found.end()) return fail(ErrorCode::not_found, "there is no image " + id + name);
  return *newest;
}

// As Spotty chooses; not_found only if one is named.
Result<ec2::Image> imageFor(ec2::Ec2& aws, const spotty::Parameters& parameters) {
  if (!parameters.ami_id.empty() || !parameters.ami_name.empty()) {
    auto image = newestImage(aws, parameters.ami_id, parameters.ami_name, {});
    if (image || image.error().code != ErrorCode::not_found) return image;
    return refuse(strCat({"there is no image ", parameters.ami_id, parameters.ami_name, " in ",
                          parameters.region, ": images belong to one region"}));
  }
  for (const auto& [name, owner] : {std::pair{kOwnImage, "self"}, std::pair{kDeepLearningImage, "amazon"}}) {
    auto image = newestImage(aws, {}, name, owner);
    if (image || image.error().code != ErrorCode::not_found) return image;
  }
  return ec2::Image{};  // Buoy's usual one
}

// Now, the lowest of the zones where it may be; zero: EC2 names none.
Result<PricePerHour> spotPriceNow(ec2::Ec2& aws, const spotty::Parameters& parameters) {
  BUOY_TRY(const std::vector<ec2::SpotPrice> history,
           ec2::resultOf(aws.spotPrices({parameters.instance_type}, wallClock() - kRecentPrices, {})));
  std::map<std::string, ec2::SpotPrice> newest;
  for (const ec2::SpotPrice& price : history) {
    if (!parameters.zone.empty() && price.zone != parameters.zone) continue;
    const auto [at, fresh] = newest.emplace(price.zone, price);
    if (!fresh && at->second.since < price.since) at->second = price;
  }
  PricePerHour lowest{};
  for (const auto& [zone, price] : newest) {
    if (lowest.nano_usd == 0 || price.price < lowest) lowest = price.price;
  }
  return lowest;
}

Result<engine::MachineType> typeFor(ec2::Ec2& aws, const spotty::Parameters& parameters) {
  const std::string& name = parameters.instance_type;
  BUOY_TRY(const std::vector<ec2::TypeInfo> known, ec2::resultOf(aws.types({name}, {})));
  const auto info =
      std::find_if(known.begin(), known.end(), [&](const ec2::TypeInfo& type) { return type.name == name; });
  if (info == known.end())
    return refuse(strCat({"EC2 has no type ", inQuotes(name), " in ", parameters.region}));
  engine::MachineType type;
  type.name = name;
  type.resources = {info->cpus * 1000, info->gpus,
                    ByteCount{static_cast<std::uint64_t>(info->memory_mib) << 20}};
  BUOY_TRY(type.spot_price, spotPriceNow(aws, parameters));
  std::string why;
  const auto full =
      ec2::OnDemandPrices("", wallClockOfAws()).of(aws.caller(), {name}, parameters.region, &why, {});
  const auto found = full.find(name);
  type.on_demand_price = found == full.end() ? type.spot_price : found->second.price;
  return type;
}

Status checkPrice(const spotty::Parameters& parameters, const engine::MachineType& type) {
  if (!parameters.spot || parameters.max_price.empty()) return {};
  BUOY_TRY(const PricePerHour most, priceFromUsd(std::strtod(parameters.max_price.c_str(), nullptr)));
  if (type.spot_price <= most) return {};
  return refuse(
      strCat({"a spot machine of type ", type.name, " costs ", formatMoney(Money{type.spot_price.nano_usd}),
              " an hour now, more than maxPrice (", formatMoney(Money{most.nano_usd}), ")"}));
}

template <class T>
const T* namedLike(const std::vector<T>& all, const std::string& name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const T& each) { return each.name() == name; });
  return found == all.end() ? nullptr : &*found;
}

// What becomes of each volume; refused where a launch could not have them.
Result<std::vector<std::string>> lookAtVolumes(ec2::Ec2& aws, const spotty::Parameters& parameters) {
  std::vector<std::string> names, told;
  for (const spotty::Volume& volume : parameters.volumes) names.push_back(volume.disk);
  if (names.empty()) return told;
  ec2::Ebs ebs(aws.caller());
  BUOY_TRY(auto volumes, ec2::resultOf(ebs.volumes({{"tag:Name", names}}, {})));
  std::erase_if(volumes, [](const ec2::Volume& each) { return !each.exists(); });
  BUOY_TRY(const auto snapshots, ec2::resultOf(ebs.snapshots({{"tag:Name", names}}, {})));
  std::string zone = parameters.zone, because = "availabilityZone";
  for (const spotty::Volume& volume : parameters.volumes) {
    if (const ec2::Volume* const there = namedLike(volumes, volume.disk)) {
      if (!zone.empty() && there->zone != zone)
        return refuse(strCat({"volume ", volume.disk, " is in ", there->zone, ", but ", because, " says ",
                              zone, ": a volume does not leave its zone (a snapshot of it can)"}));
      zone = there->zone;
      because = "volume " + volume.disk;
      told.push_back(strCat({"volume ", volume.disk, ": ", there->id, " in ", there->zone, " is taken"}));
    } else if (const ec2::Snapshot* const copy = namedLike(snapshots, volume.disk)) {
      told.push_back(strCat({"volume ", volume.disk, ": made of snapshot ", copy->id}));
    } else if (volume.size_gib == 0) {
      return refuse(strCat({"volume ", volume.disk,
                            " does not exist, and there is no snapshot of that name: it needs a size"}));
    } else {
      told.push_back(
          strCat({"volume ", volume.disk, ": a new one of ", std::to_string(volume.size_gib), " GiB"}));
    }
  }
  return told;
}

Status makeKeyPair(const SpottyChoice& choice, ec2::Ec2& aws,
                   const std::function<void(const std::string&)>& tell) {
  const std::string name = spotty::keyPairName(choice.project.name, choice.parameters.region);
  const std::string path = keyFileOf(choice);
  BUOY_TRY_VOID(os::makeDirectories(os::parentOf(path), 0700));
  if (os::exists(path)) {
    // Of a pair that EC2 has no longer: it may be somebody's only copy.
    const std::string aside =
        strCat({path, ".", std::to_string(wallClock().time_since_epoch().count() / 1'000'000)});
    if (std::rename(path.c_str(), aside.c_str()) != 0) return failErrno(errno, path);
    tell(strCat({"EC2 has no key pair ", name, " any more; its old key is now ", aside}));
  }
  BUOY_TRY(const std::string material, ec2::resultOf(aws.createKeyPair(name, {}, {})));
  BUOY_TRY_VOID(os::createFileExclusive(path, material, 0600));
  tell(strCat({"made key pair ", name, " (", path, ")"}));
  return {};
}

}  // namespace

std::string keyFileOf(const SpottyChoice& choice) {
  const char* const home = std::getenv("HOME");
  return strCat({home == nullptr ? "/root" : home, "/.spotty/keys/aws/",
                 spotty::keyPairName(choice.project.name, choice.parameters.region)});
}

Result<AwsAccount> lookAtAws(const SpottyChoice& choice) {
  const spotty::Parameters& parameters = choice.parameters;
  AwsAccount account;
  BUOY_TRY(account.ec2, openAws({}, parameters.region));
  BUOY_TRY(account.facts.bucket, bucketAt(choice, false));
  const std::string pair = spotty::keyPairName(choice.project.name, parameters.region);
  BUOY_TRY(const auto pairs, ec2::resultOf(account.ec2->keyPairs(pair, {})));
  account.has_key_pair = !pairs.empty();
  if (account.has_key_pair && ::access(keyFileOf(choice).c_str(), R_OK) != 0)
    return refuse(strCat({"EC2 has the key pair ", pair, ", but its private key is not here: copy it to ",
                          keyFileOf(choice),
                          " from the computer that has it, or delete the pair (`aws ec2 "
                          "delete-key-pair --key-name ",
                          pair, "`), and a new one is made"}));
  BUOY_TRY(account.volumes, lookAtVolumes(*account.ec2, parameters));
  BUOY_TRY(const ec2::Image image, imageFor(*account.ec2, parameters));
  account.facts.image = image.id;
  account.facts.root_gib = image.root_gib == 0 ? 0 : image.root_gib + kRoomBesideImage;
  BUOY_TRY(account.facts.type, typeFor(*account.ec2, parameters));
  BUOY_TRY_VOID(checkPrice(parameters, account.facts.type));
  return account;
}

Status completeAws(const SpottyChoice& choice, AwsAccount& account,
                   const std::function<void(const std::string&)>& tell) {
  if (account.facts.bucket.empty()) {
    BUOY_TRY(account.facts.bucket, bucketAt(choice, true));
    tell("made bucket " + account.facts.bucket);
  }
  if (account.has_key_pair) return {};
  return makeKeyPair(choice, *account.ec2, tell);
}

Result<std::string> projectCopyOf(const SpottyChoice& choice) {
  BUOY_TRY(const std::string bucket, bucketAt(choice, false));
  if (bucket.empty())
    return fail(ErrorCode::not_found, "the project has no bucket in " + choice.parameters.region);
  return projectCopyIn(bucket);
}

Result<ec2::Instance> instanceOnAws(const SpottyChoice& choice, const std::string& id) {
  BUOY_TRY(const auto aws, openAws({}, choice.parameters.region));
  std::vector<ec2::Instance> found;
  BUOY_TRY_VOID(ec2::resultOf(aws->describeInstances(
      {{"instance-id", {id}}},
      [&](std::vector<ec2::Instance> page) { found.insert(found.end(), page.begin(), page.end()); }, {})));
  if (found.empty()) return fail(ErrorCode::not_found, "EC2 knows no instance " + id);
  return found.front();
}

}  // namespace buoy::cli
