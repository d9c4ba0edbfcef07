#include "cloud/aws/storage_keeper.h"

#include <algorithm>

#include "base/parse_number.h"
#include "base/strings.h"
#include "cloud/aws/names.h"
#include "cloud/aws/pool_config.h"
#include "os/crash_point.h"
#include "os/log.h"

namespace buoy::cloud::aws {
namespace {

constexpr std::size_t kLongestToken = 64;

// Refusals that another look may cure: what they say of the volume or the instance was true a moment ago.
bool mayPass(const Refusal& refusal) {
  if (refusal.code == "IncorrectState" || refusal.code == "IncorrectInstanceState" ||
      refusal.code == "VolumeInUse" || refusal.code == "IncorrectModificationState" ||
      refusal.code == "IncorrectFileSystemLifeCycleState")
    return true;
  return refusal.kind == RefusalKind::throttled || refusal.kind == RefusalKind::trouble ||
         refusal.kind == RefusalKind::not_found || refusal.kind == RefusalKind::clock ||
         refusal.kind == RefusalKind::cancelled;
}

bool isDeviceInUse(const Refusal& refusal) {
  return refusal.code == "InvalidParameterValue" && refusal.error.message.find("in use") != std::string::npos;
}

std::vector<std::string> namesOf(const std::vector<Volume>& volumes) {
  std::set<std::string> names;
  for (const Volume& each : volumes) names.emplace(each.name());
  return {names.begin(), names.end()};
}

std::string described(const VolumeSpec& spec, const Volume& made, const std::string& snapshot) {
  return strCat({"made volume ", spec.name, " (", made.id, ", ", spec.type, ", ", std::to_string(made.gib),
                 " GiB, ", made.zone, snapshot.empty() ? "" : ", from ", snapshot, ")"});
}

std::size_t orderOf(const Volume& volume) {
  return parseNumber<std::size_t>(volume.tag(kOrderTag)).value_or(0);
}

// Each once.
Answer<std::vector<Snapshot>> snapshotsBy(Ebs& ebs, const std::vector<Filter>& any_of,
                                          const std::stop_token& stop) {
  std::vector<Snapshot> all;
  for (const Filter& filter : any_of) {
    if (filter.values.empty()) continue;
    BUOY_ASK(std::vector<Snapshot> some, ebs.snapshots({filter}, stop));
    for (Snapshot& each : some) {
      if (std::none_of(all.begin(), all.end(), [&](const Snapshot& s) { return s.id == each.id; }))
        all.push_back(std::move(each));
    }
  }
  return all;
}

Answer<void> giveNameBack(Ebs& ebs, const std::string& snapshot, const std::string& name,
                          const std::stop_token& stop) {
  auto named = ebs.tag(snapshot, {{"Name", name}}, stop);
  return named ? ebs.untag(snapshot, {kReplacedTag}, stop) : named;
}

}  // namespace

StorageKeeper::StorageKeeper(Options options, const Clock& clock, Ports ports)
    : options_(std::move(options)), clock_(clock), ports_(std::move(ports)) {}

StorageKeeper::~StorageKeeper() {
  stop_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void StorageKeeper::begin() {
  std::call_once(begun_, [this] { thread_ = std::jthread([this] { run(stop_.get_token()); }); });
  {
    const std::lock_guard lock(mutex_);
    wake_ = true;
  }
  woken_.notify_all();
}

void StorageKeeper::provide(const StorageRequest& request) {
  auto order = std::make_shared<Order>();
  order->request = request;
  order->since = clock_.now();
  if (const auto config = parsePoolConfig(request.provider_config)) {
    for (const auto& [key, value] : config->tags) {
      if (key != kNameTag) order->tags.push_back({key, value});  // a volume's is its own
    }
  }
  std::size_t at = 0;
  for (const VolumeSpec& spec : request.storage.volumes)
    order->parts.push_back(
        {VolumeWish{spec, at++, options_.cluster, request.job, "", "", false, 0}, "", "", false, {}});
  for (const FileSystemSpec& spec : request.storage.file_systems)
    order->shared.push_back({SharedWish{spec, options_.cluster, request.job, ""}, "", "", {}});
  known_.lock()->insert(request.job);
  orders_.withLock([&](Orders& orders) {
    // A volume is at one machine: what an earlier attempt still waits for is not wanted any more.
    const auto is_older = [&](const auto& entry) {
      return entry.second->request.job == request.job && entry.second->request.epoch < request.epoch;
    };
    std::erase_if(orders, is_older);
    orders[request.machine] = std::move(order);
  });
  begin();
}

void StorageKeeper::release(JobId job) {
  if (!known_.lock()->contains(job)) return;
  orders_.withLock([&](Orders& orders) {
    std::erase_if(orders, [&](const auto& entry) { return entry.second->request.job == job; });
  });
  releases_.withLock([&](auto& releases) {
    auto& entry = releases[job];
    if (entry) return;
    entry = std::make_shared<Release>();
    entry->since = clock_.now();
  });
  begin();
}

Answer<std::vector<JobId>> StorageKeeper::jobs(const std::stop_token& stop) {
  std::set<JobId> found;
  for (const std::shared_ptr<Ec2>& ec2 : ports_.accounts()) {
    BUOY_ASK(const std::vector<Volume> volumes,
             Ebs(ec2->caller())
                 .volumes({{std::string("tag:") + kClusterTag, {options_.cluster}}, {"tag-key", {kJobTag}}},
                          stop));
    for (const Volume& each : volumes) {
      if (const auto job = JobId::parse(each.tag(kJobTag))) found.insert(*job);
    }
    const auto systems = Efs(ec2->caller()).all(stop);
    // Who may not ask about file systems, or where there are none, keeps none here.
    if (!systems && mayPass(systems.error())) return tl::unexpected(systems.error());
    if (!systems) continue;
    for (const SharedFileSystem& each : *systems) {
      const auto job = JobId::parse(each.tag(kJobTag));
      if (job && each.tag(kClusterTag) == options_.cluster) found.insert(*job);
    }
  }
  known_.lock()->insert(found.begin(), found.end());
  return std::vector<JobId>(found.begin(), found.end());
}

void StorageKeeper::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const bool busy = orders_.withLock([](const auto& all) { return !all.empty(); }) ||
                      releases_.withLock([](const auto& all) { return !all.empty(); });
    {
      std::unique_lock lock(mutex_);
      if (busy) {
        woken_.wait_for(lock, stop, options_.every, [this] { return wake_; });
      } else {
        woken_.wait(lock, stop, [this] { return wake_; });
      }
      wake_ = false;
    }
    if (!stop.stop_requested()) round(stop);
  }
}

