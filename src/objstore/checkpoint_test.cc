#include "objstore/checkpoint.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <random>
#include <thread>

#include "objstore/checkpoint_keys.h"
#include "objstore/forwarding_store.h"
#include "objstore/manifest.h"
#include "objstore/object_store.h"
#include "objstore/slot_log.h"
#include "objstore/test_tree.h"
#include "os/copy.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace testing;

constexpr const char* kPrefix = "main/j1/checkpoints";

// A store that performs some writes and then says that it failed, and lets a test act in the middle of
// things.
class FlakyStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status putIfAbsent(const std::string& key, std::string_view content) override {
    BUOY_TRY_VOID(ForwardingStore::putIfAbsent(key, content));
    if (std::exchange(forget_next, false)) return fail(ErrorCode::unavailable, "no answer", true);
    return {};
  }
  Result<ObjectInfo> head(const std::string& key) override {
    if (before_head) before_head(key);
    return ForwardingStore::head(key);
  }

  bool forget_next = false;
  std::function<void(const std::string&)> before_head;
};

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointRepository repository(Epoch epoch) {
    return CheckpointRepository(*store_, kPrefix, epoch, static_cast<std::uint32_t>(epoch),
                                {&clock_, grace_});
  }
  // A repository that has restored into the working directory.
  CheckpointRepository restored(Epoch epoch) {
    auto repo = repository(epoch);
    const auto result = repo.restore(work_);
    EXPECT_TRUE(result) << result.error().message;
    return repo;
  }
  static CommitStats commit(CheckpointRepository& repo, const std::string& directory,
                            const std::vector<std::string>& skip = {}) {
    const auto stats = repo.commit(directory, skip, {});
    EXPECT_TRUE(stats) << stats.error().message;
    return stats.value_or(CommitStats{});
  }
  CommitStats commit(CheckpointRepository& repo) { return commit(repo, work_); }
  Error commitError(CheckpointRepository& repo) {
    const auto stats = repo.commit(work_, {}, {});
    EXPECT_FALSE(stats);
    return stats ? Error{} : stats.error();
  }
  Tree treeAfter(Epoch epoch) {
    const std::string target = dir_.path() + "/target" + std::to_string(epoch);
    auto repo = repository(epoch);
    last_ = repo.restore(target).value();
    return readTree(target);
  }
  std::vector<std::string> keys(const std::string& below) {
    std::vector<std::string> out;
    const std::string prefix = std::string(kPrefix) + "/" + below;
    const auto listed = store_->list(prefix, "", 100'000).value();
    for (const auto& info : listed) out.push_back(info.key.substr(prefix.size()));
    return out;
  }
  std::string path(const std::string& name) const { return work_ + "/" + name; }
  std::string storePath(const std::string& below) const {
    return dir_.path() + "/store/" + kPrefix + "/" + below;
  }
  std::vector<std::uint64_t> versions(Epoch epoch) {
    std::vector<std::uint64_t> out;
    const auto listed = repository(epoch).list().value();
    for (const Manifest& manifest : listed) out.push_back(manifest.version);
    return out;
  }

  os::TempDir dir_ = os::TempDir::create("buoy-checkpoint-").value();
  std::string work_ = dir_.path() + "/work";
  std::unique_ptr<ObjectStore> store_ = openStore("file://" + dir_.path() + "/store").value();
  FakeClock clock_{std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())};
  Duration grace_ = std::chrono::hours{1};
  CheckpointRepository::Restored last_;
};

TEST_F(CheckpointTest, FirstAttemptHasNothingToRestoreAndKeepsWhatIsThere) {
  writeTree(work_, {{"seed", file("by the user")}});
  auto repo = repository(1);
  EXPECT_FALSE(repo.open().value().has_value());
  const auto result = repo.restore(work_).value();
  EXPECT_FALSE(result.manifest);
  EXPECT_THAT(result.fallbacks, IsEmpty());
  EXPECT_THAT(readTree(work_), ElementsAre(::testing::Pair("seed", file("by the user"))));
}

