#include "cloud/aws/ebs.h"

#include "base/strings.h"
#include "cloud/aws/xml_reading.h"

namespace buoy::cloud::aws {
namespace {

using namespace xml;

constexpr const char* kVolumesPerPage = "500";
constexpr int kMostVolumePages = 1000;

std::string_view tagOf(const std::vector<Tag>& tags, std::string_view key) {
  for (const Tag& each : tags) {
    if (each.key == key) return each.value;
  }
  return {};
}

Volume::State volumeState(std::string_view name) {
  if (name == "creating") return Volume::State::creating;
  if (name == "available") return Volume::State::available;
  if (name == "in-use") return Volume::State::in_use;
  if (name == "deleting") return Volume::State::deleting;
  if (name == "deleted") return Volume::State::deleted;
  if (name == "error") return Volume::State::error;
  return Volume::State::unknown;
}

Volume volumeOf(const xml_node& node) {
  Volume volume;
  volume.id = text(node, "volumeId");
  volume.zone = text(node, "availabilityZone");
  volume.state = volumeState(text(node, "status"));
  volume.gib = number<std::int64_t>(node, "size");
  for (const xml_node& item : node.child("attachmentSet").children("item")) {
    const std::string state = text(item, "status");
    if (state != "detached")
      volume.attachments.push_back({text(item, "instanceId"), text(item, "device"), state == "attached"});
  }
  volume.tags = tagsOf(node);
  return volume;
}

Snapshot snapshotOf(const xml_node& node) {
  const std::string state = text(node, "status");
  return {text(node, "snapshotId"),
          text(node, "volumeId"),
          state == "completed" ? Snapshot::State::completed
          : state == "pending" ? Snapshot::State::pending
                               : Snapshot::State::error,
          number<std::int64_t>(node, "volumeSize"),
          timeOf(node, "startTime"),
          tagsOf(node)};
}

// What `read` makes of each item of a set; what has no id is left out.
template <typename Read>
auto itemsOf(const xml_node& set, Read read) {
  std::vector<decltype(read(set))> items;
  for (const xml_node& item : set.children("item")) {
    auto one = read(item);
    if (!one.id.empty()) items.push_back(std::move(one));
  }
  return items;
}

// What `read` makes of an answer about one thing.
template <typename Read>
auto created(std::string_view body, const char* answer, const char* id, Read read)
    -> Result<decltype(read(xml_node()))> {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, answer));
  auto one = read(root);
  if (one.id.empty()) return fail(ErrorCode::internal, strCat({"AWS's answer has no ", id}));
  return one;
}

Refusal endless(const std::string& action) {
  return refusalOf(action, Error{ErrorCode::internal, "its pages do not come to an end", false});
}

}  // namespace

std::string_view Volume::tag(std::string_view key) const {
  return tagOf(tags, key);
}
std::string_view Snapshot::tag(std::string_view key) const {
  return tagOf(tags, key);
}

Result<VolumePage> parseVolumes(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeVolumesResponse"));
  return VolumePage{itemsOf(root.child("volumeSet"), volumeOf), text(root, "nextToken")};
}

Result<Volume> parseCreatedVolume(std::string_view body) {
  return created(body, "CreateVolumeResponse", "volumeId", volumeOf);
}

Result<SnapshotPage> parseSnapshots(std::string_view body) {
  xml_document document;
  BUOY_TRY(const xml_node root, parse(document, body, "DescribeSnapshotsResponse"));
  return SnapshotPage{itemsOf(root.child("snapshotSet"), snapshotOf), text(root, "nextToken")};
}

Result<Snapshot> parseCreatedSnapshot(std::string_view body) {
  return created(body, "CreateSnapshotResponse", "snapshotId", snapshotOf);
}

Answer<std::string> Ebs::ask(const std::string& action, Parameters parameters, const std::stop_token& stop) {
  return caller_.call(queryCall("ec2", kEc2Version, action, std::move(parameters)), stop);
}

Answer<void> Ebs::done(const std::string& action, Parameters parameters, const std::stop_token& stop) {
  auto answer = ask(action, std::move(parameters), stop);
  if (!answer) return tl::unexpected(std::move(answer.error()));
  return {};
}

Answer<void> Ebs::removed(const std::string& action, Parameters parameters, const std::stop_token& stop) {
  auto answer = done(action, std::move(parameters), stop);
  if (!answer && answer.error().kind == RefusalKind::not_found) return {};
  return answer;
}

// ---- volumes

