#include "cloud/aws/volume_plan.h"

#include <algorithm>

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

VolumeStep creation(const VolumeWish& wish, const std::vector<Snapshot>& snapshots) {
  const std::string wanted = snapshotWanted(wish.spec);
  const Snapshot* from = nullptr;
  bool pending = false;
  for (const Snapshot& each : snapshots) {
    if (each.id != wanted && each.name() != wanted) continue;
    pending = pending || each.state == Snapshot::State::pending;
    const bool usable = each.state == Snapshot::State::completed;
    if (usable && (from == nullptr || each.started > from->started)) from = &each;
  }
  VolumeStep next;
  next.kind = Kind::create;
  next.gib = gibOf(wish.spec);
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

}  // namespace

std::string snapshotWanted(const VolumeSpec& spec) {
  return spec.snapshot.empty() ? spec.name : spec.snapshot;
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
  return {kJobTag, kDeletionTag, kOrderTag};
}

Deletion deletionOf(const Volume& volume) {
  const std::string_view tag = volume.tag(kDeletionTag);
  for (const Deletion each : {Deletion::remove, Deletion::create_snapshot, Deletion::update_snapshot}) {
    if (tag == toString(each)) return each;
  }
  return Deletion::retain;
}

VolumeStep nextStep(const VolumeWish& wish, const std::vector<Volume>& volumes,
                    const std::vector<std::string>& devices_taken, const std::vector<Snapshot>& snapshots) {
  std::vector<const Volume*> found;
  for (const Volume& each : volumes) {
    if (each.name() == wish.spec.name && each.exists()) found.push_back(&each);
  }
  if (found.empty()) return creation(wish, snapshots);
  if (found.size() > 1) {
    // A crash between two attempts to make one cannot lead here (client tokens): somebody else made them.
    std::erase_if(found, [&](const Volume* each) { return !isOf(*each, wish.cluster, wish.job); });
    if (found.size() != 1)
      return failed(strCat({"there are several volumes of that name: rename all but one (", volumes[0].id,
                            ", ", volumes[1].id, ")"}));
  }
  const Volume& volume = *found.front();
  if (volume.state == Volume::State::error) return failed(volume.id + " is in state error by EC2's account");
  if (volume.zone != wish.zone)
    return failed(strCat({volume.id, " is in ", volume.zone, ", and the machine is in ", wish.zone}), true);
  if (const std::string other = otherJob(volume, wish.cluster, wish.job); !other.empty())
    return step(Kind::wait, volume, strCat({volume.id, " is in use by job ", other}));
  if (volume.state == Volume::State::creating) return step(Kind::wait, volume, "it is being made");
  for (const Tag& tag : volumeTags(wish)) {
    if (volume.tag(tag.key) != tag.value) return step(Kind::mark, volume);
  }
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

Result<std::string> pinnedZone(const std::vector<VolumeSpec>& specs, const std::vector<Volume>& volumes,
                               std::string_view cluster, JobId job) {
  const Volume* pin = nullptr;
  for (const VolumeSpec& spec : specs) {
    std::vector<const Volume*> found;
    for (const Volume& each : volumes) {
      if (each.name() == spec.name && each.exists()) found.push_back(&each);
    }
    const auto own = std::find_if(found.begin(), found.end(),
                                  [&](const Volume* each) { return isOf(*each, cluster, job); });
    if (found.empty() || (found.size() > 1 && own == found.end())) continue;
    const Volume* volume = own != found.end() ? *own : found.front();
    if (pin != nullptr && pin->zone != volume->zone) {
      return fail(
          ErrorCode::invalid_argument,
          strCat({"volumes ", pin->name(), " and ", volume->name(), " are in ", pin->zone, " and ",
                  volume->zone, ", but a machine is in one zone: make one of them anew from a snapshot"}));
    }
    pin = volume;
  }
  return pin == nullptr ? std::string() : pin->zone;
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
  const Snapshot *own = nullptr, *previous = nullptr, *old = nullptr;
  for (const Snapshot& each : snapshots) {
    if (each.tag(kClusterTag) == cluster && each.tag(kReplacedTag) == replacedBy(job, name)) {
      previous = &each;
    } else if (each.name() != name) {
      continue;
    } else if (isOf(each.tag(kClusterTag), each.tag(kJobTag), cluster, job)) {
      own = &each;
    } else if (old == nullptr || each.started > old->started) {
      old = &each;
    }
  }
  if (own == nullptr) {
    next.kind = old != nullptr && previous == nullptr ? Release::rename_snapshot : Release::create_snapshot;
    if (next.kind == Release::rename_snapshot) {
      next.snapshot = old->id;
      next.name = strCat({name, "-", std::to_string(now.time_since_epoch().count() / 1'000'000)});
    }
    return next;
  }
  next.snapshot = own->id;
  if (own->state == Snapshot::State::error) {
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
