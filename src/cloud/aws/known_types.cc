#include "cloud/aws/on_demand_table.h"

#include <array>
#include <cmath>

namespace buoy::cloud::aws {
namespace {

// us-east-1. From AWS's public price list (https://aws.amazon.com/ec2/pricing/on-demand/).
struct Price {
  std::string_view type;
  double usd;
};
constexpr std::array kTypes = {
    Price{"t3.nano", 0.0052},       Price{"t3.micro", 0.0104},      Price{"t3.small", 0.0208},
    Price{"t3.medium", 0.0416},     Price{"g4dn.xlarge", 0.526},    Price{"g4dn.2xlarge", 0.752},
    Price{"g4dn.4xlarge", 1.204},   Price{"g4dn.8xlarge", 2.176},   Price{"g4dn.12xlarge", 3.912},
    Price{"g4dn.16xlarge", 4.352},  Price{"g4dn.metal", 7.824},     Price{"g5.xlarge", 1.006},
    Price{"g5.2xlarge", 1.212},     Price{"g5.4xlarge", 1.624},     Price{"g5.8xlarge", 2.448},
    Price{"g5.12xlarge", 5.672},    Price{"g5.16xlarge", 4.096},    Price{"g5.24xlarge", 8.144},
    Price{"g5.48xlarge", 16.288},   Price{"g6.xlarge", 0.8048},     Price{"g6.2xlarge", 0.9776},
    Price{"g6.4xlarge", 1.3232},    Price{"g6.8xlarge", 2.0144},    Price{"g6.12xlarge", 4.6016},
    Price{"g6.16xlarge", 3.3968},   Price{"g6.24xlarge", 6.6752},   Price{"g6.48xlarge", 13.3504},
    Price{"g6e.xlarge", 1.861},     Price{"g6e.2xlarge", 2.24208},  Price{"g6e.4xlarge", 3.00424},
    Price{"g6e.8xlarge", 4.52856},  Price{"g6e.12xlarge", 10.493},  Price{"g6e.16xlarge", 7.577},
    Price{"g6e.24xlarge", 15.066},  Price{"g6e.48xlarge", 30.131},  Price{"p2.xlarge", 0.9},
    Price{"p2.8xlarge", 7.2},       Price{"p2.16xlarge", 14.4},     Price{"p3.2xlarge", 3.06},
    Price{"p3.8xlarge", 12.24},     Price{"p3.16xlarge", 24.48},    Price{"p3dn.24xlarge", 31.212},
    Price{"p4d.24xlarge", 21.9576}, Price{"p4de.24xlarge", 27.447}, Price{"p5.48xlarge", 55.04},
};

// Families in which a price is that of the size `large` times the size.
constexpr std::array kFamilies = {
    Price{"t3", 0.0832},   Price{"m5", 0.096}, Price{"m6i", 0.096}, Price{"m6a", 0.0864},
    Price{"m7i", 0.1008},  Price{"c5", 0.085}, Price{"c6i", 0.085}, Price{"c6a", 0.0765},
    Price{"c7i", 0.08925}, Price{"r5", 0.126}, Price{"r6i", 0.126}, Price{"r6a", 0.1134},
    Price{"r7i", 0.1323},
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

std::optional<double> inFirstRegion(std::string_view type) {
  for (const Price& each : kTypes) {
    if (each.type == type) return each.usd;
  }
  const auto dot = type.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  for (const Price& family : kFamilies) {
    if (family.type != type.substr(0, dot)) continue;
    for (const Size& size : kSizes) {
      if (size.name == type.substr(dot + 1)) return family.usd * size.times;
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

std::optional<PricePerHour> tablePrice(std::string_view type, std::string_view region) {
  const auto usd = inFirstRegion(type);
  if (!usd) return std::nullopt;
  for (const Region& each : kRegions) {
    if (each.name != region) continue;
    return PricePerHour{std::llround(*usd * factorOf(each, type.front()) * 1e4) * 100'000};
  }
  return std::nullopt;
}

}  // namespace buoy::cloud::aws