void StorageKeeper::round(const std::stop_token& stop) {
  const Orders orders = orders_.withLock([](const Orders& all) { return all; });
  for (const auto& [machine, order] : orders) {
    const std::optional<Place> place = ports_.place(machine);
    if (place) advance(*order, *place, stop);
    if (place) advanceShared(*order, *place, stop);
    if (stop.stop_requested()) return;
    const bool expired = clock_.now() >= order->since + options_.patience;
    const auto giveUp = [&](auto& part) {
      if (!part.over() && expired)
        part.error =
            strCat({"it was not to be had in ", formatDuration(options_.patience), ": ", order->waiting});
    };
    std::for_each(order->parts.begin(), order->parts.end(), giveUp);
    std::for_each(order->shared.begin(), order->shared.end(), giveUp);
    if (!finish(machine, *order)) {
      tellWait(machine, *order);
      continue;
    }
    orders_.withLock([&, machine = machine, order = order](Orders& all) {
      const auto found = all.find(machine);
      if (found != all.end() && found->second == order) all.erase(found);
    });
  }
  const auto releases = releases_.withLock([](const auto& all) { return all; });
  for (const auto& [job, release] : releases) {
    bool over = true;
    for (const std::shared_ptr<Ec2>& ec2 : ports_.accounts())
      over = this->release(*ec2, job, *release, stop) && over;
    if (stop.stop_requested()) return;
    if (!over) continue;
    releases_.lock()->erase(job);
    known_.lock()->erase(job);
  }
}

