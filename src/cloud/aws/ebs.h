#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cloud/aws/caller.h"
#include "cloud/aws/parameters.h"
#include "cloud/storage.h"

// EBS volumes and their snapshots: what EC2 says of them, and the calls
// (https://docs.aws.amazon.com/AWSEC2/latest/APIReference/).
namespace buoy::cloud::aws {

struct Volume {
  enum class State { creating, available, in_use, deleting, deleted, error, unknown };
  struct Attachment {
    std::string instance, device;
    bool attached = false;  // otherwise it is on its way there or away
  };
  std::string id, zone;
  State state = State::unknown;
  std::int64_t gib = 0;
  std::vector<Attachment> attachments;
  std::vector<Tag> tags;

  std::string_view tag(std::string_view key) const;  // empty if it has none such
  std::string_view name() const { return tag("Name"); }
  bool exists() const { return state != State::deleting && state != State::deleted; }
};
struct VolumePage {
  std::vector<Volume> volumes;
  std::string next;  // empty: this was the last
};
Result<VolumePage> parseVolumes(std::string_view body);    // DescribeVolumes
Result<Volume> parseCreatedVolume(std::string_view body);  // CreateVolume

struct Snapshot {
  enum class State { pending, completed, error };
  std::string id, volume;  // the volume that it was made of
  State state = State::error;
  std::int64_t gib = 0;
  Time started{};
  std::vector<Tag> tags;

  std::string_view tag(std::string_view key) const;
  std::string_view name() const { return tag("Name"); }
};
struct SnapshotPage {
  std::vector<Snapshot> snapshots;
  std::string next;
};
Result<SnapshotPage> parseSnapshots(std::string_view body);    // DescribeSnapshots
Result<Snapshot> parseCreatedSnapshot(std::string_view body);  // CreateSnapshot

// One function an operation. Threads: any; each blocks. `stop` ends the wait.
class Ebs {
 public:
  explicit Ebs(Caller& caller) : caller_(caller) {}

  // Those of this name that are there or on their way; all pages.
  Answer<std::vector<Volume>> volumes(const std::vector<Filter>& filters, const std::stop_token& stop);
  // `token`: a second call with it makes no second volume. `gib` zero: as large as the snapshot.
  Answer<Volume> createVolume(const VolumeSpec& spec, const std::string& zone, std::int64_t gib,
                              const std::string& snapshot, const std::string& token,
                              const std::vector<Tag>& tags, const std::stop_token& stop);
  Answer<void> deleteVolume(const std::string& id, const std::stop_token& stop);  // gone already: done
  Answer<void> attach(const std::string& id, const std::string& instance, const std::string& device,
                      const std::stop_token& stop);
  Answer<void> detach(const std::string& id, const std::string& instance, const std::stop_token& stop);
  Answer<void> grow(const std::string& id, std::int64_t gib, const std::stop_token& stop);

  // The account's own.
  Answer<std::vector<Snapshot>> snapshots(const std::vector<Filter>& filters, const std::stop_token& stop);
  Answer<Snapshot> createSnapshot(const std::string& volume, const std::string& description,
                                  const std::vector<Tag>& tags, const std::stop_token& stop);
  Answer<void> deleteSnapshot(const std::string& id, const std::stop_token& stop);  // gone already: done

  Answer<void> tag(const std::string& id, const std::vector<Tag>& tags, const std::stop_token& stop);
  Answer<void> untag(const std::string& id, const std::vector<std::string>& keys,
                     const std::stop_token& stop);

 private:
  Answer<std::string> ask(const std::string& action, Parameters parameters, const std::stop_token& stop);
  Answer<void> done(const std::string& action, Parameters parameters, const std::stop_token& stop);
  Answer<void> removed(const std::string& action, Parameters parameters, const std::stop_token& stop);

  Caller& caller_;
};

}  // namespace buoy::cloud::aws
