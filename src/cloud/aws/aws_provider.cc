#include "cloud/aws/aws_provider.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/any_stop.h"
#include "base/strings.h"
#include "base/synchronized.h"
#include "cloud/aws/ec2.h"
#include "cloud/aws/ground.h"
#include "cloud/aws/launcher.h"
#include "cloud/aws/names.h"
#include "cloud/aws/pool_config.h"
#include "cloud/aws/price_book.h"
#include "cloud/aws/roster.h"
#include "cloud/aws/storage_keeper.h"
#include "os/crash_point.h"
#include "os/files.h"
#include "os/log.h"

namespace buoy::cloud::aws {
namespace {

using Json = nlohmann::json;

constexpr int kLaunchThreads = 16;
constexpr std::size_t kMostTerminated = 500;  // in one request; EC2 takes 1,000
// What could not be prepared is tried again after this, so that many launches at once fail by one try.
constexpr Duration kPricesAgain = std::chrono::seconds{30};  // where they could not be had
constexpr Duration kGroundRetry = std::chrono::seconds{5};
// Orders that come together go together.
constexpr Duration kGather = std::chrono::milliseconds{50};

std::string accountKey(const std::string& profile, const std::string& region) {
  return strCat({profile, "/", region});
}

class AwsProvider final : public Provider {
 public:
  AwsProvider(AwsOptions options, EventSink sink);
  ~AwsProvider() override;

  void launch(const LaunchRequest& request) override;
  void terminate(MachineId machine) override;
  void query(MachineId machine) override;
  void reclaim(MachineId machine, Duration notice) override;
  void offers(const std::vector<engine::Pool>& all) override;
  Result<std::vector<ListedMachine>> list(const std::stop_token& stop) override;
  bool remote() const override { return true; }
  bool hasStorage() const override { return true; }
  void provideStorage(const StorageRequest& request) override { storage_.provide(request); }
  void releaseStorage(JobId job) override { storage_.release(job); }
  Result<std::vector<JobId>> storageJobs(const std::stop_token& stop) override {
    const AnyStop either{stop_.get_token(), stop};
    return resultOf(storage_.jobs(either.token()));
  }

 private:
  // A region as a profile's keys reach it.
  struct Account {
    std::string profile, region;
    std::unique_ptr<Ec2> ec2;
    Synchronized<PriceBook> prices;
  };
  // A pool whose prices are watched.
  struct WatchedPool {
    std::string profile, region;
    std::vector<std::string> zones;
    std::map<std::string, PricePerHour> told;  // of its types: what the state has
  };
  // An account as the thread that asks for prices knows it.
  struct PriceWatch {
    std::shared_ptr<Account> account;  // machines may never have been asked for there; none: not reached yet
    Time due{};                        // steady
    std::set<std::string> types;       // that were asked for last
  };
  using GroundAnswer = Answer<std::shared_ptr<const Ground>>;
  struct GroundEntry {
    std::shared_future<GroundAnswer> answer;
    Time made{};  // steady
  };
  struct Work {
    std::mutex mutex;
    std::condition_variable_any arrived;
    std::deque<std::function<void()>> tasks;
  };

  Result<std::shared_ptr<Account>> account(const std::string& profile, const std::string& region);
  std::vector<std::shared_ptr<Account>> accounts();
  Result<std::shared_ptr<Account>> reach(const std::string& profile, const std::string& region) const;
  Status remember(const std::string& profile, const std::string& region);
  void recall();
  Result<std::shared_ptr<MachineStore>> store();
  StorageKeeper::Ports storagePorts();
  std::optional<StorageKeeper::Place> placeOf(MachineId machine);
  Answer<LaunchZone> zoneFor(Ec2& ec2, const Ground& ground, const LaunchRequest& request,
                             const std::stop_token& stop);
  GroundAnswer ground(Account& account, MachineStore& store, const LaunchRequest& request,
                      const PoolConfig& config);

