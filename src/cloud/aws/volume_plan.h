#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "cloud/aws/ebs.h"

// What is to be done next with a volume, given what EC2 shows of it. Pure; asked again after every step until
// it is ready, settled or failed, so that a crash between two steps, or a lost answer, repairs itself: all
// that is remembered is in tags.
namespace buoy::cloud::aws {

// A volume of a job on one of its machines.
struct VolumeWish {
  VolumeSpec spec;
  std::size_t order = 0;  // its place in the job's list
  std::string cluster;
  JobId job;
  std::string instance, zone;    // of the machine
  bool may_move = false;         // no machine was to be had in the volume's zone
  bool grown = false;            // larger was asked for already
  std::size_t device_tries = 0;  // devices that were in use although nothing shows it
};

// A step towards a snapshot that takes a volume's place, and to the end of what is not wanted any more.
struct ReleaseStep {
  enum class Kind {
    wait,
    detach,           // from `instance`
    keep,             // take the job's tags away: settled
    erase,            // the volume: settled
    rename_snapshot,  // to `name`, marked as replaced by this job
    create_snapshot,  // under the volume's name, with the job's mark
    erase_snapshot,   // the one that was replaced, or with which the volume came from another zone
    undo,  // the new `snapshot` failed, or is not wanted: away with it, the old one (`previous`) has
           // its name again; take the job's tags away: settled, badly
  };
  Kind kind = Kind::wait;
  std::string snapshot, previous, name, instance;
  std::string why;  // for people
};

struct VolumeStep {
  enum class Kind {
    wait,    // for what `why` says
    create,  // in the wish's zone, of `gib` (zero: as the snapshot), from `snapshot` (empty: empty)
    mark,    // with `tags`
    settle,  // carry out `release`: it is on its way to the machine's zone, or stays in its own after all
    grow,    // to `gib`
    detach,  // from `instance`
    attach,  // as `device`
    ready,   // as `device`
    fail,    // because of `why`; `elsewhere`: a machine in another zone may have it
  };
  Kind kind = Kind::wait;
  std::string volume, snapshot, instance, device, why;
  std::int64_t gib = 0;
  bool elsewhere = false;
  std::vector<Tag> tags;
  ReleaseStep release;
};

// `volumes`: of the wish's name; `on_instance`: devices taken there; `snapshots`: of the name or id that it
// may be made from; where mayMove(), also those of the volume's own name, and those marked as replaced by
// this job.
VolumeStep nextStep(const VolumeWish& wish, const std::vector<Volume>& volumes,
                    const std::vector<std::string>& devices_taken, const std::vector<Snapshot>& snapshots,
                    Time now);
// Which snapshot such a volume is made from: by id or name.
std::string snapshotWanted(const VolumeSpec& spec);
// Whether nextStep() looks at snapshots: the volume is not there, or on its way to another zone.
bool snapshotsMatter(const VolumeWish& wish, const std::vector<Volume>& volumes);
// Its deletion policy says that a snapshot may take the volume's place: then it may go to another zone as
// one.
bool mayMove(const VolumeSpec& spec);
// The marks of a snapshot that takes a volume's place, after a job or on the way to another zone.
std::vector<Tag> snapshotTags(std::string_view cluster, JobId job, std::string_view name);

// The marks of a volume while a job has it: whose it is, and what is to become of it.
std::vector<Tag> volumeTags(const VolumeWish& wish);
// Those that a release takes away.
std::vector<std::string> jobTagKeys();
// The mark of a snapshot whose name the release of this volume took.
std::string replacedBy(JobId job, std::string_view name);
Deletion deletionOf(const Volume& volume);

// Where a job's machine should be for the sake of volumes that exist. Invalid_argument: they are in several
// zones and may not be moved.
struct ZonePin {
  std::string zone;       // empty: anywhere
  bool may_move = false;  // if there is no machine in it: all volumes may be moved to another
  bool split = false;     // some volume is in another zone and is to follow
};
Result<ZonePin> pinnedZone(const std::vector<VolumeSpec>& specs, const std::vector<Volume>& volumes,
                           std::string_view cluster, JobId job);

// A volume of a job that has ended. `snapshots`: of the volume's name, and those marked as replaced by this
// job. `is_turn`: every volume before it in the job's list is settled, so that the waiting part may be done.
ReleaseStep nextRelease(const Volume& volume, const std::vector<Snapshot>& snapshots,
                        std::string_view cluster, JobId job, bool is_turn, Time now);

}  // namespace buoy::cloud::aws