Answer<std::vector<Volume>> Ebs::volumes(const std::vector<Filter>& filters, const std::stop_token& stop) {
  std::vector<Volume> all;
  std::string token;
  for (int page = 0; page < kMostVolumePages; ++page) {
    Parameters parameters{{"MaxResults", kVolumesPerPage}};
    addFilters(parameters, filters);
    if (!token.empty()) parameters.emplace_back("NextToken", token);
    BUOY_ASK(const std::string body, ask("DescribeVolumes", std::move(parameters), stop));
    BUOY_ASK(VolumePage answer, parsed("DescribeVolumes", parseVolumes(body)));
    for (Volume& volume : answer.volumes) {
      if (volume.exists()) all.push_back(std::move(volume));
    }
    if (answer.next.empty()) return all;
    token = std::move(answer.next);
  }
  return tl::unexpected(endless("DescribeVolumes"));
}

Answer<Volume> Ebs::createVolume(const VolumeSpec& spec, const std::string& zone, std::int64_t gib,
                                 const std::string& snapshot, const std::string& token,
                                 const std::vector<Tag>& tags, const std::stop_token& stop) {
  Parameters parameters{{"AvailabilityZone", zone}, {"VolumeType", spec.type}, {"ClientToken", token}};
  if (gib > 0) parameters.emplace_back("Size", std::to_string(gib));
  if (!snapshot.empty()) parameters.emplace_back("SnapshotId", snapshot);
  if (spec.iops > 0) parameters.emplace_back("Iops", std::to_string(spec.iops));
  if (spec.throughput > 0) parameters.emplace_back("Throughput", std::to_string(spec.throughput));
  addTags(parameters, "TagSpecification", {"volume"}, tags);
  BUOY_ASK(const std::string body, ask("CreateVolume", std::move(parameters), stop));
  return parsed("CreateVolume", parseCreatedVolume(body));
}

Answer<void> Ebs::deleteVolume(const std::string& id, const std::stop_token& stop) {
  return removed("DeleteVolume", {{"VolumeId", id}}, stop);
}

Answer<void> Ebs::attach(const std::string& id, const std::string& instance, const std::string& device,
                         const std::stop_token& stop) {
  return done("AttachVolume", {{"VolumeId", id}, {"InstanceId", instance}, {"Device", device}}, stop);
}

Answer<void> Ebs::detach(const std::string& id, const std::string& instance, const std::stop_token& stop) {
  return done("DetachVolume", {{"VolumeId", id}, {"InstanceId", instance}}, stop);
}

Answer<void> Ebs::grow(const std::string& id, std::int64_t gib, const std::stop_token& stop) {
  return done("ModifyVolume", {{"VolumeId", id}, {"Size", std::to_string(gib)}}, stop);
}

// ---- snapshots

Answer<std::vector<Snapshot>> Ebs::snapshots(const std::vector<Filter>& filters,
                                             const std::stop_token& stop) {
  std::vector<Snapshot> all;
  std::string token;
  for (int page = 0; page < kMostVolumePages; ++page) {
    Parameters parameters{{"Owner.1", "self"}, {"MaxResults", kVolumesPerPage}};
    addFilters(parameters, filters);
    if (!token.empty()) parameters.emplace_back("NextToken", token);
    BUOY_ASK(const std::string body, ask("DescribeSnapshots", std::move(parameters), stop));
    BUOY_ASK(SnapshotPage answer, parsed("DescribeSnapshots", parseSnapshots(body)));
    std::move(answer.snapshots.begin(), answer.snapshots.end(), std::back_inserter(all));
    if (answer.next.empty()) return all;
    token = std::move(answer.next);
  }
  return tl::unexpected(endless("DescribeSnapshots"));
}

Answer<Snapshot> Ebs::createSnapshot(const std::string& volume, const std::string& description,
                                     const std::vector<Tag>& tags, const std::stop_token& stop) {
  Parameters parameters{{"VolumeId", volume}, {"Description", description}};
  addTags(parameters, "TagSpecification", {"snapshot"}, tags);
  BUOY_ASK(const std::string body, ask("CreateSnapshot", std::move(parameters), stop));
  return parsed("CreateSnapshot", parseCreatedSnapshot(body));
}

Answer<void> Ebs::deleteSnapshot(const std::string& id, const std::stop_token& stop) {
  return removed("DeleteSnapshot", {{"SnapshotId", id}}, stop);
}

// ---- tags

Answer<void> Ebs::tag(const std::string& id, const std::vector<Tag>& tags, const std::stop_token& stop) {
  Parameters parameters{{"ResourceId.1", id}};
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const std::string at = strCat({"Tag.", std::to_string(i + 1)});
    parameters.emplace_back(at + ".Key", tags[i].key);
    parameters.emplace_back(at + ".Value", tags[i].value);
  }
  return done("CreateTags", std::move(parameters), stop);
}

Answer<void> Ebs::untag(const std::string& id, const std::vector<std::string>& keys,
                        const std::stop_token& stop) {
  Parameters parameters{{"ResourceId.1", id}};
  for (std::size_t i = 0; i < keys.size(); ++i)
    parameters.emplace_back(strCat({"Tag.", std::to_string(i + 1), ".Key"}), keys[i]);
  return removed("DeleteTags", std::move(parameters), stop);
}

}  // namespace buoy::cloud::aws
