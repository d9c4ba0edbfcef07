// buoy aws: what machines cost on AWS, what Buoy must be allowed there, and what it has left behind.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "api/json_writer.h"
#include "api/views.h"
#include "base/strings.h"
#include "cli/aws_checks.h"
#include "cli/commands/commands.h"
#include "cli/connection.h"
#include "cli/context.h"
#include "cli/render/progress.h"
#include "cli/render/table.h"
#include "cloud/aws/leftovers.h"
#include "cloud/aws/on_demand.h"
#include "cloud/aws/policy.h"
#include "os/environment.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace ec2 = cloud::aws;

constexpr Duration kWeek = std::chrono::hours{7 * 24};
constexpr int kSparkWidth = 42;  // four hours each

struct PriceFlags {
  std::vector<std::string> types;
  std::string region, profile;
  bool json = false;
};

struct OrphanFlags {
  std::string region, profile, cluster;
  bool remove = false, json = false;
};

using Series =
    std::map<std::pair<std::string, std::string>, std::vector<ec2::SpotPrice>>;  // by type and zone

// The price at evenly spaced instants; before the first entry, that of the first.
std::vector<double> sampled(const std::vector<ec2::SpotPrice>& changes, Time begin, Time end) {
  std::vector<double> samples;
  for (int column = 0; column < kSparkWidth; ++column) {
    const Time at = begin + (end - begin) * (column + 1) / kSparkWidth;
    const auto after = std::upper_bound(changes.begin(), changes.end(), at,
                                        [](Time t, const ec2::SpotPrice& price) { return t < price.since; });
    const auto& now = after == changes.begin() ? changes.front() : *std::prev(after);
    samples.push_back(static_cast<double>(now.price.nano_usd) / 1e9);
  }
  return samples;
}

using OnDemand = std::map<std::string, ec2::OnDemandPrice>;  // by type

const ec2::OnDemandPrice* find(const OnDemand& prices, const std::string& type) {
  const auto found = prices.find(type);
  return found == prices.end() ? nullptr : &found->second;
}

// Percent of the on-demand price; below zero where spot costs more.
int savingOf(PricePerHour spot, PricePerHour on_demand) {
  return static_cast<int>(100 - (spot.nano_usd * 100 + on_demand.nano_usd / 2) / on_demand.nano_usd);
}

std::string onDemandText(const ec2::OnDemandPrice& price) {
  const bool guessed = price.source == ec2::OnDemandPrice::Source::table;
  return strCat({guessed ? "~" : "", formatMoney(Money{price.price.nano_usd}), "/h"});
}

std::string cacheFile() {
  const std::map<std::string, std::string> environment = os::processEnvironment();
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  const std::string cache = value("XDG_CACHE_HOME"), home = value("HOME");
  if (cache.empty() && home.empty()) return {};
  const std::string directory = (cache.empty() ? home + "/.cache" : cache) + "/buoy";
  return os::makeDirectories(directory) ? directory + "/aws-prices.json" : std::string();
}

std::string pricesAsJson(const Series& series, const OnDemand& on_demand) {
  std::string out;
  api::JsonWriter writer(out);
  writer.beginArray();
  for (const auto& [key, changes] : series) {
    writer.beginObject().field("type", key.first).field("zone", key.second);
    writer.field("price", changes.back().price);
    if (const ec2::OnDemandPrice* full = find(on_demand, key.first)) {
      writer.field("on_demand", full->price).field("on_demand_source", toString(full->source));
      writer.field("on_demand_as_of", full->as_of);
      writer.field("saving_percent", savingOf(changes.back().price, full->price));
    }
    writer.key("history").beginArray();
    for (const ec2::SpotPrice& change : changes)
      writer.beginObject().field("since", change.since).field("price", change.price).endObject();
    writer.endArray().endObject();
  }
  writer.endArray();
  return out + "\n";
}