  void work(const std::stop_token& stop);
  void begin();
  bool hasNothing(MachineId machine);
  void post(std::function<void()> task);
  void carryOut(const LaunchRequest& request, const std::stop_token& stop);
  Status equip(const LaunchRequest& request, const std::string& instance);
  void takeOver(const LaunchRequest& request, const std::string& instance);
  struct Placed {
    Launched machine;
    std::string account;
  };
  Answer<Placed> tryLaunch(const LaunchRequest& request, const std::stop_token& stop);

  void watch(const std::stop_token& stop);
  void act(const Roster::Outcome& result, const std::stop_token& stop);
  void order(const std::string& account, const std::vector<std::string>& instances,
             const std::stop_token& stop);
  Status look(const std::stop_token& stop);
  void forgetBoot(const std::vector<std::string>& instances);
  void watchPrices(const std::stop_token& stop);
  void wakePrices();
  void lookAtPrices(const std::string& key, const WatchedPool& place, const std::stop_token& stop);
  bool askForPrices(Account& account, const std::set<std::string>& types, const std::stop_token& stop);
  std::set<std::string> pricedTypes(const std::string& key);
  bool tellOffers(const std::string& key, Account& account);  // whether anything differed
  void tellMachines(const std::string& key, Account& account);
  void wake();
  template <class F>
  void change(F&& f);

