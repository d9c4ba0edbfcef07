#include "aws/settings.h"

#include <utility>

#include "aws/endpoint.h"
#include "aws/shared_files.h"
#include "base/strings.h"

namespace buoy::aws {
namespace {

// A value and where it stands, for messages.
struct Found {
  std::string value;
  std::string where;
  explicit operator bool() const { return !value.empty(); }
};

class Loader {
 public:
  Loader(const Environment& environment, const SharedFiles& files, const Profile& profile)
      : environment_(environment), files_(files), profile_(profile) {}

  Status load(Settings& settings) const {
    loadRegion(settings);
    BUOY_TRY_VOID(loadEndpoints(settings));
    settings.ca_bundle = find("AWS_CA_BUNDLE", "ca_bundle").value;
    BUOY_TRY_VOID(loadS3(settings));
    BUOY_TRY_VOID(loadChecksums(settings));
    BUOY_TRY(const bool nested_dualstack, flag(inS3("use_dualstack_endpoint")));
    BUOY_TRY(const bool dualstack, flag(find("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")));
    settings.use_dualstack = dualstack || nested_dualstack;
    BUOY_TRY(settings.use_fips, flag(find("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")));
    return {};
  }

  // Of any service; empty: not configured.
  Result<std::string> endpointOf(const std::string& service) const {
    BUOY_TRY(const bool ignored,
             flag(find("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")));
    if (ignored) return std::string();
    std::string upper = service;
    for (char& c : upper) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return endpoint(upper, service);
  }

 private:
  Found fromEnvironment(const std::string& name) const { return {variable(environment_, name), name}; }
  Found fromProfile(const std::string& key) const {
    return {profile_.value(key), strCat({"`", key, "` of ", files_.place(profile_.name)})};
  }
  Found inS3(const std::string& key) const {
    return {profile_.nested("s3", key), strCat({"`s3` ", key, " of ", files_.place(profile_.name)})};
  }
  Found find(const std::string& name, const std::string& key) const {
    Found found = fromEnvironment(name);
    return found ? found : fromProfile(key);
  }

  static Result<bool> flag(const Found& found) { return found ? parseFlag(found.value, found.where) : false; }
  static tl::unexpected<Error> wrong(const Found& found, std::string_view expected) {
    return fail(ErrorCode::invalid_argument,
                strCat({found.where, " must be ", expected, ", not ", inQuotes(found.value)}));
  }

  void loadRegion(Settings& settings) const {
    Found region = fromEnvironment("AWS_REGION");
    if (!region) region = find("AWS_DEFAULT_REGION", "region");
    settings.region_given = static_cast<bool>(region);
    settings.region = region ? region.value : "us-east-1";
  }

  Result<Found> inServices(const std::string& service) const {
    const Found name = fromProfile("services");
    if (!name) return Found{};
    const auto section = files_.services.find(name.value);
    if (section == files_.services.end()) {
      return fail(ErrorCode::invalid_argument, strCat({name.where, " names ", inQuotes(name.value),
                                                       ", but there is no [services ", name.value, "]"}));
    }
    const std::string where = strCat({service, "'s endpoint_url in [services ", name.value, "]"});
    const auto values = section->second.values.find(service);
    if (values == section->second.values.end()) return Found{{}, where};
    const auto url = values->second.nested.find("endpoint_url");
    return Found{url == values->second.nested.end() ? std::string() : url->second, where};
  }

  Result<std::string> endpoint(const std::string& upper, const std::string& service) const {
    Found found = fromEnvironment("AWS_ENDPOINT_URL_" + upper);
    if (!found) found = fromEnvironment("AWS_ENDPOINT_URL");
    if (!found) {
      BUOY_TRY(found, inServices(service));
    }
    if (!found) found = fromProfile("endpoint_url");
    if (found && !found.value.starts_with("http://") && !found.value.starts_with("https://")) {
      return wrong(found, "a URL that begins with http:// or https://");
    }
    return found.value;
  }

  Status loadEndpoints(Settings& settings) const {
    BUOY_TRY(settings.s3_endpoint, endpointOf("s3"));
    BUOY_TRY(settings.sts_endpoint, endpointOf("sts"));
    return {};
  }

  Status loadS3(Settings& settings) const {
    if (const Found style = inS3("addressing_style")) {
      if (style.value == "path") {
        settings.addressing = Addressing::path;
      } else if (style.value == "virtual") {
        settings.addressing = Addressing::virtual_host;
      } else if (style.value != "auto") {
        return wrong(style, "auto, path or virtual");
      }
    }
    // AWS has no variable for this.
    if (const Found signing = fromEnvironment("BUOY_S3_PAYLOAD_SIGNING")) {
      if (signing.value == "always") {
        settings.payload_signing = PayloadSigning::always;
      } else if (signing.value == "never") {
        settings.payload_signing = PayloadSigning::never;
      } else if (signing.value != "auto") {
        return wrong(signing, "auto, always or never");
      }
    } else if (const Found enabled = inS3("payload_signing_enabled")) {
      BUOY_TRY(const bool always, flag(enabled));
      settings.payload_signing = always ? PayloadSigning::always : PayloadSigning::never;
    }
    return {};
  }

  Status loadChecksums(Settings& settings) const {
    Found when = find("AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation");
    if (!when) return {};
    when.value = lowerCase(when.value);
    if (when.value == "when_supported") {
      settings.checksums = ChecksumCalculation::when_supported;
    } else if (when.value == "when_required") {
      settings.checksums = ChecksumCalculation::when_required;
    } else {
      return wrong(when, "when_supported or when_required");
    }
    return {};
  }

  const Environment& environment_;
  const SharedFiles& files_;
  const Profile& profile_;
};

}  // namespace

Result<std::map<std::string, std::string>> loadEndpoints(const Environment& environment,
                                                         const Settings& settings,
                                                         const std::vector<std::string>& services) {
  BUOY_TRY(const SharedFiles files, loadSharedFiles(environment));
  auto found = files.profile(settings.profile);
  if (!found) return fail(ErrorCode::invalid_argument, std::move(found).error().message);
  std::map<std::string, std::string> endpoints;
  for (const std::string& service : services) {
    BUOY_TRY(std::string url, Loader(environment, files, *found).endpointOf(service));
    if (!url.empty()) endpoints[service] = std::move(url);
  }
  return endpoints;
}

Result<Settings> loadSettings(const Environment& environment, const std::string& profile) {
  BUOY_TRY(const SharedFiles files, loadSharedFiles(environment));
  Settings settings;
  settings.profile = profile;
  settings.profile_given = !profile.empty();
  for (const char* name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"}) {
    if (settings.profile.empty()) settings.profile = variable(environment, name);
  }
  if (settings.profile.empty()) settings.profile = "default";
  auto found = files.profile(settings.profile);
  if (!found) return fail(ErrorCode::invalid_argument, std::move(found).error().message);
  BUOY_TRY_VOID(Loader(environment, files, *found).load(settings));
  return settings;
}

}  // namespace buoy::aws