int prices(const Context& context, const PriceFlags& flags) {
  auto aws = openAws(flags.profile, flags.region);
  if (!aws) return context.fail(aws.error());
  const Time now = wallClock();
  auto history = ec2::resultOf((*aws)->spotPrices(flags.types, now - kWeek, {}));
  if (!history) return context.fail(history.error());
  Series series;
  for (ec2::SpotPrice& price : *history) series[{price.type, price.zone}].push_back(std::move(price));
  if (series.empty()) {
    return context.fail(
        {ErrorCode::not_found,
         strCat({"EC2 knows no spot price of ", join(flags.types, ", "), " in ",
                 (*aws)->caller().settings().region, ": is the type's name right, and is it offered there?"}),
         false});
  }
  for (auto& [key, changes] : series) {
    std::stable_sort(changes.begin(), changes.end(),
                     [](const auto& a, const auto& b) { return a.since < b.since; });
  }
  std::string why;
  const OnDemand on_demand =
      ec2::OnDemandPrices(cacheFile(), wallClockOfAws())
          .of((*aws)->caller(), flags.types, (*aws)->caller().settings().region, &why, {});
  if (flags.json) {
    context.print(pricesAsJson(series, on_demand));
    return 0;
  }
  std::vector<const Series::value_type*> cheapest;
  for (const auto& entry : series) cheapest.push_back(&entry);
  std::stable_sort(cheapest.begin(), cheapest.end(), [](const auto* a, const auto* b) {
    return a->second.back().price < b->second.back().price;
  });
  Table table{.columns = {{"zone"},
                          {"type"},
                          {"price", Align::right},
                          {"on demand", Align::right},
                          {"saving", Align::right},
                          {"last week"}},
              .rows = {}};
  for (const auto* entry : cheapest) {
    const ec2::OnDemandPrice* full = find(on_demand, entry->first.first);
    const PricePerHour now_price = entry->second.back().price;
    table.rows.push_back(
        {Cell(cleaned(entry->first.second), Color::bold), Cell(cleaned(entry->first.first)),
         Cell(formatMoney(Money{now_price.nano_usd}) + "/h"),
         Cell(full == nullptr ? std::string() : onDemandText(*full), Color::dim),
         Cell(full == nullptr ? std::string() : std::to_string(savingOf(now_price, full->price)) + " %"),
         Cell(sparkline(context.out, sampled(entry->second, now - kWeek, now), kSparkWidth), Color::cyan)});
  }
  context.print(renderTable(context.out, table));
  const bool guessed = std::any_of(on_demand.begin(), on_demand.end(), [](const auto& each) {
    return each.second.source == ec2::OnDemandPrice::Source::table;
  });
  if (guessed)
    context.note(strCat({"~ on-demand prices as of ", on_demand.begin()->second.as_of,
                         ", approximate: AWS's price list does not answer (", why, ")\n"}));
  else if (!why.empty() && on_demand.size() < flags.types.size())
    context.note(strCat({"some on-demand prices are not known: ", why, "\n"}));
  return 0;
}

struct Cluster {
  std::string id;
  std::set<MachineId> machines;  // that are not gone
  bool busy = false;             // has unfinished jobs, which may need what machines stand on
};

Result<Cluster> askServer(const Context& context) {
  BUOY_TRY(const ServerAddress address, serverAddress(context.server));
  Connection connection(address, Connection::Start::never);
  const auto wrong = [](const Error& error) {
    return fail(
        error.wrap("which machines are in use only the server knows (--cluster ID, if it is gone for good)"));
  };
  const auto described = connection.get("/v1/server");
  if (!described) return wrong(described.error());
  BUOY_TRY(const api::ServerView server, api::parseServer(*described));
  const auto listed = connection.get("/v1/machines");
  if (!listed) return wrong(listed.error());
  BUOY_TRY(const auto machines, api::parseMachines(*listed));
  Cluster cluster{server.cluster, {}, server.unfinished > 0};
  for (const api::MachineView& machine : machines) {
    if (machine.phase != engine::MachinePhase::gone) cluster.machines.insert(machine.id);
  }
  return cluster;
}

