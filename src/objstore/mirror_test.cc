#include "objstore/mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "objstore/forwarding_store.h"
#include "objstore/test_tree.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MirrorTest : public ::testing::TestWithParam<bool> {
 protected:
  std::shared_ptr<ObjectStore> store() {
    if (!GetParam()) return near_;
    return std::make_shared<FarStore>(*near_);
  }
  Mirror::Stats put(Mirror& mirror, const std::string& directory, const std::vector<std::string>& skip = {}) {
    const Snapshot snapshot = scanDirectory(directory, {skip.begin(), skip.end()}).value();
    const auto stats = mirror.put(directory, snapshot.files, {});
    EXPECT_TRUE(stats) << stats.error().message;
    return stats.value_or(Mirror::Stats{});
  }
  std::vector<std::string> keys() {
    std::vector<std::string> result;
    const auto objects = near_->list("", "", 100).value();
    for (const ObjectInfo& object : objects) result.push_back(object.key);
    return result;
  }

  os::TempDir dir_ = os::TempDir::create("buoy-mirror-").value();
  std::string one_ = dir_.path() + "/one", two_ = dir_.path() + "/two";
  std::shared_ptr<ObjectStore> near_ = openStore("file://" + dir_.path() + "/store").value();
};
INSTANTIATE_TEST_SUITE_P(Stores, MirrorTest, ::testing::Bool(),
                         [](const auto& store) { return store.param ? "far" : "near"; });

TEST_P(MirrorTest, HoldsTheFilesAsTheyAre) {
  const std::string large(9u << 20, 'x');
  writeTree(one_, {{"d", directory()}, {"d/a b", file("1")}, {"large", file(large)}, {"empty", file("")}});
  Mirror mirror(store());
  EXPECT_EQ(put(mirror, one_).files, 3u);
  EXPECT_THAT(keys(), ElementsAre("d/a b", "empty", "large"));
  EXPECT_EQ(near_->get("d/a b").value(), "1");
  EXPECT_EQ(put(mirror, one_).files, 0u) << "nothing has changed";

  Mirror another(store());
  const auto fetched = another.fetch(two_, {});
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(fetched->bytes, large.size() + 1);
  EXPECT_EQ(readTree(two_), readTree(one_));
}

TEST_P(MirrorTest, WhatIsBeingWrittenWaits) {
  writeTree(one_, {{"a", file("1")}, {"b", file("half")}});
  Mirror mirror(store());
  put(mirror, one_, {"b"});
  EXPECT_THAT(keys(), ElementsAre("a"));
  put(mirror, one_);
  EXPECT_THAT(keys(), ElementsAre("a", "b"));
}

TEST_P(MirrorTest, RemovesNothingThatAnotherMachineHasPut) {
  writeTree(one_, {{"mine", file("1")}, {"both", file("1")}});
  writeTree(two_, {{"theirs", file("2")}, {"both", file("22")}});
  Mirror first(store()), second(store());
  put(first, one_);
  put(second, two_);
  std::filesystem::remove(one_ + "/mine");
  std::filesystem::remove(one_ + "/both");
  EXPECT_EQ(put(first, one_).removed, 1u);
  EXPECT_THAT(keys(), ElementsAre("both", "theirs"));
  EXPECT_EQ(near_->get("both").value(), "22");
}

// What restoring, or fetching, has left on every machine of a gang.
TEST_P(MirrorTest, CopiesOfOthersWorkAreNeitherPutNorRemoved) {
  writeTree(one_, {{"shard0", file("old")}, {"shard1", file("old")}});
  writeTree(two_, {{"shard0", file("old")}, {"shard1", file("old")}});
  Mirror first(store()), second(store());
  put(first, one_);
  ASSERT_TRUE(second.begin(two_));
  writeFile(one_ + "/shard0", "newer");
  put(first, one_);
  writeFile(two_ + "/shard1", "newer");
  EXPECT_EQ(put(second, two_).files, 1u);
  EXPECT_EQ(near_->get("shard0").value(), "newer");
  std::filesystem::remove(two_ + "/shard0");
  EXPECT_EQ(put(second, two_).removed, 0u);
  EXPECT_THAT(keys(), ElementsAre("shard0", "shard1"));
}

TEST_P(MirrorTest, WhatHasChangedSinceItWasSavedWaits) {
  writeTree(one_, {{"a", file("saved")}});
  const Snapshot saved = scanDirectory(one_, {}).value();
  writeFile(one_ + "/a", "being written");
  Mirror mirror(store());
  EXPECT_EQ(mirror.put(one_, saved.files, {}).value().files, 0u);
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_P(MirrorTest, NoKeyLeadsOutOfTheDirectory) {
  writeTree(one_, {{"a", file("1")}});
  writeTree(two_, {});
  Mirror mirror(store());
  put(mirror, one_);
  std::filesystem::create_directory(two_ + "/real");
  std::filesystem::create_symlink(one_, two_ + "/out");
  ASSERT_TRUE(near_->put("out/b", "through a link"));
  EXPECT_FALSE(mirror.fetch(two_, {}));
  EXPECT_FALSE(std::filesystem::exists(one_ + "/b"));
}

}  // namespace
}  // namespace buoy::objstore