  const AwsOptions options_;
  const EventSink sink_;
  const GroundOptions ground_options_;
  Launcher launcher_;
  Synchronized<Roster> roster_;
  Synchronized<std::map<std::string, std::shared_ptr<Account>>> accounts_;
  Synchronized<std::shared_ptr<MachineStore>> store_;  // opened when it is needed
  Synchronized<std::map<std::string, GroundEntry>> grounds_;
  Synchronized<std::map<std::string, WatchedPool>> pools_;
  std::mutex remember_mutex_;  // orders the writes of aws.json
  Work work_;
  std::mutex watch_mutex_;
  std::condition_variable_any woken_;
  bool wake_ = false;
  Synchronized<Roster::Outcome> orders_;  // for the watching thread
  std::stop_source stop_;                 // of every wait and request
  std::once_flag begun_;
  std::vector<std::jthread> workers_;
  std::jthread watcher_;
  std::mutex prices_mutex_;
  std::condition_variable_any prices_woken_;
  bool wake_prices_ = false;
  std::map<std::string, PriceWatch> price_watches_;  // by account; the price watcher's
  std::once_flag prices_begun_;
  std::jthread price_watcher_;
  StorageKeeper storage_;  // last: its thread uses the others
};

AwsProvider::AwsProvider(AwsOptions options, EventSink sink)
    : options_(std::move(options)),
      sink_(std::move(sink)),
      ground_options_{options_.state_dir, options_.agent_path, options_.cluster, options_.caller_address_url},
      launcher_(options_.cluster, options_.clock),
      roster_(options_.cluster),
      storage_({.cluster = options_.cluster, .every = options_.storage_every}, options_.clock,
               storagePorts()) {
  recall();
  if (!accounts().empty()) begin();
}

// A control plane without machines on AWS has no threads for them.
void AwsProvider::begin() {
  std::call_once(begun_, [this] {
    for (int n = 0; n < kLaunchThreads; ++n) workers_.emplace_back([this] { work(stop_.get_token()); });
    watcher_ = std::jthread([this] { watch(stop_.get_token()); });
  });
}

AwsProvider::~AwsProvider() {
  stop_.request_stop();
  if (watcher_.joinable()) watcher_.join();
  if (price_watcher_.joinable()) price_watcher_.join();
  for (std::jthread& worker : workers_) worker.join();
}

// ---- accounts

Result<std::shared_ptr<AwsProvider::Account>> AwsProvider::account(const std::string& profile,
                                                                   const std::string& region) {
  const std::string key = accountKey(profile, region);
  const auto known = accounts_.withLock([&](const auto& all) {
    const auto found = all.find(key);
    return found == all.end() ? nullptr : found->second;
  });
  if (known) return known;
  BUOY_TRY(auto made, reach(profile, region));
  const auto kept =
      accounts_.withLock([&](auto& all) { return all.try_emplace(key, std::move(made)).first->second; });
  wakePrices();
  return kept;
}

Result<std::shared_ptr<AwsProvider::Account>> AwsProvider::reach(const std::string& profile,
                                                                 const std::string& region) const {
  BUOY_TRY(CallerOptions reached, callerOptions(options_.environment, profile, region, options_.clock));
  auto made = std::make_shared<Account>();
  made->profile = profile;
  made->region = region;
  made->ec2 = std::make_unique<Ec2>(std::move(reached));
  return made;
}

std::vector<std::shared_ptr<AwsProvider::Account>> AwsProvider::accounts() {
  return accounts_.withLock([](const auto& all) {
    std::vector<std::shared_ptr<Account>> list;
    for (const auto& [key, account] : all) list.push_back(account);
    return list;
  });
}

// Durable before the first machine is asked for there: the next control plane must look for it.
Status AwsProvider::remember(const std::string& profile, const std::string& region) {
  const std::lock_guard lock(remember_mutex_);
  const std::string path = options_.state_dir + "/aws.json";
  Json regions = Json::array();
  if (const auto text = os::readFile(path, 1u << 20)) {
    const Json kept = Json::parse(*text, nullptr, false);
    if (kept.is_object() && kept.contains("regions") && kept["regions"].is_array()) regions = kept["regions"];
  }
  const Json entry{{"profile", profile}, {"region", region}};
  if (std::find(regions.begin(), regions.end(), entry) != regions.end()) return {};
  regions.push_back(entry);
  return os::writeFileAtomic(path, Json{{"regions", regions}}.dump() + "\n", 0600);
}

void AwsProvider::recall() {
  const auto text = os::readFile(options_.state_dir + "/aws.json", 1u << 20);
  if (!text) return;
  const Json kept = Json::parse(*text, nullptr, false);
  if (!kept.is_object() || !kept.contains("regions")) return;
  for (const Json& entry : kept["regions"]) {
    if (!entry.is_object()) continue;
    const auto made = account(entry.value("profile", ""), entry.value("region", ""));
    if (!made)
      os::log(os::LogLevel::error, "aws_account_unusable",
              {{"region", entry.value("region", "")}, {"error", made.error().message}});
  }
}

Result<std::shared_ptr<MachineStore>> AwsProvider::store() {
  if (const auto known = store_.withLock([](const auto& store) { return store; })) return known;
  BUOY_TRY(auto made, openMachineStore(options_.store, options_.environment, options_.clock));
  return store_.withLock([&](auto& store) {
    if (!store) store = std::move(made);
    return store;
  });
}

// ---- storage

StorageKeeper::Ports AwsProvider::storagePorts() {
  return {.place = [this](MachineId machine) { return placeOf(machine); },
          .accounts =
              [this] {
                std::vector<std::shared_ptr<Ec2>> all;
                for (const auto& each : accounts()) all.emplace_back(each, each->ec2.get());
                return all;
              },
          .lay = [this](const std::string& key, const std::string& content) -> Status {
            BUOY_TRY(const auto objects, store());
            return objects->objects->put(key, content);
          },
          .tell = options_.tell_job};
}

std::optional<StorageKeeper::Place> AwsProvider::placeOf(MachineId machine) {
  const auto known = roster_.withLock([&](const Roster& roster) {
    const Roster::Known* found = roster.find(machine);
    return found == nullptr ? Roster::Known{} : *found;
  });
  if (known.instance.empty() || known.zone.empty() || known.launching) return std::nullopt;
  const auto reached = accounts_.withLock([&](const auto& all) {
    const auto found = all.find(known.account);
    return found == all.end() ? nullptr : found->second;
  });
  if (!reached) return std::nullopt;
  return StorageKeeper::Place{std::shared_ptr<Ec2>(reached, reached->ec2.get()), known.instance, known.zone,
                              known.left_zone};
}

// Where the machine must be for the sake of its job's volumes. The machines of a gang are in one zone,
// whatever becomes of the volumes of one of them.
Answer<LaunchZone> AwsProvider::zoneFor(Ec2& ec2, const Ground& ground, const LaunchRequest& request,
                                        const std::stop_token& stop) {
  if (request.storage.volumes.empty()) return LaunchZone{};
  std::vector<std::string> names;
  for (const VolumeSpec& each : request.storage.volumes) names.push_back(each.name);
  BUOY_ASK(const std::vector<Volume> volumes, Ebs(ec2.caller()).volumes({{"tag:Name", names}}, stop));
  auto pin = pinnedZone(request.storage.volumes, volumes, options_.cluster, request.job);
  if (!pin) return tl::unexpected(refusalOf("the launch", pin.error()));
  LaunchZone zone{pin->zone, pin->may_move && request.group.empty(), pin->split};
  const bool offered =
      zone.name.empty() || std::any_of(ground.places.begin(), ground.places.end(),
                                       [&](const auto& each) { return each.zone == zone.name; });
  if (offered || zone.may_leave) return zone;
  return tl::unexpected(refusalOf(
      "the launch",
      Error{ErrorCode::invalid_argument,
            strCat({"the job's volumes are in ", zone.name, ", where this pool has no subnet"}), false}));
}

// The first who needs it makes it, the others wait for that.
AwsProvider::GroundAnswer AwsProvider::ground(Account& account, MachineStore& store,
                                              const LaunchRequest& request, const PoolConfig& config) {
  std::string key = strCat({accountKey(account.profile, account.region), "\n", request.provider_config});
  std::vector<engine::MachineType> types{request.type};
  types.insert(types.end(), request.alternatives.begin(), request.alternatives.end());
  for (const engine::MachineType& type : types) key += "\n" + type.name;
  std::promise<GroundAnswer> promise;
  bool mine = false;
  std::shared_future<GroundAnswer> answer;
  {
    auto all = grounds_.lock();
    const auto found = all->find(key);
    const auto isFresh = [&](const GroundEntry& entry) {
      if (entry.answer.wait_for(std::chrono::seconds{0}) != std::future_status::ready) return true;
      const GroundAnswer& known = entry.answer.get();
      if (!known) return steadyNow() < entry.made + kGroundRetry;
      return options_.clock.now() < (*known)->valid_until;
    };
    if (found != all->end() && isFresh(found->second)) {
      answer = found->second.answer;
    } else {
      mine = true;
      answer = promise.get_future().share();
      (*all)[key] = {answer, steadyNow()};
    }
  }
  if (!mine) return answer.get();
  auto made = GroundMaker(*account.ec2, store, ground_options_, stop_.get_token()).make(config, types);
  if (made) {
    promise.set_value(std::make_shared<const Ground>(std::move(*made)));
  } else {
    promise.set_value(tl::unexpected(std::move(made.error())));
  }
  grounds_.withLock([&](auto& all) { all[key].made = steadyNow(); });
  return answer.get();
}

// ---- launching

void AwsProvider::launch(const LaunchRequest& request) {
  const auto state = roster_.withLock([&](Roster& roster) {
    const bool begun = roster.beginLaunch(request, steadyNow());
    return std::pair(begun, begun ? Roster::Known{} : *roster.find(request.machine));
  });
  if (!state.first) {
    if (state.second.launching) return;
    if (state.second.equipped)
      return sink_(engine::LaunchSucceeded{request.machine, state.second.instance, ""});
    return post([this, request, instance = state.second.instance] { takeOver(request, instance); });
  }
  post([this, request] { carryOut(request, stop_.get_token()); });
}

void AwsProvider::post(std::function<void()> task) {
  begin();
  {
    const std::lock_guard lock(work_.mutex);
    work_.tasks.push_back(std::move(task));
  }
  work_.arrived.notify_one();
}

void AwsProvider::work(const std::stop_token& stop) {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(work_.mutex);
      work_.arrived.wait(lock, stop, [&] { return !work_.tasks.empty(); });
      if (stop.stop_requested()) return;
      task = std::move(work_.tasks.front());
      work_.tasks.pop_front();
    }
    task();
  }
}

