#include "cli/transfer/args.h"

#include "aws/settings.h"
#include "base/parse_number.h"
#include "cli/connection.h"
#include "cli/context.h"
#include "os/environment.h"

namespace buoy::cli {
namespace {

constexpr int kMostThreads = 256;
constexpr std::uint64_t kSmallestPart = std::uint64_t{5} << 20, kLargestPart = std::uint64_t{5} << 30;

// "50MB/s", "50MB".
Result<std::uint64_t> parseRate(std::string text) {
  if (text.ends_with("/s")) text.resize(text.size() - 2);
  auto rate = parseByteCount(text);
  if (!rate) return fail(rate.error().wrap("--max-bandwidth"));
  if (rate->value == 0) return fail(ErrorCode::invalid_argument, "--max-bandwidth: nothing would move at 0");
  return rate->value;
}

}  // namespace

void addStoreOptions(Command& command, StoreFlags& flags) {
  command.under("Server");
  command.option("--endpoint-url", "URL", flags.endpoint, "another server than AWS ($AWS_ENDPOINT_URL_S3)");
  command.option("--region", "REGION", flags.region, "of the bucket ($AWS_REGION, the profile's)");
  command.option("--profile", "NAME", flags.profile, "of the AWS configuration files ($AWS_PROFILE)");
  command.under("");
}

void addEncryptionOptions(Command& command, StoreFlags& flags) {
  command.under("Server");
  command.choice("--sse", {"AES256", "aws:kms"}, flags.encryption,
                 "how the server encrypts new objects (as the bucket says)");
  command.option("--sse-kms-key-id", "KEY", flags.kms_key, "with which key, for aws:kms");
  command.under("");
}

void addFilterOptions(Command& command, objstore::Filters& filters) {
  // The order between the two matters: each goes to `filters` as it comes.
  const auto add = [&](const char* name, bool include, const char* help) {
    std::string replaced;
    command.option(name, "PATTERN", replaced, help);
    command.options.back().set = [&filters, include](const std::string& pattern) -> Status {
      filters.add(include, pattern);
      return {};
    };
  };
  command.under("Filters");
  add("--exclude", false, "leave out what matches: * (also /), ?, [seq], [!seq]; may be repeated");
  add("--include", true, "take it all the same; of all that match, the last one decides");
  command.under("");
}

void addLinkOptions(Command& command, TransferFlags& flags) {
  command.flag("--no-follow-symlinks", flags.follow_links, "pass symbolic links over");
  command.options.back().set = [&flags](const std::string&) -> Status {
    flags.follow_links = false;
    return {};
  };
}

void addOutputOptions(Command& command, TransferFlags& flags) {
  command.under("Output");
  command.flag("--quiet,-q", flags.quiet, "print errors only");
  command.flag("--only-show-errors", flags.only_errors, "the same");
  command.flag("--no-progress", flags.no_progress, "no progress bar");
  command.flag("--json", flags.json, "print one JSON object for each file and one for all");
  command.under("");
}

void addSpeedOptions(Command& command, TransferFlags& flags) {
  command.under("Speed");
  command.option("--max-bandwidth", "RATE", flags.bandwidth, "at most so much a second, as in 50MB/s");
  command.option("--concurrency", "N", flags.concurrency, "requests at once (as many as make it faster)");
  command.option("--part-size", "SIZE", flags.part_size, "of large files' parts (chosen from the speed)");
  command.under("");
}

void addTransferOptions(Command& command, TransferFlags& flags, const std::string& dry_run) {
  command.flag("--dry-run,-n", flags.dry_run, dry_run);
  command.flag("--dryrun", flags.dry_run, "the same");
  addLinkOptions(command, flags);
  addFilterOptions(command, flags.filters);
  addOutputOptions(command, flags);
  addSpeedOptions(command, flags);
  addStoreOptions(command, flags.store);
  addEncryptionOptions(command, flags.store);
}

Result<std::shared_ptr<objstore::s3::Client>> openStore(const StoreFlags& flags) {
  const aws::Environment variables = os::processEnvironment();
  objstore::s3::ClientOptions options;
  BUOY_TRY(options.settings, aws::loadSettings(variables, flags.profile));
  if (!flags.endpoint.empty()) options.settings.s3_endpoint = flags.endpoint;
  if (!flags.region.empty()) {
    options.settings.region = flags.region;
    options.settings.region_given = true;
  }
  BUOY_TRY(options.credentials, aws::defaultCredentials(variables, options.settings, flags.clock));
  options.clock = &flags.clock;
  options.encryption.algorithm = flags.encryption;
  options.encryption.kms_key = flags.kms_key;
  if (!flags.kms_key.empty() && flags.encryption.empty()) options.encryption.algorithm = "aws:kms";
  return objstore::s3::Client::create(std::move(options));
}

Result<objstore::TransferOptions> transferOptions(const TransferFlags& flags) {
  objstore::TransferOptions options;
  if (!flags.bandwidth.empty()) {
    BUOY_TRY(const std::uint64_t rate, parseRate(flags.bandwidth));
    options.throttle = std::make_shared<objstore::Throttle>(rate);
  }
  if (!flags.concurrency.empty()) {
    const auto threads = parseNumber<decltype(options.pool.threads)>(flags.concurrency);
    if (!threads || *threads < 1 || *threads > kMostThreads)
      return fail(ErrorCode::invalid_argument,
                  "--concurrency is a number from 1 to " + std::to_string(kMostThreads));
    options.pool.threads = options.pool.max_threads = *threads;
  }
  if (!flags.part_size.empty()) {
    auto size = parseByteCount(flags.part_size);
    if (!size) return fail(size.error().wrap("--part-size"));
    if (size->value < kSmallestPart || size->value > kLargestPart)
      return fail(ErrorCode::invalid_argument, "--part-size is from 5MiB to 5GiB");
    options.part_size = size->value;
  }
  if (const auto state = stateDirectory()) options.state_directory = *state + "/transfers";
  return options;
}

}  // namespace buoy::cli
