#include <sys/sysinfo.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"
#include "cloud/aws/aws_provider.h"
#include "cloud/aws/pool_config.h"
#include "cloud/local/local_provider.h"
#include "container/runtime.h"
#include "control/serve.h"
#include "os/environment.h"
#include "os/files.h"
#include "os/log.h"

// buoy: the command line and the control plane in one program. Here the two are put together with the
// providers.
namespace {

using buoy::Error;
using buoy::ErrorCode;
using buoy::Result;
using buoy::Status;

constexpr std::uint64_t kMaxConfig = 4 << 20;

Result<buoy::api::ServerConfig> readConfig(const std::string& file) {
  struct sysinfo host {};
  ::sysinfo(&host);
  const buoy::ByteCount memory{static_cast<std::uint64_t>(host.totalram) * host.mem_unit};
  buoy::api::ServerConfig config;
  if (!file.empty()) {
    BUOY_TRY(const std::string text, buoy::os::readFile(file, kMaxConfig));
    auto parsed = buoy::api::parseServerConfig(text, file);
    if (!parsed) {
      std::string all;
      for (const auto& problem : parsed.error()) all += (all.empty() ? "" : "\n") + problem.toString();
      return buoy::fail(ErrorCode::invalid_argument, std::move(all));
    }
    config = std::move(*parsed);
  }
  return buoy::api::withDefaults(std::move(config), ::get_nprocs(), memory);
}

Result<buoy::control::ControlOptions::Listen> parseListen(const std::string& text) {
  const auto colon = text.rfind(':');
  char* end = nullptr;
  const char* const digits = colon == std::string::npos ? "" : text.c_str() + colon + 1;
  const unsigned long port = std::strtoul(digits, &end, 10);
  if (colon == std::string::npos || *digits == '\0' || *end != '\0' || port > 65535) {
    return buoy::fail(ErrorCode::invalid_argument,
                      "--listen: '" + text + "' is not HOST:PORT, for example 0.0.0.0:7433");
  }
  return buoy::control::ControlOptions::Listen{text.substr(0, colon), static_cast<std::uint16_t>(port)};
}

// The agents of this host reach the buckets that its user reaches. Jobs do not inherit these from the agent.
std::vector<std::string> awsEnvironment() {
  std::vector<std::string> environment;
  for (const auto& [name, value] : buoy::os::processEnvironment()) {
    if (name.starts_with("AWS_") || name.starts_with("BUOY_S3_")) environment.push_back(name + "=" + value);
  }
  return environment;
}

// BUOY_LEASE lets tests see a lease expire without waiting for it (docs/testing.md).
Status applyTestSettings(buoy::engine::Settings& settings) {
  if (const char* lease = std::getenv("BUOY_LEASE")) {
    BUOY_TRY(settings.lease, buoy::parseDuration(lease));
    settings.query_every = settings.lease;
  }
  return {};
}

Status serve(const buoy::cli::ServeOptions& wanted) {
  if (wanted.agent.empty()) {
    return buoy::fail(ErrorCode::failed_precondition,
                      "buoy-agent was not found beside buoy nor in ../libexec; set BUOY_AGENT to its path");
  }
  buoy::control::ServeOptions options;
  buoy::control::ControlOptions& control = options.control;
  control.state_dir = wanted.state_dir;
  control.insecure = wanted.insecure;
  BUOY_TRY(control.config, readConfig(wanted.config_file));
  BUOY_TRY_VOID(applyTestSettings(control.settings));
  std::vector<std::string> addresses = control.config.listen;
  addresses.insert(addresses.end(), wanted.listen.begin(), wanted.listen.end());
  for (const std::string& listen : addresses) {
    BUOY_TRY(auto address, parseListen(listen));
    control.listen.push_back(std::move(address));
  }
  control.unsigned_aws = wanted.unsigned_aws;
  for (const auto& listen : control.listen) {
    const bool loopback =
        listen.host == "localhost" || listen.host == "::1" || listen.host.starts_with("127.");
    if (wanted.unsigned_aws && !loopback) {
      return buoy::fail(
          ErrorCode::invalid_argument,
          "--unsigned-aws lets anybody in who reaches the port: it is for loopback only, not for " +
              listen.host);
    }
  }
  if (!wanted.tls_certificate.empty()) control.tls = {wanted.tls_certificate, wanted.tls_key};
  control.providers = [agent = wanted.agent,
                       store = control.config.store](const buoy::control::ProviderContext& context)
      -> Result<std::map<std::string, std::unique_ptr<buoy::cloud::Provider>>> {
    std::map<std::string, std::unique_ptr<buoy::cloud::Provider>> providers;
    providers.emplace("local", buoy::cloud::local::makeLocalProvider({.state_dir = context.state_dir,
                                                                      .agent_path = agent,
                                                                      .clock = context.clock,
                                                                      .cluster = context.cluster,
                                                                      .environment = awsEnvironment()},
                                                                     context.sink));
    providers.emplace(buoy::cloud::aws::kProviderName,
                      buoy::cloud::aws::makeAwsProvider({.state_dir = context.state_dir,
                                                         .agent_path = agent,
                                                         .store = store,
                                                         .clock = context.clock,
                                                         .cluster = context.cluster,
                                                         .environment = buoy::os::processEnvironment(),
                                                         .tell_job = context.tell_job},
                                                        context.sink));
    return providers;
  };
  options.ready = [](const buoy::control::ControlPlane& plane) {
    for (const std::string& endpoint : plane.endpoints()) std::printf("listening on %s\n", endpoint.c_str());
    if (!plane.fingerprint().empty()) std::printf("certificate %s\n", plane.fingerprint().c_str());
    std::fflush(stdout);
  };
  BUOY_TRY(const int code, buoy::control::serve(std::move(options)));
  if (code != 0) return buoy::fail(ErrorCode::internal, "the server ended with " + std::to_string(code));
  return {};
}

std::vector<buoy::cli::Check> checkHost() {
  using buoy::cli::Check;
  const auto host = buoy::cloud::local::detectLocalCapabilities();
  const auto limited = [](bool good) { return good ? Check::State::good : Check::State::limited; };
  const bool groups = host.cgroups.cpu() && host.cgroups.memory();
  const auto runtime = buoy::container::findRuntime(buoy::os::processEnvironment());
  return {
      {limited(runtime.has_value()), "containers", runtime ? runtime->description : "none",
       runtime ? "" : "jobs with an image cannot run here: " + runtime.error().message},
      {limited(host.pid_namespace), "isolation", host.isolation_reason,
       host.pid_namespace ? ""
                          : "without PID namespaces a stray process is found by its environment; root, or "
                            "user namespaces, would be firmer"},
      {limited(groups), "limits", "CPU by " + host.cpu_limit + ", memory by " + host.memory_limit,
       groups ? "" : "control groups that this user may write would be firmer: " + host.cgroups.reason},
  };
}

}  // namespace

int main(int argc, char** argv) {
  // Scripts ask this often: answered before anything else is set up.
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::puts("buoy " BUOY_VERSION);
    return 0;
  }
  return buoy::cli::run(argc, argv, {.serve = serve, .check_host = checkHost});
}