// What a machine begins with, where its agent looks for it.
Status AwsProvider::equip(const LaunchRequest& request, const std::string& instance) {
  BUOY_TRY(const auto objects, store());
  Json boot = Json::parse(request.agent_config, nullptr, false);
  boot["notice_service"] = "ec2";
  return objects->objects->put(bootKey(options_.cluster, instance), boot.dump());
}

// An earlier control plane launched it and may have ended before it equipped it. Where it did, the machine
// has its configuration already, and the second one is removed with the machine.
void AwsProvider::takeOver(const LaunchRequest& request, const std::string& instance) {
  if (const auto put = equip(request, instance); !put) {
    sink_(engine::LaunchFailed{request.machine, engine::LaunchError::other, put.error().message});
    return terminate(request.machine);
  }
  roster_.withLock([&](Roster& roster) { roster.equipped(request.machine); });
  sink_(engine::LaunchSucceeded{request.machine, instance, ""});
}

Answer<AwsProvider::Placed> AwsProvider::tryLaunch(const LaunchRequest& request,
                                                   const std::stop_token& stop) {
  const auto wrong = [](const Error& error) { return tl::unexpected(refusalOf("pool", error)); };
  auto config = parsePoolConfig(request.provider_config);
  if (!config) return wrong(config.error());
  auto objects = store();
  if (!objects) return wrong(objects.error());
  auto reached = account(config->profile, config->region);
  if (!reached) return wrong(reached.error());
  if (auto kept = remember(config->profile, config->region); !kept) return wrong(kept.error());
  BUOY_ASK(const std::shared_ptr<const Ground> prepared, ground(**reached, **objects, request, *config));
  BUOY_ASK(const LaunchZone zone, zoneFor(*(*reached)->ec2, *prepared, request, stop));
  os::crashPoint("aws.before_launch");
  auto launched = launcher_.launch(*(*reached)->ec2, *prepared, *config, request, zone, stop);
  if (!launched) {
    const RefusalKind kind = launched.error().kind;
    // Perhaps what it stood on was removed: made anew at the next try.
    if (kind == RefusalKind::bad_request || kind == RefusalKind::not_found) grounds_.lock()->clear();
    return tl::unexpected(std::move(launched.error()));
  }
  os::crashPoint("aws.after_launch");
  const auto put = equip(request, launched->instance);
  if (put) return Placed{std::move(*launched), accountKey(config->profile, config->region)};
  // Without it the machine never becomes anybody's: it is given back at once.
  (void)(*reached)->ec2->terminate({launched->instance}, stop);
  return wrong(put.error().wrap("what the machine begins with cannot be stored"));
}