std::string orphansAsJson(const std::vector<ec2::Leftover>& orphans) {
  std::string out;
  api::JsonWriter writer(out);
  writer.beginArray();
  for (const ec2::Leftover& each : orphans)
    writer.beginObject()
        .field("kind", toString(each.kind))
        .field("id", each.id)
        .field("machine", each.machine)
        .endObject();
  writer.endArray();
  return out + "\n";
}

int orphans(const Context& context, const OrphanFlags& flags) {
  Result<Cluster> cluster =
      flags.cluster.empty() ? askServer(context) : Result<Cluster>(Cluster{flags.cluster, {}, false});
  if (!cluster) return context.fail(cluster.error());
  auto aws = openAws(flags.profile, flags.region);
  if (!aws) return context.fail(aws.error());
  auto all = ec2::resultOf(ec2::findLeftovers(**aws, cluster->id, {}));
  if (!all) return context.fail(all.error());
  // What machines stand on is used as long as there are any, or jobs that may get some.
  const bool in_use = cluster->busy || !cluster->machines.empty();
  std::vector<ec2::Leftover> found;
  for (const ec2::Leftover& each : *all) {
    const bool used =
        each.kind == ec2::Leftover::Kind::instance ? cluster->machines.contains(each.machine) : in_use;
    if (!used) found.push_back(each);
  }
  if (flags.json) context.print(orphansAsJson(found));
  if (found.empty()) {
    if (!flags.json) context.print("nothing of cluster " + cluster->id + " is left over\n");
    return 0;
  }
  int failures = 0;
  for (const ec2::Leftover& each : found) {
    std::string line = strCat({toString(each.kind), " ", each.id});
    if (flags.remove) {
      const auto removed = ec2::removeLeftover(**aws, each, {});
      if (!removed) {
        ++failures;
        context.note(strCat({"error: ", line, ": ", removed.error().error.message, "\n"}));
        continue;
      }
      line += " removed";
    }
    if (!flags.json) context.print(line + "\n");
  }
  if (!flags.remove && context.err_terminal)
    context.note(paint(context.err, Color::dim, "--remove removes them") + "\n");
  return failures == 0 ? 0 : 1;
}

}  // namespace

void addAws(Command& root) {
  Command& command = root.add("aws", "Prices, rights and leftovers on AWS");
  const auto place = [](Command& child, std::string& region, std::string& profile) {
    child.option("--region", "REGION", region, "instead of AWS_REGION or the profile's");
    child.option("--profile", "NAME", profile, "of AWS's shared files");
  };

  auto price_flags = std::make_shared<PriceFlags>();
  Command& pricer =
      command.add("prices", "Spot prices by zone, now and over the last week, and what that saves");
  pricer.listArgument("TYPE", price_flags->types, "instance types, for example g5.xlarge");
  place(pricer, price_flags->region, price_flags->profile);
  pricer.flag("--json", price_flags->json, "print every change of a price");
  pricer.action = [price_flags](Context& context) { return prices(context, *price_flags); };

  auto store = std::make_shared<std::string>();
  Command& policy = command.add("policy", "Print the IAM policy that the server's keys need, and no more");
  policy.option("--store", "URI", *store, "the server's store, s3://bucket/prefix");
  policy.action = [store](Context& context) {
    context.print(ec2::controlPolicy(*store) + "\n");
    return 0;
  };

  auto orphan_flags = std::make_shared<OrphanFlags>();
  Command& orphaned = command.add("orphans", "List what Buoy made there and nothing uses any more");
  orphaned.flag("--remove", orphan_flags->remove, "and remove it");
  place(orphaned, orphan_flags->region, orphan_flags->profile);
  orphaned.option("--cluster", "ID", orphan_flags->cluster,
                  "of a server that is gone for good: all of it counts as left over");
  orphaned.flag("--json", orphan_flags->json, "print JSON");
  orphaned.action = [orphan_flags](Context& context) { return orphans(context, *orphan_flags); };
}

}  // namespace buoy::cli