TEST_F(CheckpointTest, RoundTripsEverythingThatATreeCanHold) {
  Tree tree = {{"a file", file("content", 0600)},
               {"empty", file("")},
               {"new\nline \"ü\" \t", file("odd", 0755)},
               {"dir", directory(0750)},
               {"dir/empty", directory()},
               {"dir/model.pt", file(std::string(300'000, 'w'))},
               {"dir/latest", symlink("model.pt")},
               {"dir/up", symlink("../a file")},
               {"locked", directory(0555)},
               {"locked/f", file("read only", 0444)},
               {"dangling", symlink("nothing")}};
  for (auto& [name, node] : tree) node.modified_us = 1'600'000'000'123'456;
  writeTree(work_, tree);
  auto repo = repository(1);
  const CommitStats stats = commit(repo);
  EXPECT_EQ(stats.version, 2u);  // slot 1 is the fence
  EXPECT_EQ(stats.files, 5u);
  EXPECT_EQ(stats.new_files, 5u);
  EXPECT_EQ(stats.bytes, 300'000u + 7 + 3 + 9);

  const std::string target = dir_.path() + "/target";
  const auto result = repository(2).restore(target).value();
  ASSERT_TRUE(result.manifest);
  EXPECT_EQ(result.manifest->version, 2u);
  EXPECT_EQ(result.manifest->epoch, 1u);
  EXPECT_EQ(result.bytes, stats.bytes);
  EXPECT_EQ(readTree(target, true), tree);
}

TEST_F(CheckpointTest, RestoreReplacesWhatIsThereAndKeepsWhatIsRight) {
  writeTree(work_, {{"same", file("same")},
                    {"longer", file("12345")},
                    {"kind", file("file")},
                    {"d", directory()},
                    {"d/x", file("x")},
                    {"link", symlink("same")}});
  auto repo = repository(1);
  commit(repo);
  const Tree saved = readTree(work_);

  writeTree(work_, {{"same", file("same", 0600)},
                    {"longer", file("123")},
                    {"kind", directory()},
                    {"kind/inner", directory(0555)},
                    {"kind/inner/f", file("")},
                    {"d", symlink("..")},
                    {"link", file("no link")},
                    {"extra", directory()},
                    {"extra/more", file("")},
                    {".buoy-restore.tmp", file("of a killed restore")}});
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat(path("same").c_str(), &before), 0);
  const auto result = repository(2).restore(work_).value();
  EXPECT_EQ(readTree(work_), saved);
  ASSERT_EQ(::stat(path("same").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(result.bytes, 5u + 4 + 1);
}

TEST_F(CheckpointTest, RestoreFollowsNoLinkInTheTarget) {
  writeTree(work_, {{"d", directory()}, {"d/f", file("new")}, {"g", file("new")}});
  auto repo = repository(1);
  commit(repo);
  const std::string outside = dir_.path() + "/outside";
  writeTree(outside, {{"f", file("precious")}});
  writeTree(work_, {{"d", symlink(outside)}, {"g", symlink(outside + "/f")}, {"extra", symlink(outside)}});
  ASSERT_TRUE(repository(2).restore(work_));
  EXPECT_THAT(readTree(outside), ElementsAre(::testing::Pair("f", file("precious"))));
  EXPECT_THAT(readTree(work_),
              ElementsAre(::testing::Pair("d", directory()), ::testing::Pair("d/f", file("new")),
                          ::testing::Pair("g", file("new"))));
}

TEST_F(CheckpointTest, AHardLinkIsNotChangedThroughItsOtherName) {
  writeTree(work_, {{"f", file("1")}});
  auto repo = repository(1);
  commit(repo);
  ASSERT_EQ(::link(path("f").c_str(), (dir_.path() + "/other").c_str()), 0);
  ASSERT_EQ(::chmod(path("f").c_str(), 0600), 0);
  ASSERT_TRUE(repository(2).restore(work_));
  struct stat info {};
  ASSERT_EQ(::stat((dir_.path() + "/other").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST_F(CheckpointTest, UnchangedAndEqualContentIsNotStoredAgain) {
  writeTree(work_, {{"a", file("one")}, {"b", file("two")}, {"c", file("one")}});
  auto repo = repository(1);
  EXPECT_EQ(commit(repo).new_files, 2u);
  const CommitStats unchanged = commit(repo);
  EXPECT_EQ(unchanged.version, 2u);
  EXPECT_EQ(unchanged.new_files, 0u);
  EXPECT_EQ(unchanged.files, 3u);
  EXPECT_THAT(keys("log/"), SizeIs(2));

  writeFile(path("a"), "three");
  writeFile(path("d"), "two");
  const CommitStats changed = commit(repo);
  EXPECT_EQ(changed.version, 3u);
  EXPECT_EQ(changed.new_files, 1u);
  EXPECT_EQ(changed.new_bytes, 5u);

  // The next attempt does not store what it has restored.
  auto next = restored(2);
  EXPECT_EQ(commit(next).version, 3u);
  writeFile(path("e"), "four");
  const CommitStats more = commit(next);
  EXPECT_EQ(more.new_files, 1u);
  EXPECT_EQ(more.files, 5u);
  EXPECT_EQ(treeAfter(3), readTree(work_));
}

TEST_F(CheckpointTest, ATouchedFileIsNoNewVersionAndAModeIsOne) {
  writeTree(work_, {{"a", file("one")}});
  auto repo = repository(1);
  commit(repo);
  age(path("a"));
  EXPECT_EQ(commit(repo).version, 2u);
  ASSERT_EQ(::chmod(path("a").c_str(), 0600), 0);
  const CommitStats stats = commit(repo);
  EXPECT_EQ(stats.version, 3u);
  EXPECT_EQ(stats.new_files, 0u);
}

// Same size, and the time set back: what a comparison of times alone would miss.
TEST_F(CheckpointTest, AChangeThatHidesItsTimeIsSeen) {
  writeTree(work_, {{"a", file("one")}});
  age(path("a"));
  struct stat info {};
  ASSERT_EQ(::stat(path("a").c_str(), &info), 0);
  auto repo = repository(1);
  commit(repo);
  writeFile(path("a"), "two");
  const struct timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("a").c_str(), times, 0), 0);
  EXPECT_EQ(commit(repo).new_files, 1u);
}

TEST_F(CheckpointTest, AWriteThroughAMappingIsSeen) {
  writeTree(work_, {{"a", file(std::string(4096, '1'))}});
  age(path("a"));
  const os::Fd fd = os::openFile(path("a"), O_RDWR).value();
  char* memory = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[0] = '2';  // the page is writable from here on: later writes may leave every time stamp alone
  auto repo = repository(1);
  commit(repo);
  for (int i = 0; i < 3; ++i) {
    memory[1] = static_cast<char>('a' + i);
    EXPECT_EQ(commit(repo).new_files, 1u);
  }
  ::munmap(memory, 4096);
}

TEST_F(CheckpointTest, EmptyDirectoryCommitsNothingUntilThereWasSomething) {
  writeTree(work_, {});
  auto repo = repository(1);
  EXPECT_EQ(commit(repo).version, 0u);
  writeFile(path("a"), "x");
  EXPECT_EQ(commit(repo).version, 2u);
  writeTree(work_, {});
  EXPECT_EQ(commit(repo).version, 3u);
  EXPECT_THAT(treeAfter(2), IsEmpty());
}

TEST_F(CheckpointTest, SkippedFilesKeepTheirLastContent) {
  writeTree(work_, {{"a", file("a1")}, {"b", file("b1")}});
  auto repo = repository(1);
  commit(repo);
  writeFile(path("a"), "a2 half");
  writeFile(path("b"), "b2");
  writeFile(path("c"), "c half");
  EXPECT_EQ(commit(repo, work_, {"a", "c", "no such file"}).files, 2u);
  EXPECT_THAT(treeAfter(2), ElementsAre(::testing::Pair("a", file("a1")), ::testing::Pair("b", file("b2"))));
  // One that was restored by the next attempt, too.
  auto next = restored(3);
  writeFile(path("a"), "a3 half");
  writeFile(path("b"), "b3");
  commit(next, work_, {"a"});
  EXPECT_THAT(treeAfter(4), ElementsAre(::testing::Pair("a", file("a1")), ::testing::Pair("b", file("b3"))));
}

TEST_F(CheckpointTest, RefusesWhatCannotBeSavedByName) {
  auto repo = repository(1);
  const auto refused = [&](const std::string& message) {
    const Error error = commitError(repo);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_THAT(error.message, HasSubstr(message));
  };
  writeTree(work_, {{"f", file("")}, {"d", directory()}, {"d/out", symlink("../../secret")}});
  refused("\"d/out\"");
  writeTree(work_, {{"f", file("")}, {"abs", symlink("/etc/passwd")}});
  refused("\"abs\"");
  writeTree(work_, {{"f", file("")}, {"bad\xff", file("")}});
  refused("bad\\xff");
  writeTree(work_, {{"f", file("")}});
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  refused("\"pipe\" is a named pipe");
  writeTree(work_, {});
  const os::Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  struct sockaddr_un address {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path("s").size(), sizeof address.sun_path);
  std::copy_n(path("s").c_str(), path("s").size() + 1, address.sun_path);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address), 0);
  refused("\"s\" is a socket");
  EXPECT_THAT(keys("objects/"), IsEmpty());
  EXPECT_THAT(keys("log/"), SizeIs(1));
  EXPECT_EQ(repo.commit(dir_.path() + "/none", {}, {}).error().code, ErrorCode::not_found);
}

TEST_F(CheckpointTest, AFileThatDoesNotHoldStillIsNotSaved) {
  FlakyStore store(*store_);
  writeTree(work_, {{"a", file("x")}, {"b", file("b")}});
  int growing = 0;
  // Asked between the reading of a file and the end of it.
  store.before_head = [&](const std::string& key) {
    if (key.find("/objects/") != std::string::npos && growing > 0) {
      writeFile(path("a"), "x" + std::to_string(growing--));
    }
  };
  CheckpointRepository repo(store, kPrefix, 1, 1, {&clock_, grace_});
  growing = 1000;
  const Error error = commitError(repo);
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_TRUE(error.retryable);
  EXPECT_THAT(keys("log/"), SizeIs(1));
  EXPECT_EQ(commit(repo, work_, {"a"}).files, 1u);
  growing = 2;  // and then holds still
  EXPECT_EQ(commit(repo).files, 2u);
  EXPECT_EQ(treeAfter(2).at("a"), file("x1"));
}

TEST_F(CheckpointTest, AVersionIsOneInstantAlsoWhileFilesAreRenamedOverAllTheTime) {
  // The writer makes "one" and then "two" of every generation: of any instant, two's is that of one or the
  // one before.
  writeTree(work_, {{"one", file("100000")}, {"two", file("100000")}});
  const std::string scratch = dir_.path() + "/scratch";
  auto repo = repository(1);
  std::vector<std::uint64_t> committed;
  {
    const std::jthread writer([&](const std::stop_token& stop) {
      for (int i = 100'001; !stop.stop_requested(); ++i) {
        for (const char* name : {"one", "two"}) {
          writeFile(scratch, std::to_string(i));
          ASSERT_EQ(::rename(scratch.c_str(), path(name).c_str()), 0);
          // Holds still for moments of different lengths.
          const struct timespec rest = {0, (i % 8) * 4'000'000};
          ::nanosleep(&rest, nullptr);
        }
      }
    });
    for (int i = 0; i < 20; ++i) {
      const auto stats = repo.commit(work_, {}, {});
      if (stats) committed.push_back(stats->version);
      if (!stats) {
        EXPECT_EQ(stats.error().code, ErrorCode::unavailable) << stats.error().message;
      }
    }
  }
  const auto listed = repo.list().value();
  for (const Manifest& manifest : listed) {
    ASSERT_EQ(manifest.files.size(), 2u);
    const auto number = [&](const CheckpointFile& f) {
      return std::stoi(store_->get(std::string(kPrefix) + "/" + objectKey(f.stored_by, f.sha256)).value());
    };
    const int ahead = number(manifest.files[0]) - number(manifest.files[1]);
    EXPECT_TRUE(ahead == 0 || ahead == 1) << ahead;
  }
}

TEST_F(CheckpointTest, StopCancels) {
  writeTree(work_, {{"a", file("x")}});
  auto repo = repository(1);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(repo.commit(work_, {}, stop.get_token()).error().code, ErrorCode::cancelled);
  EXPECT_THAT(keys("objects/"), IsEmpty());
}

TEST_F(CheckpointTest, OpenIsIdempotentWithinAnEpoch) {
  writeTree(work_, {{"a", file("1")}});
  auto first = repository(1);
  commit(first);
  auto rank0 = repository(2);
  EXPECT_EQ(rank0.open().value()->version, 2u);
  EXPECT_EQ(rank0.open().value()->version, 2u);
  ASSERT_TRUE(rank0.restore(work_));
  writeFile(path("a"), "2");
  EXPECT_EQ(commit(rank0).version, 4u);
  ASSERT_TRUE(rank0.retain(1));
  // A slow rank of the same attempt restores what rank 0 has restored, not what it has made of it.
  auto rank1 = repository(2);
  EXPECT_EQ(rank1.open().value()->version, 2u);
  const std::string target = dir_.path() + "/rank1";
  EXPECT_EQ(rank1.restore(target).value().manifest->version, 2u);
  EXPECT_THAT(readTree(target), ElementsAre(::testing::Pair("a", file("1"))));
  EXPECT_THAT(keys("log/"), SizeIs(3));  // 2, the fence 3, 4
}

TEST_F(CheckpointTest, ALaterEpochFencesForGood) {
  writeTree(work_, {{"a", file("1")}});
  auto old = repository(1);
  commit(old);
  auto idle = repository(1);
  ASSERT_TRUE(idle.open());
  ASSERT_TRUE(repository(5).open());
  writeFile(path("a"), "2");
  for (int i = 0; i < 2; ++i) {
    const Error error = commitError(old);
    EXPECT_EQ(error.code, ErrorCode::failed_precondition);
    EXPECT_THAT(error.message, HasSubstr("later attempt"));
  }
  EXPECT_EQ(idle.retain(1).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(repository(1).open().error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(repository(4).restore(work_).error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(versions(5), ElementsAre(2u));
  EXPECT_THAT(treeAfter(6), ElementsAre(::testing::Pair("a", file("1"))));
}

// The slots that a sleeper would take next were used and removed meanwhile.
TEST_F(CheckpointTest, AnAttemptThatSleptThroughRetentionIsFenced) {
  writeTree(work_, {{"a", file("0")}});
  auto sleeper = repository(1);
  commit(sleeper);
  SlotLog sleeping_log(*store_, std::string(kPrefix) + "/");
  ASSERT_EQ(sleeping_log.tail().value(), 2u);
  for (Epoch epoch = 2; epoch < 5; ++epoch) {
    auto repo = restored(epoch);
    writeFile(path("a"), std::to_string(epoch));
    commit(repo);
    clock_.advance(std::chrono::hours{2});
    ASSERT_TRUE(repo.retain(1));
  }
  EXPECT_THAT(keys("log/"), ElementsAre("00000000000000000008"));
  // Even one that had already looked and now writes into slot 3.
  Slot slot;
  slot.kind = Slot::Kind::commit;
  slot.manifest.version = 3;
  slot.manifest.epoch = 1;
  EXPECT_EQ(sleeping_log.claim(slot).value(), SlotLog::Claim::stale);
  EXPECT_THAT(keys("log/"), ElementsAre("00000000000000000008"));
  writeFile(path("a"), "sleeper");
  EXPECT_EQ(commitError(sleeper).code, ErrorCode::failed_precondition);
  EXPECT_THAT(treeAfter(6), ElementsAre(::testing::Pair("a", file("4"))));
}

TEST_F(CheckpointTest, FallsBackWhenAnObjectIsDamagedOrMissing) {
  writeTree(work_, {{"a", file("1")}, {"same", file("same")}});
  auto repo = repository(1);
  for (const char* content : {"1", "2", "3"}) {
    writeFile(path("a"), content);
    commit(repo);
  }
  const std::string objects = storePath(objectPrefix({1}));
  writeFile(objects + sha256Hex("3"), "x");
  EXPECT_EQ(treeAfter(2).at("a"), file("2"));
  ASSERT_THAT(last_.fallbacks, SizeIs(1));
  EXPECT_THAT(last_.fallbacks[0], ::testing::AllOf(HasSubstr("version 4"), HasSubstr("damaged")));
  EXPECT_EQ(last_.manifest->version, 3u);
  ASSERT_TRUE(os::removeTree(objects + sha256Hex("2")));
  EXPECT_EQ(treeAfter(3).at("a"), file("1"));
  ASSERT_THAT(last_.fallbacks, SizeIs(2));
  EXPECT_THAT(last_.fallbacks[1], ::testing::AllOf(HasSubstr("version 3"), HasSubstr("missing")));
  ASSERT_TRUE(os::removeTree(objects + sha256Hex("1")));
  auto last = repository(4);
  const auto result = last.restore(dir_.path() + "/target4");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::data_loss);
}

TEST_F(CheckpointTest, AfterAFallbackNewVersionsDoNotRelyOnDamagedObjects) {
  writeTree(work_, {{"a", file("1")}});
  auto repo = repository(1);
  commit(repo);
  writeFile(path("a"), "2");
  commit(repo);
  writeFile(storePath(objectPrefix({1})) + sha256Hex("2"), "x");
  writeTree(work_, {});  // another machine
  auto next = restored(2);
  EXPECT_EQ(os::readFile(path("a")).value(), "1");
  // The same again is a version of its own, so that the damaged one is not the newest any more.
  EXPECT_EQ(commit(next).version, 5u);
  writeFile(path("a"), "2");
  EXPECT_EQ(commit(next).new_files, 1u);
  EXPECT_THAT(treeAfter(3), ElementsAre(::testing::Pair("a", file("2"))));
  EXPECT_THAT(last_.fallbacks, IsEmpty());
}

TEST_F(CheckpointTest, FallsBackWhenASlotIsDamaged) {
  writeTree(work_, {{"a", file("1")}});
  auto repo = repository(1);
  commit(repo);
  writeFile(path("a"), "2");
  commit(repo);
  writeFile(storePath(slotKey(3)), "torn");
  EXPECT_EQ(treeAfter(2).at("a"), file("1"));
  ASSERT_THAT(last_.fallbacks, SizeIs(1));
  EXPECT_THAT(last_.fallbacks[0], HasSubstr("slot 3"));
  // What cannot be read may be a fence: the attempt that meets it stops saving; the next one goes on.
  auto third = restored(3);
  writeFile(storePath(slotKey(6)), "torn");
  writeFile(path("a"), "3");
  EXPECT_EQ(commitError(third).code, ErrorCode::data_loss);
  auto fourth = restored(4);
  writeFile(path("a"), "4");
  EXPECT_EQ(commit(fourth).version, 8u);
  ASSERT_TRUE(fourth.retain(1));
  EXPECT_EQ(treeAfter(5).at("a"), file("4"));
}

TEST_F(CheckpointTest, ASlotCopiedOverAnotherIsNoticed) {
  writeTree(work_, {{"a", file("1")}});
  auto repo = repository(1);
  commit(repo);
  writeFile(path("a"), "2");
  commit(repo);
  writeFile(storePath(slotKey(3)), os::readFile(storePath(slotKey(2))).value());
  EXPECT_EQ(treeAfter(2).at("a"), file("1"));
  EXPECT_THAT(last_.fallbacks, SizeIs(1));
}

TEST_F(CheckpointTest, ALostAnswerIsRecognisedAsOurOwnCommit) {
  FlakyStore store(*store_);
  writeTree(work_, {{"a", file("1")}});
  CheckpointRepository repo(store, kPrefix, 1, 1, {&clock_, grace_});
  store.forget_next = true;
  EXPECT_EQ(repo.open().error().code, ErrorCode::unavailable);
  ASSERT_TRUE(repo.open());
  store.forget_next = true;
  EXPECT_EQ(commitError(repo).code, ErrorCode::unavailable);
  const CommitStats stats = commit(repo);
  EXPECT_EQ(stats.version, 2u);
  EXPECT_THAT(keys("log/"), SizeIs(2));
}

TEST_F(CheckpointTest, RetainKeepsTheNewestAndTheirObjects) {
  writeTree(work_, {{"a", file("")}, {"const", file("const")}});
  auto repo = repository(1);
  for (int i = 0; i < 10; ++i) {
    writeFile(path("a"), std::to_string(i));
    commit(repo);
    ASSERT_TRUE(repo.retain(3));
  }
  EXPECT_THAT(versions(1), ElementsAre(9u, 10u, 11u));
  EXPECT_THAT(keys("log/"), SizeIs(3));
  EXPECT_THAT(keys("objects/"), SizeIs(4));
  ASSERT_TRUE(repo.retain(1));
  EXPECT_THAT(versions(1), ElementsAre(11u));
  EXPECT_THAT(keys("objects/"), SizeIs(2));
  EXPECT_LE(keys("first/").size(), 2u);
  EXPECT_EQ(repo.retain(0).error().code, ErrorCode::invalid_argument);
  // Content that came back after its object was removed.
  writeFile(path("a"), "3");
  EXPECT_EQ(commit(repo).new_files, 1u);
  EXPECT_EQ(treeAfter(2).at("a"), file("3"));
}

TEST_F(CheckpointTest, RetainKeepsTheBaseForAGraceAndThenCollectsIt) {
  writeTree(work_, {{"a", file("base")}});
  auto first = repository(1);
  commit(first);
  auto second = restored(2);
  for (int i = 0; i < 4; ++i) {
    writeFile(path("a"), std::to_string(i));
    commit(second);
    ASSERT_TRUE(second.retain(1));
  }
  EXPECT_THAT(versions(2), ElementsAre(2u, 7u));  // 3 is the fence, 4 to 6 are marked as removed
  EXPECT_THAT(keys("log/"), SizeIs(6));
  clock_.advance(grace_);
  ASSERT_TRUE(second.retain(1));
  EXPECT_THAT(versions(2), ElementsAre(7u));
  EXPECT_THAT(keys("log/"), SizeIs(1));
  EXPECT_THAT(keys("objects/"), SizeIs(1));
  // Now only a new attempt can tell what to restore.
  EXPECT_EQ(repository(2).open().error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(treeAfter(3).at("a"), file("3"));
}

TEST_F(CheckpointTest, TheGraceDoesNotGoByTheClockOfWhoeverBegan) {
  writeTree(work_, {{"a", file("base")}});
  auto first = repository(1);
  commit(first);
  // Another machine of the gang, whose clock is behind, was the first to set the fence.
  FakeClock behind{clock_.now() - 2 * grace_};
  ASSERT_TRUE(CheckpointRepository(*store_, kPrefix, 2, 2, {&behind, grace_}).open());
  auto second = restored(2);
  writeFile(path("a"), "new");
  commit(second);
  ASSERT_TRUE(second.retain(1));
  EXPECT_THAT(versions(2), ElementsAre(2u, 4u));
}

// A store whose clock is ahead of this machine's.
class AheadStore final : public ForwardingStore {
 public:
  AheadStore(ObjectStore& real, Duration ahead) : ForwardingStore(real), ahead_(ahead) {}
  Duration clockAhead() const override { return ahead_; }
  Result<std::vector<ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                       int limit) override {
    BUOY_TRY(auto objects, ForwardingStore::list(prefix, after, limit));
    for (ObjectInfo& object : objects) object.modified += ahead_;
    return objects;
  }

 private:
  const Duration ahead_;
};

TEST_F(CheckpointTest, TheGraceOfObjectsGoesByTheClockOfTheStore) {
  for (const Duration ahead : {3 * grace_, -3 * grace_}) {
    AheadStore store(*store_, ahead);
    const Epoch epoch = ahead > Duration{0} ? 1 : 2;
    CheckpointRepository repo(store, kPrefix, epoch, 1, {&clock_, grace_});
    ASSERT_TRUE(repo.restore(work_));
    writeTree(work_, {{"a", file(std::to_string(epoch))}});
    commit(repo);
    const std::string own = std::string(kPrefix) + "/" + objectKey({epoch}, sha256Hex("own"));
    ASSERT_TRUE(store_->put(own, "own"));
    ASSERT_TRUE(repo.retain(1));
    EXPECT_TRUE(store_->head(own)) << "it is young, whatever the clocks say";
    clock_.advance(grace_ + std::chrono::minutes{5});
    ASSERT_TRUE(repo.retain(1));
    EXPECT_FALSE(store_->head(own)) << "it is old, whatever the clocks say";
    clock_.advance(-grace_ - std::chrono::minutes{5});
  }
}

TEST_F(CheckpointTest, SweepRemovesWhatNoVersionNames) {
  writeTree(work_, {{"a", file("1")}});
  auto first = repository(1);
  commit(first);
  // Left behind by an old attempt, and by this one.
  ASSERT_TRUE(store_->put(std::string(kPrefix) + "/" + objectKey({1}, sha256Hex("lost")), "lost"));
  auto second = restored(2);
  const std::string own = std::string(kPrefix) + "/" + objectKey({2}, sha256Hex("own"));
  ASSERT_TRUE(store_->put(own, "own"));
  ASSERT_TRUE(store_->put(std::string(kPrefix) + "/objects/note.txt", "not ours"));
  ASSERT_TRUE(second.retain(1));
  EXPECT_THAT(keys("objects/"), SizeIs(3));
  clock_.advance(grace_ + std::chrono::minutes{5});
  ASSERT_TRUE(second.retain(1));
  EXPECT_EQ(store_->head(own).error().code, ErrorCode::not_found);
  EXPECT_THAT(keys("objects/"), SizeIs(2));
  EXPECT_EQ(treeAfter(3).at("a"), file("1"));
}

TEST_F(CheckpointTest, AttemptsWithoutCommitsDoNotGrowTheLog) {
  for (Epoch epoch = 1; epoch < 20; ++epoch) {
    auto repo = repository(epoch);
    ASSERT_TRUE(repo.open());
    ASSERT_TRUE(repo.retain(3));
  }
  EXPECT_THAT(keys("log/"), ElementsAre("00000000000000000019"));
  EXPECT_EQ(repository(18).open().error().code, ErrorCode::failed_precondition);
}

TEST_F(CheckpointTest, ThousandsOfSlotsAreOpenedByFewQuestions) {
  SlotLog log(*store_, std::string(kPrefix) + "/");
  Slot slot;
  slot.kind = Slot::Kind::removed;
  slot.manifest.epoch = 1;
  for (slot.manifest.version = 1; slot.manifest.version <= 700; ++slot.manifest.version) {
    writeTree(dir_.path() + "/none", {});
    ASSERT_TRUE(os::makeDirectories(storePath("log")));
    writeFile(storePath(slotKey(slot.manifest.version)), encodeSlot(slot));
  }
  EXPECT_EQ(log.tail().value(), 700u);
  EXPECT_EQ(log.tail().value(), 700u);
}

TEST_F(CheckpointTest, ConcurrentAttemptsLeaveOneHistory) {
  // Each thread is an attempt that starts at some time, restores, and commits until it is fenced.
  constexpr Epoch kAttempts = 6;
  std::vector<std::vector<std::uint64_t>> acknowledged(kAttempts + 1);
  std::vector<std::uint64_t> base(kAttempts + 1);
  {
    std::vector<std::jthread> threads;
    for (Epoch epoch = 1; epoch <= kAttempts; ++epoch) {
      threads.emplace_back([&, epoch] {
        const auto store = openStore(store_->uri()).value();
        const std::string work = dir_.path() + "/w" + std::to_string(epoch);
        CheckpointRepository repo(*store, kPrefix, epoch, static_cast<std::uint32_t>(epoch));
        const auto result = repo.restore(work);
        if (!result) {
          ASSERT_EQ(result.error().code, ErrorCode::failed_precondition) << result.error().message;
          return;
        }
        if (result->manifest) base[epoch] = result->manifest->version;
        for (int i = 0; i < 40; ++i) {
          writeTree(work, {{"epoch", file(std::to_string(epoch))}, {"i", file(std::to_string(i))}});
          const auto stats = repo.commit(work, {}, {});
          if (!stats) {
            ASSERT_EQ(stats.error().code, ErrorCode::failed_precondition) << stats.error().message;
            return;
          }
          acknowledged[epoch].push_back(stats->version);
          const Status retained = repo.retain(4);
          if (!retained) {
            ASSERT_EQ(retained.error().code, ErrorCode::failed_precondition) << retained.error().message;
          }
        }
      });
    }
  }
  // What an attempt was told it saved comes before the next attempt's fence: that one began from it.
  std::uint64_t newest = 0;
  for (Epoch epoch = 1; epoch <= kAttempts; ++epoch) {
    if (base[epoch] != 0) {
      EXPECT_GE(base[epoch], newest) << epoch;
    }
    EXPECT_TRUE(std::is_sorted(acknowledged[epoch].begin(), acknowledged[epoch].end()));
    if (!acknowledged[epoch].empty()) {
      EXPECT_GT(acknowledged[epoch].front(), newest);
      newest = acknowledged[epoch].back();
    }
  }
  const Tree last = treeAfter(kAttempts + 1);
  EXPECT_EQ(last_.manifest->version, newest);
  EXPECT_EQ(last.at("epoch").content, std::to_string(last_.manifest->epoch));
}

Node randomNode(std::mt19937& random, int depth) {
  switch (random() % 8) {
    case 0:
    case 1:
      return directory(random() % 4 == 0 ? 0700 : 0755);
    case 2:
      return symlink(std::string(depth > 0 && random() % 2 == 0 ? "../" : "") + "x" +
                     std::to_string(random() % 5));
    default:
      break;
  }
  std::string content(random() % 4 == 0 ? random() % 100'000 : random() % 10, '\0');
  for (char& c : content) c = static_cast<char>(random() % 4 == 0 ? random() : 'a');
  return file(std::move(content), random() % 3 == 0 ? 0600 : 0644);
}

void grow(std::mt19937& random, const std::string& below, int depth, Tree& tree) {
  const std::vector<std::string> names = {"a",  "b c", "d\ne", "ü", "-", std::string(255, 'n'),
                                          "\\", "%",   "a.b",  "x0"};
  for (auto i = random() % 5; i > 0; --i) {
    const std::string path = below + names[random() % names.size()];
    Node node = randomNode(random, depth);
    node.modified_us = 1'500'000'000'000'000 + static_cast<std::int64_t>(random());
    const bool is_directory = node.kind == CheckpointFile::Kind::directory;
    if (tree.emplace(path, std::move(node)).second && is_directory && depth < 4)
      grow(random, path + "/", depth + 1, tree);
  }
}

TEST_F(CheckpointTest, RandomTreesRoundTripThroughManyAttempts) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    Tree tree;
    grow(random, "", 0, tree);
    auto repo = restored(2 * seed);
    writeTree(work_, tree);
    const bool committed = commit(repo).version != 0;
    if (random() % 2 == 0) {
      ASSERT_TRUE(repo.retain(static_cast<int>(1 + random() % 3)));
    }
    // Over the remains of other trees.
    const std::string target = dir_.path() + "/target" + std::to_string(seed % 3);
    ASSERT_TRUE(repository(2 * seed + 1).restore(target));
    if (committed) {
      EXPECT_EQ(readTree(target, true), tree);
    }
  }
}

}  // namespace
}  // namespace buoy::objstore