// ---- for an attempt

void StorageKeeper::advance(Order& order, const Place& place, const std::stop_token& stop) {
  Ebs ebs(place.ec2->caller());
  std::vector<std::string> names, snapshot_names, snapshot_ids, replaced;
  for (Part& part : order.parts) {
    part.wish.instance = place.instance;
    part.wish.zone = place.zone;
    part.wish.may_move = place.left_zone;
    names.push_back(part.wish.spec.name);
    const std::string wanted = snapshotWanted(part.wish.spec);
    (wanted.starts_with("snap-") ? snapshot_ids : snapshot_names).push_back(wanted);
    if (!mayMove(part.wish.spec)) continue;
    if (wanted != part.wish.spec.name) snapshot_names.push_back(part.wish.spec.name);
    replaced.push_back(replacedBy(part.wish.job, part.wish.spec.name));
  }
  if (names.empty()) return;
  const auto trouble = [&](const Refusal& refusal) { order.waiting = refusal.error.message; };
  auto volumes = ebs.volumes({{"tag:Name", names}}, stop);
  if (!volumes) return trouble(volumes.error());
  auto attached = ebs.volumes({{"attachment.instance-id", {place.instance}}}, stop);
  if (!attached) return trouble(attached.error());
  std::vector<std::string> devices;
  for (const Volume& each : *attached) {
    for (const Volume::Attachment& at : each.attachments) devices.push_back(at.device);
  }
  std::vector<Snapshot> snapshots;
  const bool matter = std::any_of(order.parts.begin(), order.parts.end(), [&](const Part& part) {
    return !part.over() && snapshotsMatter(part.wish, *volumes);
  });
  if (matter) {
    auto found = snapshotsBy(ebs,
                             {{"tag:Name", snapshot_names},
                              {"snapshot-id", snapshot_ids},
                              {std::string("tag:") + kReplacedTag, replaced}},
                             stop);
    if (!found) return trouble(found.error());
    snapshots = std::move(*found);
  }
  for (Part& part : order.parts) {
    if (part.over()) continue;
    auto moved = advance(ebs, order, part, *volumes, devices, snapshots, stop);
    if (moved) continue;
    const Refusal& refusal = moved.error();
    if (isDeviceInUse(refusal)) {
      ++part.wish.device_tries;
    } else if (mayPass(refusal)) {
      trouble(refusal);
    } else {
      part.error = refusal.error.message;
      part.elsewhere = refusal.kind == RefusalKind::capacity;
    }
  }
}

