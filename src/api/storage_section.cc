#include "api/storage_section.h"

#include "base/strings.h"

namespace buoy::api {
namespace {

using cloud::Deletion;
using cloud::FileSystemSpec;
using cloud::VolumeFormat;
using cloud::VolumeSpec;

void readDeletion(MapReader& reader, Deletion& deletion) {
  reader.choice("deletion", deletion,
                {Deletion::retain, Deletion::remove, Deletion::create_snapshot, Deletion::update_snapshot});
}

VolumeSpec readVolume(MapReader& reader) {
  VolumeSpec volume;
  reader.get("name", volume.name);
  reader.get("size", volume.size);
  reader.get("type", volume.type);
  reader.get("iops", volume.iops);
  reader.get("throughput", volume.throughput);
  reader.choice("file_system", volume.format, {VolumeFormat::ext4, VolumeFormat::xfs});
  reader.get("mount", volume.mount);
  reader.get("snapshot", volume.snapshot);
  readDeletion(reader, volume.deletion);
  reader.refuseUnknown();
  return volume;
}

FileSystemSpec readFileSystem(MapReader& reader) {
  FileSystemSpec shared;
  reader.get("name", shared.name);
  reader.get("mount", shared.mount);
  readDeletion(reader, shared.deletion);
  reader.refuseUnknown();
  return shared;
}

template <class Spec>
void readEach(MapReader& job, const char* key, Spec (*read)(MapReader&), std::vector<Spec>& out) {
  const Node* node = job.list(key);
  if (node == nullptr) return;
  std::size_t at = 0;
  for (const Node& item : node->items) {
    MapReader reader(job.problems(), item, strCat({job.pathOf(key), "[", std::to_string(at++), "]"}));
    out.push_back(read(reader));
  }
}

}  // namespace

void readStorage(MapReader& job, cloud::Storage& storage) {
  readEach(job, "volumes", readVolume, storage.volumes);
  readEach(job, "file_systems", readFileSystem, storage.file_systems);
}

void writeStorage(JsonWriter& writer, const cloud::Storage& storage) {
  if (!storage.volumes.empty()) {
    writer.key("volumes").beginArray();
    for (const VolumeSpec& each : storage.volumes) {
      writer.beginObject().field("name", each.name);
      if (each.size != ByteCount{}) writer.field("size", each.size);
      writer.field("type", each.type);
      if (each.iops > 0) writer.field("iops", each.iops);
      if (each.throughput > 0) writer.field("throughput", each.throughput);
      writer.field("file_system", toString(each.format));
      if (!each.mount.empty()) writer.field("mount", each.mount);
      if (!each.snapshot.empty()) writer.field("snapshot", each.snapshot);
      writer.field("deletion", toString(each.deletion)).endObject();
    }
    writer.endArray();
  }
  if (!storage.file_systems.empty()) {
    writer.key("file_systems").beginArray();
    for (const FileSystemSpec& each : storage.file_systems) {
      writer.beginObject().field("name", each.name);
      if (!each.mount.empty()) writer.field("mount", each.mount);
      writer.field("deletion", toString(each.deletion)).endObject();
    }
    writer.endArray();
  }
}

}  // namespace buoy::api