void AwsProvider::carryOut(const LaunchRequest& request, const std::stop_token& stop) {
  const auto placed = tryLaunch(request, stop);
  if (!placed) {
    roster_.withLock([&](Roster& roster) { roster.launchFailed(request.machine); });
    // When the provider ends, nothing is known: the launch is asked for again.
    if (placed.error().kind == RefusalKind::cancelled) return;
    sink_(engine::LaunchFailed{request.machine, launchErrorOf(placed.error().kind),
                               placed.error().error.message});
    return;
  }
  const Launched* const launched = &placed->machine;
  engine::LaunchSucceeded up{request.machine, launched->instance, ""};
  up.type = launched->type;
  if (request.market == engine::Market::spot) {
    const auto reached = accounts_.withLock([&](const auto& all) { return all.at(placed->account); });
    up.price = reached->prices.withLock([&](const PriceBook& book) {
      const SpotPrice* price = book.of(launched->type, launched->zone);
      return price == nullptr ? PricePerHour{} : price->price;
    });
  }
  sink_(std::move(up));
  change([&](Roster& roster, Roster::Outcome& out) {
    roster.launchedAs(request.machine, placed->account, *launched, steadyNow(), out);
  });
}

// ---- the other calls

template <class F>
void AwsProvider::change(F&& f) {
  Roster::Outcome result;
  roster_.withLock([&](Roster& roster) { f(roster, result); });
  {
    auto orders = orders_.lock();
    for (auto& [account, instances] : result.terminate) {
      auto& waiting = orders->terminate[account];
      waiting.insert(waiting.end(), instances.begin(), instances.end());
    }
  }
  for (engine::Event& event : result.events) sink_(std::move(event));
  wake();
}

void AwsProvider::wake() {
  {
    const std::lock_guard lock(watch_mutex_);
    wake_ = true;
  }
  woken_.notify_all();
}