Answer<void> StorageKeeper::advance(Ebs& ebs, Order& order, Part& part, const std::vector<Volume>& volumes,
                                    std::vector<std::string>& devices, const std::vector<Snapshot>& snapshots,
                                    const std::stop_token& stop) {
  const VolumeWish& wish = part.wish;
  const auto volumeOf = [&](const std::string& id) -> const Volume& {
    return *std::find_if(volumes.begin(), volumes.end(), [&](const Volume& each) { return each.id == id; });
  };
  const VolumeStep next = nextStep(wish, volumes, devices, snapshots, clock_.now());
  switch (next.kind) {
    case VolumeStep::Kind::wait:
      order.waiting = strCat({"volume ", wish.spec.name, ": ", next.why});
      return {};
    case VolumeStep::Kind::create: {
      std::vector<Tag> tags = volumeTags(wish);
      tags.insert(tags.end(), order.tags.begin(), order.tags.end());
      // The epoch is in the token: one that a former attempt made and somebody deleted is made again.
      const std::string token = strCat({resourceName(options_.cluster), "-", wish.job.toString(), "-",
                                        std::to_string(order.request.epoch), "-",
                                        order.request.machine.toString(), "-", std::to_string(wish.order)});
      os::crashPoint("aws.before_volume");
      BUOY_ASK(
          const Volume made,
          ebs.createVolume(wish.spec, wish.zone, next.gib, next.snapshot,
                           token.substr(token.size() - std::min(token.size(), kLongestToken)), tags, stop));
      os::crashPoint("aws.after_volume");
      part.told = described(wish.spec, made, next.snapshot);
      return {};
    }
    case VolumeStep::Kind::mark: {
      std::vector<Tag> tags = next.tags;
      tags.insert(tags.end(), order.tags.begin(), order.tags.end());
      if (part.told.empty())
        part.told = strCat(
            {"took volume ", wish.spec.name, " (", next.volume, ", ", volumeOf(next.volume).zone, ")"});
      return ebs.tag(next.volume, tags, stop);
    }
    case VolumeStep::Kind::settle:
      return move(ebs, order, part, volumeOf(next.volume), next.release, stop);
    case VolumeStep::Kind::grow: {
      part.wish.grown = true;
      auto grown = ebs.grow(next.volume, next.gib, stop);
      part.told = strCat({part.told, part.told.empty() ? "" : "; ", "volume ", wish.spec.name,
                          grown ? " was made " : " could not be made ", std::to_string(next.gib),
                          " GiB large", grown ? "" : ": ", grown ? "" : grown.error().error.message});
      // EC2 changes a volume once in six hours at most: the job may go on with what there is.
      if (!grown) part.wish.spec.size = {};
      return {};
    }
    case VolumeStep::Kind::detach:
      order.waiting = strCat({"volume ", wish.spec.name, ": ", next.why});
      return ebs.detach(next.volume, next.instance, stop);
    case VolumeStep::Kind::attach: {
      devices.push_back(next.device);
      return ebs.attach(next.volume, wish.instance, next.device, stop);
    }
    case VolumeStep::Kind::ready:
      part.ready = Mount{wish.spec.name, wish.spec.mount, next.volume, next.device, wish.spec.format, ""};
      return {};
    case VolumeStep::Kind::fail:
      part.error = next.why;
      part.elsewhere = next.elsewhere;
      return {};
  }
  return {};
}

// From a zone without machines to the one where the machine is, or not after all.
Answer<void> StorageKeeper::move(Ebs& ebs, Order& order, Part& part, const Volume& volume,
                                 const ReleaseStep& step, const std::stop_token& stop) {
  using Kind = ReleaseStep::Kind;
  const std::string& name = part.wish.spec.name;
  order.waiting = strCat({"volume ", name, ": ", step.why});
  // A snapshot may take longer than anything else here, and comes to an end by itself.
  if (step.kind == Kind::wait && !step.snapshot.empty()) {
    order.since = clock_.now();
    if (!order.snapshot_since) order.snapshot_since = order.since;
  }
  if (auto done = carryOut(ebs, part.wish.job, volume, step, stop); !done) return done;
  const bool leaves = volume.zone != part.wish.zone;
  if (step.kind == Kind::undo && leaves) {
    part.error = step.why;
    part.elsewhere = true;
  }
  if (step.kind == Kind::erase)
    tell(part.wish.job, strCat({"there was no machine in ", volume.zone, ": ", step.why,
                                ", and is made anew in ", part.wish.zone}));
  return {};
}

