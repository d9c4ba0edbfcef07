#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "objstore/checkpoint.h"
#include "objstore/forwarding_store.h"
#include "objstore/manifest.h"
#include "objstore/test_tree.h"
#include "os/files.h"
#include "os/system_clock.h"

namespace buoy::objstore {
namespace {

using namespace testing;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr const char* kPackedPrefix = "main/j1/checkpoints";

std::string randomBytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, bytes.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return bytes;
}

// Damages what a test chooses, and counts.
class WatchedStore final : public FarStore {
 public:
  using FarStore::FarStore;
  Status putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                   std::stop_token stop) override {
    for (const net::BodyPiece& piece : content) sent += piece.length();
    if (before_pack) before_pack();
    return FarStore::putPieces(key, content, stop);
  }
  Status removeMany(const std::vector<std::string>& keys, std::stop_token stop) override {
    removed.push_back(keys.size());
    return FarStore::removeMany(keys, std::move(stop));
  }
  std::atomic<std::uint64_t> sent{0};
  std::vector<std::size_t> removed;  // by each request
  std::function<void()> before_pack;
};

class PackedCheckpointTest : public ::testing::Test {
 protected:
  CheckpointRepository repository(Epoch epoch) {
    return CheckpointRepository(far_, kPackedPrefix, epoch, static_cast<std::uint32_t>(epoch));
  }
  CommitStats commit(CheckpointRepository& repo) {
    const auto stats = repo.commit(work_, {}, {});
    EXPECT_TRUE(stats) << stats.error().message;
    return stats.value_or(CommitStats{});
  }
  Tree treeAfter(Epoch epoch) {
    const std::string target = dir_.path() + "/target" + std::to_string(epoch);
    auto repo = repository(epoch);
    auto result = repo.restore(target);
    EXPECT_TRUE(result) << result.error().message;
    if (result) last_ = std::move(*result);
    return readTree(target);
  }
  std::vector<std::string> packs() {
    std::vector<std::string> keys;
    const auto listed = near_->list(std::string(kPackedPrefix) + "/packs/", "", 100'000).value();
    for (const ObjectInfo& info : listed) keys.push_back(info.key);
    return keys;
  }
  std::string path(const std::string& name) const { return work_ + "/" + name; }

  os::TempDir dir_ = os::TempDir::create("buoy-packed-").value();
  std::string work_ = dir_.path() + "/work";
  std::unique_ptr<ObjectStore> near_ = openStore("file://" + dir_.path() + "/store").value();
  WatchedStore far_{*near_};
  CheckpointRepository::Restored last_;
};

TEST_F(PackedCheckpointTest, ALargeFileComesBackAndOnlyItsChangesAreSentAgain) {
  std::string bytes = randomBytes(24 * kMiB + 12'345, 1);
  writeTree(work_, {{"model.bin", file(bytes)}, {"small", file("s")}, {"empty", file("")}});
  auto repo = repository(1);
  ASSERT_TRUE(repo.restore(work_));
  writeTree(work_, {{"model.bin", file(bytes)}, {"small", file("s")}, {"empty", file("")}});
  const CommitStats first = commit(repo);
  EXPECT_EQ(first.new_bytes, bytes.size() + 1);
  EXPECT_EQ(far_.sent, bytes.size() + 1);
  EXPECT_THAT(packs(), SizeIs(3));  // 16 MiB, the rest, and the small ones

  bytes.replace(10 * kMiB + 5, 3, "new");
  writeFile(path("model.bin"), bytes);
  const CommitStats second = commit(repo);
  EXPECT_EQ(second.new_bytes, 512u << 10);
  EXPECT_EQ(second.bytes, bytes.size() + 1);
  const Tree tree = treeAfter(2);
  EXPECT_EQ(tree.at("model.bin").content, bytes);
  EXPECT_EQ(tree.at("small").content, "s");
  EXPECT_EQ(tree.at("empty").content, "");
}

TEST_F(PackedCheckpointTest, AFileUnderAnotherNameIsNotSentAgain) {
  writeTree(work_, {{"step-1", file(randomBytes(3 * kMiB, 2))}});
  auto repo = repository(1);
  commit(repo);
  const std::uint64_t before = far_.sent;
  writeTree(work_, {{"step-1", file(randomBytes(3 * kMiB, 2))}, {"step-2", file(randomBytes(3 * kMiB, 2))}});
  EXPECT_EQ(commit(repo).new_bytes, 0u);
  EXPECT_EQ(far_.sent, before);
  EXPECT_EQ(treeAfter(2).at("step-2").content, randomBytes(3 * kMiB, 2));
}

TEST_F(PackedCheckpointTest, AnAttemptGoesOnWithThePacksOfTheOneBefore) {
  std::string bytes = randomBytes(5 * kMiB, 3);
  writeTree(work_, {{"a", file(bytes)}});
  auto first = repository(1);
  commit(first);
  auto second = repository(2);
  const std::string other = dir_.path() + "/other";
  ASSERT_TRUE(second.restore(other));
  const std::uint64_t before = far_.sent;
  writeFile(other + "/b", "more");
  ASSERT_TRUE(second.commit(other, {}, {}));
  EXPECT_EQ(far_.sent, before + 4);
  ASSERT_TRUE(second.retain(1));
  EXPECT_EQ(treeAfter(3).at("a").content, bytes);
}

TEST_F(PackedCheckpointTest, AMissingOrDamagedPackMeansTheVersionBefore) {
  for (const bool missing : {true, false}) {
    const Epoch epoch = missing ? 1 : 11;
    writeTree(work_, {{"a", file(randomBytes(kMiB, epoch))}});
    auto repo = repository(epoch);
    ASSERT_TRUE(repo.open());
    commit(repo);
    const auto before = packs();
    writeTree(work_, {{"a", file(randomBytes(kMiB, epoch + 1))}});
    commit(repo);
    for (const std::string& key : packs()) {
      if (std::find(before.begin(), before.end(), key) != before.end()) continue;
      if (missing) {
        ASSERT_TRUE(near_->remove(key));
      } else {
        std::string content = near_->get(key).value();
        content[content.size() / 2] ^= 1;
        ASSERT_TRUE(near_->put(key, content));
      }
    }
    const Tree tree = treeAfter(epoch + 1);
    EXPECT_EQ(tree.at("a").content, randomBytes(kMiB, epoch));
    ASSERT_THAT(last_.fallbacks, SizeIs(1));
    EXPECT_THAT(last_.fallbacks[0], HasSubstr(missing ? "is missing" : "is damaged"));
  }
}

TEST_F(PackedCheckpointTest, RetentionRemovesPacksThatNoVersionNames) {
  auto repo = repository(1);
  for (unsigned i = 0; i < 4; ++i) {
    writeTree(work_, {{"a", file(randomBytes(kMiB, i))}});
    commit(repo);
    ASSERT_TRUE(repo.retain(2));
  }
  EXPECT_THAT(packs(), SizeIs(2));
  EXPECT_EQ(treeAfter(2).at("a").content, randomBytes(kMiB, 3));
}

TEST_F(PackedCheckpointTest, APackOfWhichLittleIsUsedIsNotKeptForItsSake) {
  auto repo = repository(1);
  Tree tree;
  for (unsigned i = 0; i < 8; ++i) tree["f" + std::to_string(i)] = file(randomBytes(kMiB, i));
  writeTree(work_, tree);
  commit(repo);
  ASSERT_THAT(packs(), SizeIs(1));
  for (unsigned i = 1; i < 8; ++i) tree["f" + std::to_string(i)] = file(randomBytes(kMiB, 100 + i));
  writeTree(work_, tree);
  commit(repo);  // an eighth of the first pack is left in use
  tree["f1"] = file(randomBytes(kMiB, 200));
  writeTree(work_, tree);
  commit(repo);
  ASSERT_TRUE(repo.retain(1));
  EXPECT_EQ(treeAfter(2), tree);
}

TEST_F(PackedCheckpointTest, AFileOf200GiBCostsWhatIsInIt) {
  constexpr std::uint64_t kSize = 200ull << 30;
  writeTree(work_, {{"small", file("s")}});
  const std::string bytes = randomBytes(kMiB, 3);
  const auto write = [&] {
    const os::Fd fd = os::openFile(path("sparse"), O_RDWR | O_CREAT).value();
    ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(kSize)), 0);
    ASSERT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(kSize / 2 + 12'345)),
              static_cast<ssize_t>(bytes.size()));
  };
  write();
  auto repo = repository(1);
  const CommitStats stats = commit(repo);
  EXPECT_EQ(stats.bytes, kSize + 1);
  EXPECT_LT(far_.sent, 256 * kMiB);