bool AwsProvider::hasNothing(MachineId machine) {
  return accounts().empty() &&
         roster_.withLock([&](const Roster& roster) { return roster.find(machine) == nullptr; });
}

void AwsProvider::terminate(MachineId machine) {
  if (hasNothing(machine))
    return sink_(engine::MachineGone{machine, engine::GoneReason::terminated, "no such machine"});
  change([&](Roster& roster, Roster::Outcome& out) { roster.terminate(machine, steadyNow(), out); });
}

void AwsProvider::query(MachineId machine) {
  if (hasNothing(machine))
    return sink_(engine::MachineGone{machine, engine::GoneReason::vanished, "no such machine"});
  change([&](Roster& roster, Roster::Outcome&) { roster.query(machine, steadyNow()); });
}

// EC2 itself takes no machine back on request (its fault injection service can): it is ended, and told as
// taken.
void AwsProvider::reclaim(MachineId machine, Duration) {
  change([&](Roster& roster, Roster::Outcome& out) { roster.reclaim(machine, steadyNow(), out); });
}

Result<std::vector<ListedMachine>> AwsProvider::list(const std::stop_token& stop) {
  const AnyStop either{stop_.get_token(), stop};
  BUOY_TRY_VOID(look(either.token()));
  return roster_.withLock([](const Roster& roster) {
    std::vector<ListedMachine> machines;
    for (const auto& [machine, known] : roster.machines()) {
      if (!known.launching && !known.instance.empty()) machines.push_back({machine, known.instance, true});
    }
    return machines;
  });
}

// ---- watching

void AwsProvider::watch(const std::stop_token& stop) {
  Time due = steadyNow() + options_.look_every;
  bool failed = false;
  for (;;) {
    {
      std::unique_lock lock(watch_mutex_);
      const Duration left = std::max(Duration{0}, due - steadyNow());
      woken_.wait_for(lock, stop, left, [&] { return wake_; });
      if (stop.stop_requested()) return;
      if (wake_) woken_.wait_for(lock, stop, kGather, [] { return false; });
      wake_ = false;
    }
    if (stop.stop_requested()) return;
    Roster::Outcome waiting;
    orders_.withLock([&](auto& orders) { std::swap(orders, waiting); });
    for (const auto& [key, instances] : waiting.terminate) order(key, instances, stop);
    if (steadyNow() >= due) {
      const Status looked = look(stop);
      if (!looked && !failed && !stop.stop_requested())
        os::log(os::LogLevel::error, "aws_look_failed", {{"error", looked.error().message}});
      failed = !looked;
      due = steadyNow() + options_.look_every;
    }
    const bool restless = roster_.withLock([](const Roster& roster) { return roster.restless(); });
    if (restless) due = std::min(due, steadyNow() + options_.look_soon);
  }
}

void AwsProvider::order(const std::string& key, const std::vector<std::string>& instances,
                        const std::stop_token& stop) {
  const auto reached = accounts_.withLock([&](const auto& all) {
    const auto found = all.find(key);
    return found == all.end() ? nullptr : found->second;
  });
  if (!reached) return;
  const std::set<std::string> unique(instances.begin(), instances.end());
  std::vector<std::string> batch;
  const auto send = [&] {
    if (batch.empty()) return;
    auto answer = reached->ec2->terminate(batch, stop);
    if (!answer && answer.error().kind == RefusalKind::not_found && batch.size() > 1) {
      // One that is not there makes EC2 refuse all of them.
      for (const std::string& id : batch) {
        if (reached->ec2->terminate({id}, stop))
          roster_.withLock([&](Roster& roster) { roster.terminated({id}); });
      }
    } else if (answer) {
      roster_.withLock([&](Roster& roster) { roster.terminated(batch); });
    } else if (!stop.stop_requested()) {
      os::log(os::LogLevel::error, "aws_terminate_failed",
              {{"instances", batch.size()}, {"error", answer.error().error.message}});
    }
    batch.clear();
  };
  for (const std::string& id : unique) {
    batch.push_back(id);
    if (batch.size() == kMostTerminated) send();
  }
  send();
}

