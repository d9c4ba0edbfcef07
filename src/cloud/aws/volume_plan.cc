#include "cloud/aws/volume_plan.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "cloud/aws/names.h"

namespace buoy::cloud::aws {
namespace {

constexpr std::int64_t kGib = std::int64_t{1} << 30;
constexpr std::size_t kDevices = 11;  // /dev/sdf to /dev/sdp

using Kind = VolumeStep::Kind;

VolumeStep step(Kind kind, const Volume& volume, std::string why = {}) {
  VolumeStep next;
  next.kind = kind;
  next.volume = volume.id;
  next.why = std::move(why);
  return next;
}

VolumeStep failed(std::string why, bool elsewhere = false) {
  VolumeStep next;
  next.kind = Kind::fail;
  next.why = std::move(why);
  next.elsewhere = elsewhere;
  return next;
}

std::int64_t gibOf(const VolumeSpec& spec) {
  return static_cast<std::int64_t>(spec.size.value) / kGib;
}

bool isOf(std::string_view cluster_tag, std::string_view job_tag, std::string_view cluster, JobId job) {
  return cluster_tag == cluster && job_tag == job.toString();
}

bool isOf(const Volume& volume, std::string_view cluster, JobId job) {
  return isOf(volume.tag(kClusterTag), volume.tag(kJobTag), cluster, job);
}

// Another job's, as long as its release has not come to its end.
std::string otherJob(const Volume& volume, std::string_view cluster, JobId job) {
  const std::string_view tag = volume.tag(kJobTag);
  return tag.empty() || isOf(volume, cluster, job) ? std::string() : std::string(tag);
}

std::string freeDevice(const VolumeWish& wish, const std::vector<std::string>& taken) {
  std::size_t passed = 0;
  for (std::size_t i = 0; i < kDevices; ++i) {
    const std::string device = strCat(
        {"/dev/sd", std::string(1, static_cast<char>('f' + static_cast<char>((wish.order + i) % kDevices)))});
    if (std::find(taken.begin(), taken.end(), device) != taken.end()) continue;
    if (passed++ == wish.device_tries) return device;
  }
  return {};
}

bool isOf(const Snapshot& snapshot, std::string_view cluster, JobId job) {
  return isOf(snapshot.tag(kClusterTag), snapshot.tag(kJobTag), cluster, job);
}

// The snapshot with which the job's own volume left its zone, or is about to: newer than whatever else the
// volume might be made from. Of several the newest.
const Snapshot* movedIn(const VolumeWish& wish, const std::vector<Snapshot>& snapshots) {
  const Snapshot* newest = nullptr;
  for (const Snapshot& each : snapshots) {
    if (each.name() != wish.spec.name || !isOf(each, wish.cluster, wish.job)) continue;
    if (newest == nullptr || each.started > newest->started) newest = &each;
  }
  return newest;
}

VolumeStep creation(const VolumeWish& wish, const std::vector<Snapshot>& snapshots) {
  VolumeStep next;
  next.kind = Kind::create;
  next.gib = gibOf(wish.spec);
  const std::string wanted = snapshotWanted(wish.spec);
  const Snapshot* from = movedIn(wish, snapshots);
  if (from != nullptr && from->state == Snapshot::State::completed) {
    next.snapshot = from->id;
    next.gib = std::max(next.gib, from->gib);
    return next;
  }
  from = nullptr;
  bool pending = false;
  for (const Snapshot& each : snapshots) {
    if (each.id != wanted && each.name() != wanted) continue;
    pending = pending || each.state == Snapshot::State::pending;
    const bool usable = each.state == Snapshot::State::completed;
    if (usable && (from == nullptr || each.started > from->started)) from = &each;
  }
  // One that is being made is newer than all: perhaps by the job before this one.
  if (pending) return step(Kind::wait, {}, strCat({"snapshot ", wanted, " is being made"}));
  if (from == nullptr) {
    if (!wish.spec.snapshot.empty())
      return failed(strCat({"there is no snapshot ", inQuotes(wish.spec.snapshot), " in the region"}));
    if (next.gib == 0)
      return failed("it does not exist, and neither does a snapshot of that name: give it a size");
    return next;
  }
  next.snapshot = from->id;
  if (next.gib > 0 && next.gib < from->gib)
    return failed(strCat({"its size, ", std::to_string(next.gib), " GiB, is less than that of snapshot ",
                          from->id, ", ", std::to_string(from->gib), " GiB"}));
  return next;
}

std::optional<VolumeStep> marking(const Volume& volume, std::vector<Tag> tags) {
  const bool marked = std::all_of(tags.begin(), tags.end(),
                                  [&](const Tag& each) { return volume.tag(each.key) == each.value; });
  if (marked) return std::nullopt;
  VolumeStep next = step(Kind::mark, volume);
  next.tags = std::move(tags);
  return next;
}

// What became of a volume's snapshots by the release, or the move, that this job has begun.
struct SnapshotsOfRelease {
  const Snapshot* own = nullptr;       // of this very volume, by this job
  const Snapshot* came = nullptr;      // with which it came from another zone
  const Snapshot* previous = nullptr;  // whose name was taken
  const Snapshot* old = nullptr;       // whose name is to be taken
};
SnapshotsOfRelease sorted(const Volume& volume, const std::vector<Snapshot>& snapshots,
                          std::string_view cluster, JobId job) {
  SnapshotsOfRelease all;
  const std::string_view name = volume.name();
  for (const Snapshot& each : snapshots) {
    if (each.tag(kClusterTag) == cluster && each.tag(kReplacedTag) == replacedBy(job, name)) {
      all.previous = &each;
    } else if (each.name() != name) {
      continue;
    } else if (isOf(each, cluster, job)) {
      (each.volume == volume.id ? all.own : all.came) = &each;
    } else if (all.old == nullptr || each.started > all.old->started) {
      all.old = &each;
    }
  }
  return all;
}

// There is no machine in its zone: it goes as if the job had ended, and is made anew where the machine is.
// From the mark on nobody writes to it.
VolumeStep departure(const VolumeWish& wish, const Volume& volume, const std::vector<Snapshot>& snapshots,
                     Time now) {
  std::vector<Tag> tags = volumeTags(wish);
  tags.push_back({kMovingTag, wish.job.toString()});
  if (auto marked = marking(volume, std::move(tags))) return *marked;
  VolumeStep next = step(Kind::settle, volume);
  next.release = nextRelease(volume, snapshots, wish.cluster, wish.job, true, now);
  next.why = next.release.why;
  return next;
}

// There is a machine in its zone after all: what is written from now on is in no snapshot.
VolumeStep stay(const VolumeWish& wish, const Volume& volume, const std::vector<Snapshot>& snapshots) {
  const SnapshotsOfRelease known = sorted(volume, snapshots, wish.cluster, wish.job);
  VolumeStep next = step(Kind::settle, volume);
  next.release.kind = ReleaseStep::Kind::undo;
  if (known.own != nullptr) next.release.snapshot = known.own->id;
  // With which the volume came, and whose name was taken then: they stay as they are until the job's end.
  if (known.previous != nullptr && known.came == nullptr) next.release.previous = known.previous->id;
  return next;
}

// Those of the wish's name; of several only the job's own.
std::vector<const Volume*> candidates(const VolumeWish& wish, const std::vector<Volume>& volumes) {
  std::vector<const Volume*> found;
  for (const Volume& each : volumes) {
    if (each.name() == wish.spec.name && each.exists()) found.push_back(&each);
  }
  if (found.size() > 1)
    std::erase_if(found, [&](const Volume* each) { return !isOf(*each, wish.cluster, wish.job); });
  return found;
}

}  // namespace

std::string snapshotWanted(const VolumeSpec& spec) {
  return spec.snapshot.empty() ? spec.name : spec.snapshot;
}

bool snapshotsMatter(const VolumeWish& wish, const std::vector<Volume>& volumes) {
  const std::vector<const Volume*> found = candidates(wish, volumes);
  return found.empty() || found.front()->zone != wish.zone || !found.front()->tag(kMovingTag).empty();
}

bool mayMove(const VolumeSpec& spec) {
  return spec.deletion == Deletion::create_snapshot || spec.deletion == Deletion::update_snapshot;
}

std::vector<Tag> snapshotTags(std::string_view cluster, JobId job, std::string_view name) {
  return {{"Name", std::string(name)}, {kClusterTag, std::string(cluster)}, {kJobTag, job.toString()}};
}

std::vector<Tag> volumeTags(const VolumeWish& wish) {
  return {{"Name", wish.spec.name},
          {kClusterTag, wish.cluster},
          {kJobTag, wish.job.toString()},
          {kDeletionTag, std::string(toString(wish.spec.deletion))},
          {kOrderTag, std::to_string(wish.order)}};
}

std::string replacedBy(JobId job, std::string_view name) {
  return strCat({job.toString(), "/", name});
}

std::vector<std::string> jobTagKeys() {
  return {kJobTag, kDeletionTag, kOrderTag, kMovingTag};
}

Deletion deletionOf(const Volume& volume) {
  const std::string_view tag = volume.tag(kDeletionTag);
  for (const Deletion each : {Deletion::remove, Deletion::create_snapshot, Deletion::update_snapshot}) {
    if (tag == toString(each)) return each;
  }
  return Deletion::retain;
}

VolumeStep nextStep(const VolumeWish& wish, const std::vector<Volume>& volumes,
                    const std::vector<std::string>& devices_taken, const std::vector<Snapshot>& snapshots,
                    Time now) {
  const bool several = std::count_if(volumes.begin(), volumes.end(), [&](const Volume& each) {
                         return each.name() == wish.spec.name && each.exists();
                       }) > 1;
  const std::vector<const Volume*> found = candidates(wish, volumes);
  // A crash between two attempts to make one cannot lead here (client tokens): somebody else made them.
  if (several && found.size() != 1)
    return failed(strCat({"there are several volumes of that name: rename all but one (", volumes[0].id, ", ",
                          volumes[1].id, ")"}));
  if (found.empty()) return creation(wish, snapshots);
  const Volume& volume = *found.front();
  if (volume.state == Volume::State::error) return failed(volume.id + " is in state error by EC2's account");
  const bool moving = volume.tag(kMovingTag) == wish.job.toString();
  const bool leaves = mayMove(wish.spec) && (wish.may_move || moving);
  if (volume.zone != wish.zone && !leaves)
    return failed(strCat({volume.id, " is in ", volume.zone, ", and the machine is in ", wish.zone}), true);
  if (const std::string other = otherJob(volume, wish.cluster, wish.job); !other.empty())
    return step(Kind::wait, volume, strCat({volume.id, " is in use by job ", other}));
  if (volume.state == Volume::State::creating) return step(Kind::wait, volume, "it is being made");
  if (volume.zone != wish.zone) return departure(wish, volume, snapshots, now);
  if (!volume.tag(kMovingTag).empty()) return stay(wish, volume, snapshots);
  if (auto marked = marking(volume, volumeTags(wish))) return *marked;
  if (gibOf(wish.spec) > volume.gib) {
    VolumeStep next = step(wish.grown ? Kind::wait : Kind::grow, volume, "it is being made larger");
    next.gib = gibOf(wish.spec);
    return next;
  }
  for (const Volume::Attachment& each : volume.attachments) {
    if (each.instance != wish.instance) {
      // The attempt before this one has ended, or counts for nothing: its epoch is over.
      VolumeStep next = step(each.attached ? Kind::detach : Kind::wait, volume,
                             strCat({"it is still attached to ", each.instance}));
      next.instance = each.instance;
      return next;
    }
    VolumeStep next = step(each.attached ? Kind::ready : Kind::wait, volume, "it is being attached");
    next.device = each.device;
    return next;
  }
  if (volume.state != Volume::State::available) return step(Kind::wait, volume, "it is not free yet");
  VolumeStep next = step(Kind::attach, volume);
  next.device = freeDevice(wish, devices_taken);
  if (next.device.empty()) return failed("the machine has no free device name for it");
  return next;
}

Result<ZonePin> pinnedZone(const std::vector<VolumeSpec>& specs, const std::vector<Volume>& volumes,
                           std::string_view cluster, JobId job) {
  const Volume *fixed = nullptr, *movable = nullptr;
  std::vector<const Volume*> followers;
  for (const VolumeSpec& spec : specs) {
    std::vector<const Volume*> found;
    for (const Volume& each : volumes) {
      if (each.name() == spec.name && each.exists()) found.push_back(&each);
    }
    const auto own = std::find_if(found.begin(), found.end(),
                                  [&](const Volume* each) { return isOf(*each, cluster, job); });
    if (found.empty() || (found.size() > 1 && own == found.end())) continue;
    const Volume* volume = own != found.end() ? *own : found.front();
    if (mayMove(spec) && otherJob(*volume, cluster, job).empty()) {
      // One that is on its way follows those that have arrived.
      if (movable == nullptr || !movable->tag(kMovingTag).empty()) movable = volume;
      followers.push_back(volume);
      continue;
    }
    if (fixed != nullptr && fixed->zone != volume->zone) {
      return fail(
          ErrorCode::invalid_argument,
          strCat({"volumes ", fixed->name(), " and ", volume->name(), " are in ", fixed->zone, " and ",
                  volume->zone, ", but a machine is in one zone: make one of them anew from a snapshot"}));
    }
    fixed = volume;
  }
  const Volume* const decides = fixed != nullptr ? fixed : movable;
  if (decides == nullptr) return ZonePin{};
  const bool split = std::any_of(followers.begin(), followers.end(),
                                 [&](const Volume* each) { return each->zone != decides->zone; });
  return ZonePin{decides->zone, fixed == nullptr, split};
}

// ---- after the job's end

ReleaseStep nextRelease(const Volume& volume, const std::vector<Snapshot>& snapshots,
                        std::string_view cluster, JobId job, bool is_turn, Time now) {
  using Release = ReleaseStep::Kind;
  const Deletion deletion = deletionOf(volume);
  const std::string name(volume.name());
  ReleaseStep next;
  if (!volume.attachments.empty()) {
    const Volume::Attachment& at = volume.attachments.front();
    next.kind = at.attached ? Release::detach : Release::wait;
    next.instance = at.instance;
    next.why = "it is still attached to " + at.instance;
    return next;
  }
  if (deletion == Deletion::retain) {
    next.kind = Release::keep;
    next.why = strCat({"volume ", name, " (", volume.id, ", ", std::to_string(volume.gib), " GiB) is kept"});
    return next;
  }
  if (volume.state != Volume::State::available && volume.state != Volume::State::error) {
    next.why = "it is not free yet";
    return next;
  }
  if (deletion == Deletion::remove) {
    next.kind = Release::erase;
    next.why = strCat({"volume ", name, " (", volume.id, ") was deleted"});
    return next;
  }
  const auto [own, came, previous, old] = sorted(volume, snapshots, cluster, job);
  if (own == nullptr) {
    next.kind = old != nullptr && previous == nullptr ? Release::rename_snapshot : Release::create_snapshot;
    if (next.kind == Release::rename_snapshot) {
      next.snapshot = old->id;
      next.name = strCat({name, "-", std::to_string(now.time_since_epoch().count() / 1'000'000)});
    }
    return next;
  }
  next.snapshot = own->id;
  const bool failed_now = own->state == Snapshot::State::error;
  if (came != nullptr && (failed_now || (is_turn && own->state == Snapshot::State::completed))) {
    next.kind = Release::erase_snapshot;
    next.snapshot = came->id;
    return next;
  }
  if (failed_now) {
    next.kind = Release::undo;
    next.previous = previous == nullptr ? "" : previous->id;
    next.why = strCat({"the snapshot of volume ", name, " failed: ", volume.id, " is kept",
                       previous == nullptr ? "" : ", and so is the snapshot before"});
    return next;
  }
  if (!is_turn || own->state == Snapshot::State::pending) {
    next.why = "its snapshot is being made";
    return next;
  }
  if (deletion == Deletion::update_snapshot && previous != nullptr) {
    next.kind = Release::erase_snapshot;
    next.snapshot = previous->id;
    return next;
  }
  next.kind = Release::erase;
  next.why =
      strCat({"volume ", name, " (", volume.id, ") was deleted; its content is in snapshot ", own->id,
              previous != nullptr ? strCat({", the one before is ", previous->name()}) : std::string()});
  return next;
}

}  // namespace buoy::cloud::aws