  const std::string target = dir_.path() + "/target";
  auto next = repository(2);
  const auto restored = next.restore(target);
  ASSERT_TRUE(restored) << restored.error().message;
  struct stat info {};
  ASSERT_EQ(::stat((target + "/sparse").c_str(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), kSize);
  EXPECT_LT(static_cast<std::uint64_t>(info.st_blocks) * 512, 256 * kMiB);
  std::string found(bytes.size(), '\0');
  const os::Fd fd = os::openFile(target + "/sparse", O_RDONLY).value();
  ASSERT_EQ(::pread(fd.get(), found.data(), found.size(), static_cast<off_t>(kSize / 2 + 12'345)),
            static_cast<ssize_t>(found.size()));
  EXPECT_EQ(found, bytes);
}

TEST_F(PackedCheckpointTest, RetentionRemovesManyInOneRequestAndStopsWhenToldTo) {
  auto repo = repository(1);
  for (unsigned i = 0; i < 4; ++i) {
    writeTree(work_, {{"a", file(randomBytes(kMiB, i))}});
    commit(repo);
  }
  ASSERT_THAT(packs(), SizeIs(4));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(repo.retain(1, stop.get_token()).error().code, ErrorCode::cancelled);
  EXPECT_THAT(packs(), SizeIs(4));
  ASSERT_TRUE(repo.retain(1));
  EXPECT_THAT(far_.removed, ::testing::ElementsAre(3u));
  EXPECT_THAT(packs(), SizeIs(1));
}

TEST_F(PackedCheckpointTest, AFileThatChangesWhileItIsSentIsReadAgain) {
  writeTree(work_, {{"a", file(randomBytes(2 * kMiB, 7))}});
  auto repo = repository(1);
  ASSERT_TRUE(repo.open());
  int changes = 2;
  std::string latest;
  far_.before_pack = [&] {
    if (changes-- <= 0) return;
    latest = randomBytes(2 * kMiB, static_cast<unsigned>(50 + changes));
    writeFile(path("a"), latest);
  };
  commit(repo);
  EXPECT_EQ(treeAfter(2).at("a").content, latest);
}

TEST_F(PackedCheckpointTest, AnOldAttemptCannotCommit) {
  auto old = repository(1);
  ASSERT_TRUE(old.restore(work_));
  auto next = repository(2);
  ASSERT_TRUE(next.open());
  writeTree(work_, {{"a", file("late")}});
  EXPECT_EQ(old.commit(work_, {}, {}).error().code, ErrorCode::failed_precondition);
  EXPECT_TRUE(treeAfter(3).empty());
}

TEST_F(PackedCheckpointTest, HolesStayHolesAndAreNotSent) {
  ASSERT_TRUE(os::makeDirectories(work_));
  {
    std::ofstream out(path("sparse"), std::ios::binary);
    out << "begin";
  }
  constexpr std::uint64_t kSize = 8ull << 30;
  ASSERT_EQ(::truncate(path("sparse").c_str(), static_cast<off_t>(kSize)), 0);
  auto repo = repository(1);
  const CommitStats stats = commit(repo);
  EXPECT_EQ(stats.bytes, kSize);
  EXPECT_EQ(far_.sent, 4u << 20);  // one slice with data, and one of zeros
  const std::string target = dir_.path() + "/restored";
  ASSERT_TRUE(repository(2).restore(target));
  struct stat info {};
  ASSERT_EQ(::stat((target + "/sparse").c_str(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), kSize);
  EXPECT_LT(info.st_blocks * 512, 16 << 20);
}

TEST_F(PackedCheckpointTest, ThousandsOfSmallFilesShareFewPacks) {
  Tree tree;
  for (int i = 0; i < 3000; ++i) tree["f" + std::to_string(i)] = file("content " + std::to_string(i));
  writeTree(work_, tree);
  auto repo = repository(1);
  EXPECT_EQ(commit(repo).new_files, 3000u);
  EXPECT_THAT(packs(), SizeIs(1));
  EXPECT_EQ(treeAfter(2), tree);
}

TEST_F(PackedCheckpointTest, RandomTreesRoundTripWithChangesInBetween) {
  std::mt19937 random(5);
  Tree tree;
  for (Epoch epoch = 1; epoch < 30; ++epoch) {
    SCOPED_TRACE(epoch);
    for (int changes = 0; changes < 6; ++changes) {
      const std::string name = "n" + std::to_string(random() % 12);
      if (random() % 4 == 0) {
        tree.erase(name);
      } else {
        tree[name] = file(randomBytes(random() % (random() % 3 == 0 ? 2'000'000 : 3000), random() % 40));
      }
    }
    const std::string work = dir_.path() + "/work" + std::to_string(epoch);
    auto repo = repository(epoch);
    ASSERT_TRUE(repo.restore(work));
    writeTree(work, tree);
    const auto stats = repo.commit(work, {}, {});
    ASSERT_TRUE(stats) << stats.error().message;
    ASSERT_TRUE(repo.retain(1 + static_cast<int>(random() % 2)));
    const std::string next = dir_.path() + "/next";
    ASSERT_TRUE(os::removeTree(next));
    auto reader = repository(epoch + 1);
    ASSERT_TRUE(reader.restore(next));
    EXPECT_EQ(readTree(next), tree);
    ++epoch;  // the reader's
  }
}

}  // namespace
}  // namespace buoy::objstore
