#include "cloud/storage.h"

#include <gtest/gtest.h>

namespace buoy::cloud {
namespace {

constexpr ByteCount kTen{std::uint64_t{10} << 30};

std::string problemOf(const Storage& storage) {
  const auto problems = checkStorage(storage);
  return problems.empty() ? "" : problems.front().field + ": " + problems.front().message;
}

TEST(Storage, TakesWhatIsUsual) {
  EXPECT_EQ(
      problemOf({.volumes = {{.name = "data", .size = kTen}, {.name = "more", .type = "io2", .iops = 100}},
                 .file_systems = {{.name = "shared"}}}),
      "");
}

TEST(Storage, SaysWhereAndWhyNot) {
  const auto volume = [](VolumeSpec spec) {
    return problemOf({.volumes = {std::move(spec)}, .file_systems = {}});
  };
  EXPECT_TRUE(volume({.name = "a b"}).starts_with("volumes[0].name: must be 1 to 100 letters"));
  EXPECT_TRUE(
      volume({.name = "a", .size = ByteCount{1000}}).starts_with("volumes[0].size: must be whole GiB"));
  EXPECT_TRUE(volume({.name = "a", .type = "gp4"}).starts_with("volumes[0].type: must be one of"));
  EXPECT_EQ(volume({.name = "a", .type = "io1"}), "volumes[0].iops: is required for volumes of type io1");
  EXPECT_EQ(volume({.name = "a", .type = "st1", .throughput = 5}),
            "volumes[0].throughput: volumes of type st1 take none: gp3 does");
  for (const char* path : {"mnt", "/", "/mnt/../etc", "/mnt//a", "/mnt/a b"})
    EXPECT_TRUE(volume({.name = "a", .mount = path}).starts_with("volumes[0].mount: must be")) << path;
  EXPECT_TRUE(problemOf({.volumes = {{.name = "a"}, {.name = "a", .mount = "/b"}}, .file_systems = {}})
                  .starts_with("volumes[1].name: 'a' stands twice"));
  EXPECT_EQ(problemOf({.volumes = {{.name = "a", .mount = "/x"}},
                       .file_systems = {{.name = "b", .mount = "/x/y"}}}),
            "file_systems[0].mount: '/x/y' and '/x' would hide one another");
  EXPECT_EQ(
      problemOf({.volumes = {{.name = "a", .mount = "/x"}}, .file_systems = {{.name = "b", .mount = "/xy"}}}),
      "");
  EXPECT_TRUE(
      problemOf({.volumes = {}, .file_systems = {{.name = "b", .deletion = Deletion::create_snapshot}}})
          .starts_with("file_systems[0].deletion: must be retain or delete"));
}

TEST(Storage, GivesEveryMachineOfAGangItsOwn) {
  const Storage all{.volumes = {{.name = "data"}}, .file_systems = {{.name = "shared"}}};
  EXPECT_EQ(storageOf(all, 1, 0).volumes[0].name, "data");
  const Storage own = storageOf(all, 3, 2);
  EXPECT_EQ(own.volumes[0].name, "data-2");
  EXPECT_EQ(own.volumes[0].mount, "/mnt/data");
  EXPECT_EQ(own.file_systems[0].name, "shared");
}

TEST(MountOrder, IsReadBackAsItWasWritten) {
  const MountOrder order{
      .epoch = 7,
      .mounts = {{.name = "data", .path = "/mnt/data", .volume = "vol-1", .device = "/dev/sdf"},
                 {.name = "shared", .path = "/s", .volume = "", .device = "", .server = "10.0.0.1:/"}},
      .told = {"made it"},
      .error = "no",
      .elsewhere = true,
      .waiting = "a snapshot is being made",
      .progress = 3};
  const auto again = parseMountOrder(toJson(order));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, order);
  EXPECT_FALSE(parseMountOrder("{}"));
  EXPECT_FALSE(parseMountOrder(R"({"epoch":1,"mounts":[{"path":"/","volume":"vol-1"}]})"));
  EXPECT_EQ(mountKey("c/j1", MachineId{4}), "c/j1/storage/m4.json");
}

}  // namespace
}  // namespace buoy::cloud
