// buoy spotty aws: spot prices as Spotty lists them, and the logs that its instances left.
#include <algorithm>
#include <memory>

#include "api/json_writer.h"
#include "api/node.h"
#include "api/reader.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/aws_checks.h"
#include "cli/commands/spotty.h"
#include "cli/context.h"
#include "cli/render/table.h"
#include "cli/spotty/choice.h"

namespace buoy::cli {
namespace {

namespace ec2 = cloud::aws;

constexpr Duration kRecent = std::chrono::hours{1};
constexpr std::int64_t kMillisADay = 24ll * 60 * 60 * 1000;
constexpr const char* kLogGroups = "spotty-";

struct SpottyAwsFlags {
  std::string type, region;
  bool all = false;
};

int spotPrices(const Context& context, const SpottyAwsFlags& flags) {
  if (flags.type.empty())
    return failSpotty(
        context, {ErrorCode::invalid_argument, "which type? -i INSTANCE_TYPE, for example -i p3.2xlarge"});
  const auto aws = openAws({}, flags.region);
  if (!aws) return failSpotty(context, aws.error());
  auto history = ec2::resultOf((*aws)->spotPrices({flags.type}, wallClock() - kRecent, {}));
  if (!history) return failSpotty(context, history.error());
  std::map<std::string, ec2::SpotPrice> newest;  // by zone
  for (const ec2::SpotPrice& price : *history) {
    const auto [found, fresh] = newest.emplace(price.zone, price);
    if (!fresh && found->second.since < price.since) found->second = price;
  }
  if (newest.empty())
    return failSpotty(context, {ErrorCode::not_found, strCat({"EC2 knows no spot price of ", flags.type,
                                                              " in ", (*aws)->caller().settings().region})});
  std::vector<ec2::SpotPrice> prices;
  for (const auto& [zone, price] : newest) prices.push_back(price);
  std::stable_sort(prices.begin(), prices.end(),
                   [](const auto& a, const auto& b) { return a.price < b.price; });
  Table table{{{"Price"}, {"Zone"}}, {}};
  for (const ec2::SpotPrice& price : prices)
    table.rows.push_back({Cell(formatMoney(Money{price.price.nano_usd})), Cell(cleaned(price.zone))});
  context.print(renderTable(context.out, table));
  return 0;
}

// ---- logs (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/)

Result<api::Node> askLogs(ec2::Caller& caller, const std::string& operation, const std::string& body) {
  BUOY_TRY(const std::string answer,
           ec2::resultOf(caller.call(ec2::jsonCall("logs", "Logs_20140328." + operation, body), {})));
  if (answer.empty()) return api::Node{};
  auto tree = api::parseJsonTree(answer, api::kMessageLimits);
  if (!tree) return fail(ErrorCode::data_loss, operation + ": the answer is not JSON");
  return std::move(*tree);
}

std::optional<std::int64_t> numberIn(const api::Node& node, std::string_view key) {
  const api::Node* const found = node.find(key);
  return found == nullptr ? std::nullopt : api::parseDecimal(found->text, 0);
}

std::string oneField(std::string_view key, std::string_view value, std::string_view token) {
  std::string body;
  api::JsonWriter writer(body);
  writer.beginObject().field(key, value);
  if (!token.empty()) writer.field("nextToken", token);
  writer.endObject();
  return body;
}

// Nothing in it is younger than it keeps.
Result<bool> isPast(ec2::Caller& caller, const api::Node& group, const std::string& name, std::int64_t now) {
  const auto kept = numberIn(group, "retentionInDays");
  if (!kept) return false;
  std::string body;
  api::JsonWriter writer(body);
  writer.beginObject()
      .field("logGroupName", name)
      .field("orderBy", "LastEventTime")
      .field("descending", true);
  writer.field("limit", 1).endObject();
  BUOY_TRY(const api::Node streams, askLogs(caller, "DescribeLogStreams", body));
  const api::Node* const list = streams.find("logStreams");
  std::int64_t last = numberIn(group, "creationTime").value_or(now);
  if (list != nullptr && !list->items.empty())
    last = std::max(last, numberIn(list->items[0], "lastEventTimestamp").value_or(0));
  return last + *kept * kMillisADay < now;
}

Status cleanLogs(const Context& context, ec2::Caller& caller, bool all) {
  const std::int64_t now = wallClock().time_since_epoch().count() / 1000;
  std::string token;
  int removed = 0;
  do {
    BUOY_TRY(const api::Node page,
             askLogs(caller, "DescribeLogGroups", oneField("logGroupNamePrefix", kLogGroups, token)));
    const api::Node* const groups = page.find("logGroups");
    for (const api::Node& group : groups == nullptr ? std::vector<api::Node>{} : groups->items) {
      const api::Node* const name = group.find("logGroupName");
      if (name == nullptr || !name->text.starts_with(kLogGroups)) continue;
      bool past = all;
      if (!all) {
        BUOY_TRY(past, isPast(caller, group, name->text, now));
      }
      if (!past) continue;
      BUOY_TRY_VOID(askLogs(caller, "DeleteLogGroup", oneField("logGroupName", name->text, {})));
      context.print(strCat({"Log group ", cleaned(name->text), " was deleted.\n"}));
      ++removed;
    }
    const api::Node* const next = page.find("nextToken");
    token = next == nullptr ? std::string() : next->text;
  } while (!token.empty());
  if (removed == 0) context.print("There is no log group to delete.\n");
  return {};
}

}  // namespace

void addSpottyAws(Command& root) {
  Command& command = root.add("aws", "Spot prices, and the logs that instances left");
  auto flags = std::make_shared<SpottyAwsFlags>();
  Command& prices = command.add("spot-prices", "Spot prices of a type, the lowest first");
  prices.option("--instance-type,-i", "TYPE", flags->type, "for example p3.2xlarge");
  prices.option("--region,-r", "REGION", flags->region, "instead of AWS_REGION or the profile's");
  prices.action = [flags](Context& context) { return spotPrices(context, *flags); };

  auto log_flags = std::make_shared<SpottyAwsFlags>();
  Command& logs =
      command.add("clean-logs", "Delete log groups of Spotty's that are older than they are kept");
  logs.option("--region,-r", "REGION", log_flags->region, "instead of AWS_REGION or the profile's");
  logs.flag("--delete-all,-a", log_flags->all, "delete all of them");
  logs.action = [log_flags](Context& context) {
    const auto aws = openAws({}, log_flags->region);
    if (!aws) return failSpotty(context, aws.error());
    const Status cleaned_up = cleanLogs(context, (*aws)->caller(), log_flags->all);
    return cleaned_up ? 0 : failSpotty(context, cleaned_up.error());
  };
}

}  // namespace buoy::cli
