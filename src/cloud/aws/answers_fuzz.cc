#include "cloud/aws/answers.h"

#include <cstdint>
#include <string_view>

#include "cloud/aws/ebs.h"
#include "cloud/aws/on_demand.h"

namespace {

using namespace buoy;
using namespace buoy::cloud::aws;

template <class T>
void checked(const Result<T>& result) {
  BUOY_CHECK(result || (result.error().code == ErrorCode::internal && !result.error().message.empty()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const ErrorAnswer error = parseError(body);
  BUOY_CHECK(!refusalOf("EC2", "X", error.code, error.message, 400).error.message.empty());
  if (const auto page = parseInstances(body)) {
    for (const Instance& instance : page->instances) {
      BUOY_CHECK(!instance.id.empty());
      (void)transitionTime(instance.transition_reason);
    }
  } else {
    checked(page);
  }
  if (const auto run = parseRun(body)) BUOY_CHECK(!run->empty());
  if (const auto fleet = parseFleet(body)) {
    for (const auto& made : fleet->instances) BUOY_CHECK(!made.instance.empty());
  }
  if (const auto prices = parseSpotPrices(body)) {
    for (const SpotPrice& price : prices->prices) BUOY_CHECK(price.price.nano_usd >= 0);
  }
  (void)transitionTime(body);
  checked(parseTerminated(body));
  checked(parseImages(body));
  checked(parseSubnets(body));
  checked(parseVpcs(body));
  checked(parseRouteTables(body));
  checked(parseSecurityGroups(body));
  checked(parseGroupId(body));
  checked(parseKeyPairs(body));
  checked(parseKeyMaterial(body));
  checked(parseLaunchTemplate(body));
  checked(parseLaunchTemplates(body));
  checked(parseTypes(body));
  checked(parseInstanceProfile(body));
  checked(parseProfilePage(body));
  checked(parseAttachedPolicies(body));
  checked(parseIdentity(body));
  checked(parseParameter(body));
  checked(parseVolumes(body));
  checked(parseCreatedVolume(body));
  checked(parseSnapshots(body));
  checked(parseCreatedSnapshot(body));
  if (const auto products = parseProducts(body)) {
    for (const auto& [type, price] : products->prices) BUOY_CHECK(!type.empty() && price.nano_usd >= 0);
  }
  return 0;
}