void StorageKeeper::advanceShared(Order& order, const Place& place, const std::stop_token& stop) {
  const bool over = std::all_of(order.shared.begin(), order.shared.end(),
                                [](const SharedPart& part) { return part.over(); });
  if (over) return;
  Efs efs(place.ec2->caller());
  auto systems = efs.all(stop);
  for (SharedPart& part : order.shared) {
    if (part.over()) continue;
    part.wish.zone = place.zone;
    auto moved = systems ? advance(efs, place, order, part, *systems, stop)
                         : Answer<void>(tl::unexpected(systems.error()));
    if (moved) continue;
    if (mayPass(moved.error())) {
      order.waiting = moved.error().error.message;
    } else {
      part.error = moved.error().error.message;
    }
  }
}

Answer<void> StorageKeeper::advance(Efs& efs, const Place& place, Order& order, SharedPart& part,
                                    const std::vector<SharedFileSystem>& systems,
                                    const std::stop_token& stop) {
  const SharedWish& wish = part.wish;
  std::vector<MountTarget> targets;
  if (const SharedFileSystem* found = findByName(systems, wish.spec.name)) {
    BUOY_ASK(targets, efs.targets(found->id, stop));
  }
  const SharedStep next = nextStep(wish, systems, targets);
  switch (next.kind) {
    case SharedStep::Kind::wait:
      order.waiting = strCat({"file system ", wish.spec.name, ": ", next.why});
      return {};
    case SharedStep::Kind::create: {
      std::vector<Tag> tags = sharedTags(wish);
      tags.insert(tags.end(), order.tags.begin(), order.tags.end());
      part.told = strCat({"made file system ", wish.spec.name});
      // All machines of a gang ask for it at once.
      const std::string token = strCat({wish.spec.name, "-", wish.job.toString(), "-",
                                        std::to_string(order.request.epoch), "-", options_.cluster});
      return efs.create(token.substr(0, kLongestToken), tags, stop);
    }
    case SharedStep::Kind::mark:
      return efs.tag(next.id, sharedTags(wish), stop);
    case SharedStep::Kind::create_target: {
      // As the machine itself is connected.
      std::string subnet;
      std::vector<std::string> groups;
      auto described = place.ec2->describeInstances(
          {{"instance-id", {place.instance}}},
          [&](const std::vector<Instance>& page) {
            for (const Instance& each : page) {
              subnet = each.subnet;
              groups = each.security_groups;
            }
          },
          stop);
      if (!described || subnet.empty()) return described;
      return efs.createTarget(next.id, subnet, groups, stop);
    }
    case SharedStep::Kind::ready:
      part.ready = Mount{wish.spec.name, wish.spec.mount, "", "", VolumeFormat::ext4, next.server};
      return {};
    case SharedStep::Kind::fail:
      part.error = next.why;
      return {};
  }
  return {};
}

// An agent gives its machine back when it has waited too long and nothing gets on.
void StorageKeeper::tellWait(MachineId machine, Order& order) {
  if (!order.snapshot_since) return;
  // Grows across restarts as well.
  const auto minutes = static_cast<std::uint64_t>(clock_.now().time_since_epoch() / std::chrono::minutes{1});
  if (minutes <= order.minutes) return;
  const MountOrder answer{.epoch = order.request.epoch,
                          .mounts = {},
                          .told = {},
                          .error = {},
                          .elsewhere = false,
                          .waiting = order.waiting,
                          .progress = minutes};
  if (ports_.lay(mountKey(order.request.job_prefix, machine), toJson(answer))) order.minutes = minutes;
}

