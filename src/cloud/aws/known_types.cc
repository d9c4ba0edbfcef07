#include "cloud/aws/known_types.h"

#include <array>
#include <cmath>
#include <cstdint>

#include "base/strings.h"

namespace buoy::cloud::aws {
namespace {

constexpr std::uint64_t kGiB = 1024;  // of memory, in MiB

// us-east-1. From AWS's public lists (https://aws.amazon.com/ec2/pricing/on-demand/,
// https://aws.amazon.com/ec2/instance-types/).
struct Type {
  std::string_view name;
  double usd;
  int cpus;
  std::uint64_t mib;
  int gpus;
};
constexpr std::array kTypes = {
    Type{"t3.nano", 0.0052, 2, 512, 0},
    Type{"t3.micro", 0.0104, 2, 1024, 0},
    Type{"t3.small", 0.0208, 2, 2048, 0},
    Type{"t3.medium", 0.0416, 2, 4096, 0},
    Type{"g4dn.xlarge", 0.526, 4, 16 * kGiB, 1},
    Type{"g4dn.2xlarge", 0.752, 8, 32 * kGiB, 1},
    Type{"g4dn.4xlarge", 1.204, 16, 64 * kGiB, 1},
    Type{"g4dn.8xlarge", 2.176, 32, 128 * kGiB, 1},
    Type{"g4dn.12xlarge", 3.912, 48, 192 * kGiB, 4},
    Type{"g4dn.16xlarge", 4.352, 64, 256 * kGiB, 1},
    Type{"g4dn.metal", 7.824, 96, 384 * kGiB, 8},
    Type{"g5.xlarge", 1.006, 4, 16 * kGiB, 1},
    Type{"g5.2xlarge", 1.212, 8, 32 * kGiB, 1},
    Type{"g5.4xlarge", 1.624, 16, 64 * kGiB, 1},
    Type{"g5.8xlarge", 2.448, 32, 128 * kGiB, 1},
    Type{"g5.12xlarge", 5.672, 48, 192 * kGiB, 4},
    Type{"g5.16xlarge", 4.096, 64, 256 * kGiB, 1},
    Type{"g5.24xlarge", 8.144, 96, 384 * kGiB, 4},
    Type{"g5.48xlarge", 16.288, 192, 768 * kGiB, 8},
    Type{"g6.xlarge", 0.8048, 4, 16 * kGiB, 1},
    Type{"g6.2xlarge", 0.9776, 8, 32 * kGiB, 1},
    Type{"g6.4xlarge", 1.3232, 16, 64 * kGiB, 1},
    Type{"g6.8xlarge", 2.0144, 32, 128 * kGiB, 1},
    Type{"g6.12xlarge", 4.6016, 48, 192 * kGiB, 4},
    Type{"g6.16xlarge", 3.3968, 64, 256 * kGiB, 1},
    Type{"g6.24xlarge", 6.6752, 96, 384 * kGiB, 4},
    Type{"g6.48xlarge", 13.3504, 192, 768 * kGiB, 8},
    Type{"g6e.xlarge", 1.861, 4, 32 * kGiB, 1},
    Type{"g6e.2xlarge", 2.24208, 8, 64 * kGiB, 1},
    Type{"g6e.4xlarge", 3.00424, 16, 128 * kGiB, 1},
    Type{"g6e.8xlarge", 4.52856, 32, 256 * kGiB, 1},
    Type{"g6e.12xlarge", 10.493, 48, 384 * kGiB, 4},
    Type{"g6e.16xlarge", 7.577, 64, 512 * kGiB, 1},
    Type{"g6e.24xlarge", 15.066, 96, 768 * kGiB, 4},
    Type{"g6e.48xlarge", 30.131, 192, 1536 * kGiB, 8},
    Type{"p2.xlarge", 0.9, 4, 61 * kGiB, 1},
    Type{"p2.8xlarge", 7.2, 32, 488 * kGiB, 8},
    Type{"p2.16xlarge", 14.4, 64, 732 * kGiB, 16},
    Type{"p3.2xlarge", 3.06, 8, 61 * kGiB, 1},
    Type{"p3.8xlarge", 12.24, 32, 244 * kGiB, 4},
    Type{"p3.16xlarge", 24.48, 64, 488 * kGiB, 8},
    Type{"p3dn.24xlarge", 31.212, 96, 768 * kGiB, 8},
    Type{"p4d.24xlarge", 21.9576, 96, 1152 * kGiB, 8},
    Type{"p4de.24xlarge", 27.447, 96, 1152 * kGiB, 8},
    Type{"p5.48xlarge", 55.04, 192, 2048 * kGiB, 8},
};

// The sizes that a family has, each between blanks.
constexpr std::string_view kOfT3 = " large xlarge 2xlarge ";
constexpr std::string_view kOfC5 = " large xlarge 2xlarge 4xlarge 9xlarge 12xlarge 18xlarge 24xlarge ";
constexpr std::string_view kOf7i =
    " large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 48xlarge ";
constexpr std::string_view kTo48 =
    " large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge 48xlarge ";
constexpr std::string_view kTo32 =
    " large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge 32xlarge ";
constexpr std::string_view kTo24 = " large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge 24xlarge ";

// Families in which price and memory are those of the size `large`, which has two vCPUs, times the size.
struct Family {
  std::string_view name;
  double usd;
  std::uint64_t mib;
  std::string_view sizes;
};
constexpr std::array kFamilies = {
    Family{"t3", 0.0832, 8 * kGiB, kOfT3},   Family{"m5", 0.096, 8 * kGiB, kTo24},
    Family{"m6i", 0.096, 8 * kGiB, kTo32},   Family{"m6a", 0.0864, 8 * kGiB, kTo48},
    Family{"m7i", 0.1008, 8 * kGiB, kOf7i},  Family{"c5", 0.085, 4 * kGiB, kOfC5},
    Family{"c6i", 0.085, 4 * kGiB, kTo32},   Family{"c6a", 0.0765, 4 * kGiB, kTo48},
    Family{"c7i", 0.08925, 4 * kGiB, kOf7i}, Family{"r5", 0.126, 16 * kGiB, kTo24},
    Family{"r6i", 0.126, 16 * kGiB, kTo32},  Family{"r6a", 0.1134, 16 * kGiB, kTo48},
    Family{"r7i", 0.1323, 16 * kGiB, kOf7i},
};
struct Size {
  std::string_view name;
  int times;
};
constexpr std::array kSizes = {Size{"large", 1},     Size{"xlarge", 2},    Size{"2xlarge", 4},
                               Size{"4xlarge", 8},   Size{"8xlarge", 16},  Size{"9xlarge", 18},
                               Size{"12xlarge", 24}, Size{"16xlarge", 32}, Size{"18xlarge", 36},
                               Size{"24xlarge", 48}, Size{"32xlarge", 64}, Size{"48xlarge", 96}};

// How other regions' prices stand to those, by the first letter of the family.
struct Region {
  std::string_view name;
  double t, m, c, r, g, p;
};
constexpr std::array kRegions = {
    Region{"us-east-1", 1, 1, 1, 1, 1, 1},
    Region{"us-east-2", 1, 1, 1, 1, 1, 1},
    Region{"us-west-2", 1, 1, 1, 1, 1, 1},
    Region{"eu-west-1", 1.096, 1.115, 1.129, 1.119, 1.116, 1.08},
    Region{"eu-central-1", 1.154, 1.198, 1.141, 1.206, 1.251, 1.249},
};

std::optional<Type> inFirstRegion(std::string_view name) {
  for (const Type& each : kTypes) {
    if (each.name == name) return each;
  }
  const auto dot = name.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  for (const Family& family : kFamilies) {
    if (family.name != name.substr(0, dot)) continue;
    if (family.sizes.find(strCat({" ", name.substr(dot + 1), " "})) == std::string_view::npos)
      return std::nullopt;
    for (const Size& size : kSizes) {
      if (size.name != name.substr(dot + 1)) continue;
      const auto times = static_cast<unsigned>(size.times);
      return Type{name, family.usd * size.times, 2 * size.times, family.mib * times, 0};
    }
  }
  return std::nullopt;
}

double factorOf(const Region& region, char family) {
  switch (family) {
    case 't':
      return region.t;
    case 'm':
      return region.m;
    case 'c':
      return region.c;
    case 'r':
      return region.r;
    case 'g':
      return region.g;
    default:
      return region.p;
  }
}

}  // namespace

std::optional<KnownType> knownType(std::string_view type, std::string_view region) {
  const auto found = inFirstRegion(type);
  if (!found) return std::nullopt;
  KnownType known{.resources = {.milli_cpus = found->cpus * 1000,
                                .gpus = found->gpus,
                                .memory = ByteCount{found->mib * 1024 * 1024}},
                  .price = {}};
  for (const Region& each : kRegions) {
    if (each.name != region) continue;
    known.price = PricePerHour{std::llround(found->usd * factorOf(each, type.front()) * 1e4) * 100'000};
  }
  return known;
}

}  // namespace buoy::cloud::aws