Status AwsProvider::look(const std::stop_token& stop) {
  const std::vector<std::shared_ptr<Account>> all = accounts();
  std::set<std::string> looked_at;
  Status status;
  Roster::Outcome result;
  const Time now = steadyNow();
  for (const auto& reached : all) {
    std::vector<Instance> instances;
    auto described = reached->ec2->describeInstances(
        {{std::string("tag:") + kClusterTag, {options_.cluster}}},
        [&](std::vector<Instance> page) {
          std::move(page.begin(), page.end(), std::back_inserter(instances));
        },
        stop);
    if (!described) {
      if (status) status = fail(described.error().error);
      continue;
    }
    const std::string key = accountKey(reached->profile, reached->region);
    looked_at.insert(key);
    for (const Instance& instance : instances) {
      const bool lives = instance.state == InstanceState::pending || instance.state == InstanceState::running;
      if (lives) launcher_.settleGroup(std::string(instance.tag(kGroupTag)), instance.zone);
    }
    roster_.withLock([&](Roster& roster) { roster.see(key, instances, now, result); });
  }
  roster_.withLock([&](Roster& roster) {
    roster.concludeMissing(looked_at, looked_at.size() == all.size(), now, result);
  });
  for (engine::Event& event : result.events) sink_(std::move(event));
  for (const auto& [key, instances] : result.terminate) order(key, instances, stop);
  if (!result.gone.empty()) post([this, gone = std::move(result.gone)] { forgetBoot(gone); });
  return status;
}

// What a machine begins with is removed by its agent; one that never came so far leaves it.
void AwsProvider::forgetBoot(const std::vector<std::string>& instances) {
  const auto objects = store();
  if (!objects) return;
  std::vector<std::string> keys;
  for (const std::string& instance : instances) keys.push_back(bootKey(options_.cluster, instance));
  (void)(*objects)->objects->removeMany(keys, stop_.get_token());
}

// ---- prices

void AwsProvider::offers(const std::vector<engine::Pool>& all) {
  std::map<std::string, WatchedPool> own;
  for (const engine::Pool& pool : all) {
    if (pool.provider != kProviderName) continue;
    const auto config = parsePoolConfig(pool.provider_config);
    if (!config) continue;  // told when a machine is asked for
    WatchedPool& watched = own[pool.name];
    watched = {.profile = config->profile, .region = config->region, .zones = config->zones, .told = {}};
    for (const engine::MachineType& type : pool.types) watched.told[type.name] = type.spot_price;
  }
  const bool any = !own.empty();
  pools_.withLock([&](auto& pools) { pools = std::move(own); });
  if (!any) return;
  std::call_once(prices_begun_, [this] {
    price_watcher_ = std::jthread([this](const std::stop_token&) { watchPrices(stop_.get_token()); });
  });
  wakePrices();
}

void AwsProvider::wakePrices() {
  {
    const std::lock_guard lock(prices_mutex_);
    wake_prices_ = true;
  }
  prices_woken_.notify_all();
}

// A thread of its own: a region that does not answer holds up nobody's terminations.
void AwsProvider::watchPrices(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::map<std::string, WatchedPool> places;
    pools_.withLock([&](const auto& pools) {
      for (const auto& [name, pool] : pools) places.try_emplace(accountKey(pool.profile, pool.region), pool);
    });
    Time due = steadyNow() + options_.prices_every;
    for (const auto& [key, place] : places) {
      lookAtPrices(key, place, stop);
      due = std::min(due, price_watches_[key].due);
    }
    std::unique_lock lock(prices_mutex_);
    prices_woken_.wait_for(lock, stop, std::max(due - steadyNow(), Duration{0}),
                           [&] { return wake_prices_; });
    wake_prices_ = false;
  }
}