// Once everything is ready or given up: the answer is laid for the agent.
bool StorageKeeper::finish(MachineId machine, const Order& order) {
  MountOrder answer{.epoch = order.request.epoch,
                    .mounts = {},
                    .told = {},
                    .error = {},
                    .elsewhere = true,
                    .waiting = {},
                    .progress = 0};
  for (const Part& part : order.parts) {
    if (!part.over()) return false;
    if (!part.told.empty()) answer.told.push_back(part.told);
    if (part.ready) answer.mounts.push_back(*part.ready);
    if (part.error.empty()) continue;
    answer.error +=
        strCat({answer.error.empty() ? "" : "; ", "volume ", part.wish.spec.name, ": ", part.error});
    answer.elsewhere = answer.elsewhere && part.elsewhere;
  }
  for (const SharedPart& part : order.shared) {
    if (!part.over()) return false;
    if (!part.told.empty()) answer.told.push_back(part.told);
    if (part.ready) answer.mounts.push_back(*part.ready);
    if (part.error.empty()) continue;
    answer.error +=
        strCat({answer.error.empty() ? "" : "; ", "file system ", part.wish.spec.name, ": ", part.error});
    answer.elsewhere = false;
  }
  answer.elsewhere = answer.elsewhere && !answer.error.empty();
  const Status laid = ports_.lay(mountKey(order.request.job_prefix, machine), toJson(answer));
  if (!laid) os::log(os::LogLevel::error, "mount_order_not_stored", {{"error", laid.error().message}});
  return laid.has_value();
}

// ---- after the job's end

bool StorageKeeper::release(Ec2& ec2, JobId job, Release& release, const std::stop_token& stop) {
  const bool volumes = releaseVolumes(ec2, job, release, stop);
  return releaseShared(ec2, job, release, stop) && volumes;
}

// Its mount targets first: EFS deletes none that is served.
bool StorageKeeper::releaseShared(Ec2& ec2, JobId job, Release& release, const std::stop_token& stop) {
  Efs efs(ec2.caller());
  const auto systems = efs.all(stop);
  if (!systems) return !mayPass(systems.error());
  bool over = true;
  for (const SharedFileSystem& each : *systems) {
    const std::string name(each.tag("Name"));
    if (each.tag(kClusterTag) != options_.cluster || each.tag(kJobTag) != job.toString() ||
        given_up_.contains({job, each.id}))
      continue;
    over = false;
    auto targets = efs.targets(each.id, stop);
    Answer<void> done;
    if (!targets) done = tl::unexpected(targets.error());
    for (const MountTarget& target : targets ? *targets : std::vector<MountTarget>()) {
      if (done) done = efs.removeTarget(target.id, stop);
    }
    if (done && targets->empty()) {
      done = efs.remove(each.id, stop);
      if (done) tell(job, strCat({"file system ", name, " (", each.id, ") was deleted"}));
    }
    if (stop.stop_requested()) return false;
    const bool late = clock_.now() >= release.since + options_.patience;
    if (done || (!late && (mayPass(done.error()) || done.error().code == "FileSystemInUse"))) continue;
    given_up_.insert({job, each.id});
    tell(job, strCat({"file system ", name, " (", each.id, ") is kept: ", done.error().error.message}));
  }
  return over;
}

bool StorageKeeper::releaseVolumes(Ec2& ec2, JobId job, Release& release, const std::stop_token& stop) {
  Ebs ebs(ec2.caller());
  auto volumes = ebs.volumes({{std::string("tag:") + kClusterTag, {options_.cluster}},
                              {std::string("tag:") + kJobTag, {job.toString()}}},
                             stop);
  if (!volumes) return false;
  std::stable_sort(volumes->begin(), volumes->end(),
                   [](const Volume& a, const Volume& b) { return orderOf(a) < orderOf(b); });
  std::erase_if(*volumes, [&](const Volume& each) { return given_up_.contains({job, each.id}); });
  if (volumes->empty()) return true;
  std::vector<Snapshot> snapshots;
  const bool any = std::any_of(volumes->begin(), volumes->end(), [](const Volume& each) {
    return deletionOf(each) == Deletion::create_snapshot || deletionOf(each) == Deletion::update_snapshot;
  });
  if (any) {
    Filter replaced{std::string("tag:") + kReplacedTag, {}};
    for (const Volume& each : *volumes) replaced.values.push_back(replacedBy(job, each.name()));
    auto found = snapshotsBy(ebs, {{"tag:Name", namesOf(*volumes)}, replaced}, stop);
    if (!found) return false;
    snapshots = std::move(*found);
  }
  bool turn = true;
  for (const Volume& volume : *volumes) {
    turn = settle(ebs, job, volume, release, snapshots, turn, stop) && turn;
    if (stop.stop_requested()) return false;
  }
  return false;  // the next look says whether anything is left
}