void AwsProvider::lookAtPrices(const std::string& key, const WatchedPool& place,
                               const std::stop_token& stop) {
  PriceWatch& watch = price_watches_[key];
  const std::set<std::string> types = pricedTypes(key);
  // That of the launches, where there is one: they are to know the prices.
  const auto used = accounts_.withLock([&](const auto& all) {
    const auto found = all.find(key);
    return found == all.end() ? nullptr : found->second;
  });
  const bool is_other = used && used != watch.account;
  if (is_other) watch.account = used;
  const bool due = is_other || steadyNow() >= watch.due || types != watch.types;
  if (due) {
    if (!watch.account) {
      if (auto reached = reach(place.profile, place.region)) watch.account = std::move(*reached);
    }
    watch.types = types;
    const bool known = watch.account && askForPrices(*watch.account, types, stop);
    watch.due = steadyNow() + (known ? options_.prices_every : std::min(kPricesAgain, options_.prices_every));
    if (!known) return watch.account.reset();  // keys may come meanwhile
  }
  if (!watch.account) return;
  const bool moved = tellOffers(key, *watch.account);
  if (due || moved) tellMachines(key, *watch.account);
}

// EC2 refuses all when it does not know one: then each is asked for by itself.
bool AwsProvider::askForPrices(Account& account, const std::set<std::string>& types,
                               const std::stop_token& stop) {
  const auto ask = [&](std::vector<std::string> some) {
    // A start that lies ahead of every entry gives the latest of each.
    auto prices = account.ec2->spotPrices(std::move(some), options_.clock.now(), stop);
    if (prices) account.prices.withLock([&](PriceBook& book) { book.note(*prices); });
    return prices;
  };
  const auto all = ask({types.begin(), types.end()});
  if (all) return true;
  bool any = false;
  if (all.error().kind == RefusalKind::bad_request && types.size() > 1) {
    for (const std::string& type : types) any = ask({type}).has_value() || any;
  }
  if (!any && !stop.stop_requested())
    os::log(os::LogLevel::warn, "aws_prices_unknown", {{"error", all.error().error.message}});
  return any;
}

// Of its pools, and of machines of pools that have other types by now.
std::set<std::string> AwsProvider::pricedTypes(const std::string& key) {
  std::set<std::string> types;
  pools_.withLock([&](const auto& pools) {
    for (const auto& [name, pool] : pools) {
      if (accountKey(pool.profile, pool.region) != key) continue;
      for (const auto& [type, price] : pool.told) types.insert(type);
    }
  });
  roster_.withLock([&](const Roster& roster) {
    for (const auto& [machine, known] : roster.machines()) {
      if (known.spot && known.account == key) types.insert(known.type);
    }
  });
  return types;
}

bool AwsProvider::tellOffers(const std::string& key, Account& account) {
  std::vector<engine::PriceChanged> changes;
  pools_.withLock([&](auto& pools) {
    const auto book = account.prices.lock();
    for (auto& [name, pool] : pools) {
      if (accountKey(pool.profile, pool.region) != key) continue;
      for (auto& [type, told] : pool.told) {
        const SpotPrice* price = book->lowest(type, pool.zones);
        if (price == nullptr || told == price->price) continue;
        told = price->price;
        engine::PriceChanged change{name, type, price->price, price->since};
        change.offers_only = true;
        changes.push_back(std::move(change));
      }
    }
  });
  for (engine::PriceChanged& change : changes) sink_(std::move(change));
  return !changes.empty();
}

void AwsProvider::tellMachines(const std::string& key, Account& account) {
  std::vector<engine::PriceChanged> changes;
  const Time now = options_.clock.now();
  roster_.withLock([&](const Roster& roster) {
    const auto book = account.prices.lock();
    for (const auto& [machine, known] : roster.machines()) {
      if (!known.spot || known.account != key) continue;
      const Time hour = known.launched == Time{} ? now : hourOf(known.launched, now);
      const SpotPrice* price = book->at(known.type, known.zone, hour);
      if (price == nullptr) continue;
      engine::PriceChanged change{known.pool, known.type, price->price, hour};
      change.machine = machine;
      changes.push_back(std::move(change));
    }
  });
  for (engine::PriceChanged& change : changes) sink_(std::move(change));
}

}  // namespace

std::unique_ptr<Provider> makeAwsProvider(AwsOptions options, Provider::EventSink sink) {
  return std::make_unique<AwsProvider>(std::move(options), std::move(sink));
}

}  // namespace buoy::cloud::aws