// True: nothing more will be done to this volume.
bool StorageKeeper::settle(Ebs& ebs, JobId job, const Volume& volume, Release& release,
                           const std::vector<Snapshot>& snapshots, bool is_turn,
                           const std::stop_token& stop) {
  using Kind = ReleaseStep::Kind;
  const std::string name(volume.name());
  const ReleaseStep next = nextRelease(volume, snapshots, options_.cluster, job, is_turn, clock_.now());
  const auto giveUp = [&](const std::string& why) {
    given_up_.insert({job, volume.id});
    tell(job, strCat({"volume ", name, " (", volume.id, ") is kept: ", why}));
    for (const Snapshot& each : snapshots) {
      if (each.tag(kReplacedTag) == replacedBy(job, name)) (void)giveNameBack(ebs, each.id, name, stop);
    }
    // With a policy of deletion its marks stay, so that it is found among what is left over.
    if (deletionOf(volume) != Deletion::remove) (void)ebs.untag(volume.id, jobTagKeys(), stop);
    return true;
  };
  const bool stuck = next.kind == Kind::detach || (next.kind == Kind::wait && next.snapshot.empty());
  if (stuck && clock_.now() >= release.since + options_.patience) return giveUp(next.why);
  auto done = carryOut(ebs, job, volume, next, stop);
  if (stop.stop_requested()) return false;
  if (!done && (next.kind == Kind::detach || mayPass(done.error()))) return false;
  if (!done) return giveUp(done.error().error.message);
  if (next.kind != Kind::keep && next.kind != Kind::erase && next.kind != Kind::undo) return false;
  tell(job, next.why);
  return true;
}

Answer<void> StorageKeeper::carryOut(Ebs& ebs, JobId job, const Volume& volume, const ReleaseStep& step,
                                     const std::stop_token& stop) {
  const std::string name(volume.name());
  switch (step.kind) {
    case ReleaseStep::Kind::wait:
      return {};
    case ReleaseStep::Kind::detach:
      return ebs.detach(volume.id, step.instance, stop);
    case ReleaseStep::Kind::keep:
      return ebs.untag(volume.id, jobTagKeys(), stop);
    case ReleaseStep::Kind::erase:
      return ebs.deleteVolume(volume.id, stop);
    case ReleaseStep::Kind::rename_snapshot:
      return ebs.tag(
          step.snapshot,
          {{"Name", step.name}, {kClusterTag, options_.cluster}, {kReplacedTag, replacedBy(job, name)}},
          stop);
    case ReleaseStep::Kind::create_snapshot: {
      os::crashPoint("aws.before_snapshot");
      auto made = ebs.createSnapshot(volume.id, strCat({"Volume ", name, " of job ", job.toString()}),
                                     snapshotTags(options_.cluster, job, name), stop);
      os::crashPoint("aws.after_snapshot");
      if (!made) return tl::unexpected(std::move(made.error()));
      return {};
    }
    case ReleaseStep::Kind::erase_snapshot:
      return ebs.deleteSnapshot(step.snapshot, stop);
    case ReleaseStep::Kind::undo: {
      Answer<void> undone;
      if (!step.snapshot.empty()) undone = ebs.deleteSnapshot(step.snapshot, stop);
      if (undone && !step.previous.empty()) undone = giveNameBack(ebs, step.previous, name, stop);
      if (undone) undone = ebs.untag(volume.id, jobTagKeys(), stop);
      return undone;
    }
  }
  return {};
}

void StorageKeeper::tell(JobId job, std::string detail) {
  ports_.tell(job, std::move(detail));
}

}  // namespace buoy::cloud::aws
