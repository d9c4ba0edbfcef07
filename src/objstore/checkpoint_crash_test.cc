// Processes that are killed while they commit: at every crash point, and at random moments. Whatever
// happened, the next attempt finds one whole version, and not an older one than was last acknowledged.
// In a directory always, and in the bucket that BUOY_TEST_S3 names.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <string>

#include "objstore/checkpoint.h"
#include "objstore/manifest.h"
#include "objstore/object_store.h"
#include "objstore/test_store.h"
#include "objstore/test_tree.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using namespace testing;

constexpr const char* kCrashPrefix = "c/j1/checkpoints";

// SIGKILL does not lose what the kernel has, so the tests need no disk: a file system in memory is faster.
os::TempDir makeDirectory() {
  if (std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 1);
  return os::TempDir::create("buoy-crash-").value();
}

// The n-th state of a job's directory: every file says n, and which files there are depends on n.
// On S3 a part of a large file changes, so that several packs go out at once.
Tree state(int n, bool far) {
  const std::string number = std::to_string(n);
  std::string model = "model " + number + std::string(20'000, '.');
  if (far) {
    model.resize(3u << 20, static_cast<char>('a' + n % 5));
    model.replace(static_cast<std::size_t>(n % 6) << 19, number.size(), number);
  }
  Tree tree = {{"model", file(model)},
               {"optimizer", file("optimizer " + number)},
               {"constant", file("constant")},
               {"steps", directory()},
               {"steps/" + number, file(number)},
               {"latest", symlink("steps/" + number)}};
  if (n % 3 == 0) tree["third"] = file("third " + number);
  // Content that goes and comes back, so that its object is collected and stored again.
  if (n % 4 < 2) tree["toggle"] = file("toggle");
  return tree;
}

bool isFar(const std::string& uri) {
  return uri.starts_with("s3://");
}

int numberOf(const Tree& tree) {
  const auto it = tree.find("optimizer");
  return it == tree.end() ? 0 : std::atoi(it->second.content.c_str() + std::string("optimizer ").size());
}

// Shared with the processes under test, so that what they did is known when they are dead.
struct Progress {
  std::atomic<int> begun{0};         // a commit of this state was begun
  std::atomic<int> acknowledged{0};  // and the call returned
  std::atomic<int> wake_fd{-1};      // a byte is written here whenever a commit is begun
};

// Commits one state after the other until killed; exits 0 when fenced, 1 on anything else.
int trainForever(const std::string& directory, const std::string& uri, Epoch epoch, Progress& progress,
                 int commits) {
  const auto store = openStore(uri).value();
  const std::string work = directory + "/work" + std::to_string(epoch);
  CheckpointRepository repository(*store, kCrashPrefix, epoch, static_cast<std::uint32_t>(epoch));
  const auto fenced = [](const Error& error) {
    if (error.code != ErrorCode::failed_precondition) std::fprintf(stderr, "%s\n", error.message.c_str());
    return error.code == ErrorCode::failed_precondition ? 0 : 1;
  };
  const auto restored = repository.restore(work);
  if (!restored) return fenced(restored.error());
  if (!restored->fallbacks.empty()) {
    std::fprintf(stderr, "%s\n", restored->fallbacks[0].c_str());
    return 1;
  }
  int n = numberOf(readTree(work));
  for (int i = 0; i < commits; ++i) {
    writeTree(work, state(++n, isFar(uri)));
    progress.begun.store(n);
    if (const int wake = progress.wake_fd.load(); wake >= 0) (void)!::write(wake, "x", 1);
    const auto stats = repository.commit(work, {}, {});
    if (!stats) return fenced(stats.error());
    progress.acknowledged.store(n);
    if (const Status retained = repository.retain(2); !retained) return fenced(retained.error());
  }
  return 0;
}

class CheckpointCrash : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    uri_ = testStoreUri(GetParam(), dir_.path() + "/store");
    if (uri_.empty()) GTEST_SKIP() << "no S3 server: set BUOY_TEST_S3=s3://bucket/prefix (tests/e2e does)";
    void* memory =
        ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    progress_ = new (memory) Progress;
  }
  void TearDown() override {
    if (progress_ != nullptr) ::munmap(progress_, sizeof(Progress));
  }
  Tree stateOf(int n) const { return state(n, isFar(uri_)); }

  // Returns when it has begun its first commit, and then some moment later.
  pid_t startAttempt(Epoch epoch, std::mt19937& random) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const os::Fd read_end(ends[0]);
    os::Fd write_end(ends[1]);
    progress_->wake_fd.store(write_end.get());
    const pid_t pid = ::fork();
    if (pid == 0) {
      // It must not end because nobody reads any more.
      ::signal(SIGPIPE, SIG_IGN);
      ::_exit(trainForever(dir_.path(), uri_, epoch, *progress_, 1'000'000));
    }
    write_end.reset();
    char byte = 0;
    EXPECT_EQ(::read(read_end.get(), &byte, 1), 1) << "ended before its first commit";
    progress_->wake_fd.store(-1);
    // On S3 one commit takes a tenth of a second or so, and one with its retention several.
    const unsigned within = !isFar(uri_) ? 50'000'000 : random() % 3 == 0 ? 400'000'000 : 100'000'000;
    const struct timespec moment = {0, static_cast<long>(random() % within)};
    ::nanosleep(&moment, nullptr);
    return pid;
  }
  static int waitFor(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

  // What a new attempt on a new machine finds is one of the states that may be there, whole.
  void verify(Epoch epoch) {
    const auto store = openStore(uri_).value();
    const std::string target = dir_.path() + "/verify";
    ASSERT_TRUE(os::removeTree(target));
    CheckpointRepository repository(*store, kCrashPrefix, epoch, static_cast<std::uint32_t>(epoch));
    const auto restored = repository.restore(target);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_THAT(restored->fallbacks, ::testing::IsEmpty());
    const Tree tree = readTree(target);
    const int n = numberOf(tree);
    EXPECT_GE(n, progress_->acknowledged.load());
    EXPECT_LE(n, progress_->begun.load());
    if (n > 0) {
      EXPECT_TRUE(tree == stateOf(n)) << "state " << n << " is torn";
    } else {
      EXPECT_TRUE(tree.empty());
    }
    ASSERT_TRUE(os::removeTree(dir_.path() + "/work" + std::to_string(epoch - 1)));
    progress_->acknowledged.store(n);
    progress_->begun.store(n);
  }

  os::TempDir dir_ = makeDirectory();
  std::string uri_;
  Progress* progress_ = nullptr;
};

TEST_P(CheckpointCrash, RandomKillsNeverTearOrLoseAVersion) {
  const char* more = std::getenv("BUOY_TEST_KILLS");
  const int kills = more != nullptr ? std::atoi(more) : isFar(uri_) ? 25 : 200;
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Epoch epoch = 0;
  int killed_in_commit = 0;
  for (int i = 0; i < kills && !HasFailure(); ++i) {
    const pid_t pid = startAttempt(++epoch, random);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_EQ(waitFor(pid), -SIGKILL);
    if (progress_->begun.load() != progress_->acknowledged.load()) ++killed_in_commit;
    verify(++epoch);
  }
  RecordProperty("killed_in_commit", killed_in_commit);
  EXPECT_GT(killed_in_commit, 0);
}

TEST_P(CheckpointCrash, AReplacedAttemptThatStillRunsIsFencedAndLosesNothing) {
  std::mt19937 random(11);
  Epoch epoch = 0;
  for (int i = 0; i < (isFar(uri_) ? 6 : 40) && !HasFailure(); ++i) {
    const pid_t old = startAttempt(++epoch, random);
    // It goes on meanwhile, so what is there now is settled only by the fence, which this sets.
    const auto store = openStore(uri_).value();
    const std::string work = dir_.path() + "/new";
    CheckpointRepository next(*store, kCrashPrefix, ++epoch, 1);
    const auto restored = next.restore(work);
    ASSERT_TRUE(restored) << restored.error().message;
    const Tree found = readTree(work);
    ASSERT_EQ(waitFor(old), 0) << "not fenced";
    // Everything that it was told it saved is what we began from.
    EXPECT_EQ(numberOf(found), progress_->acknowledged.load());
    EXPECT_TRUE(found == (numberOf(found) > 0 ? stateOf(numberOf(found)) : Tree{}));
    progress_->begun.store(progress_->acknowledged.load());
  }
}

// The program that the next test runs: crash points are read from the environment once a process.
TEST(CheckpointCrashChild, DISABLED_Train) {
  const char* directory = std::getenv("BUOY_TEST_DIRECTORY");
  ASSERT_NE(directory, nullptr);
  const auto fd = os::openFile(std::string(directory) + "/progress", O_RDWR).value();
  void* memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  const Epoch epoch = std::strtoull(std::getenv("BUOY_TEST_EPOCH"), nullptr, 10);
  EXPECT_EQ(
      trainForever(directory, std::getenv("BUOY_TEST_STORE"), epoch, *static_cast<Progress*>(memory), 6), 0);
}

int runChild(const std::string& directory, const std::string& uri, Epoch epoch, const std::string& crash_at) {
  return inChild([&] {
    ::setenv("BUOY_TEST_STORE", uri.c_str(), 1);
    ::setenv("BUOY_TEST_DIRECTORY", directory.c_str(), 1);
    ::setenv("BUOY_TEST_EPOCH", std::to_string(epoch).c_str(), 1);
    ::setenv("BUOY_CRASH_AT", crash_at.c_str(), 1);
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, STDOUT_FILENO);
    ::execl("/proc/self/exe", "objstore_test", "--gtest_filter=CheckpointCrashChild.*",
            "--gtest_also_run_disabled_tests", static_cast<char*>(nullptr));
    return 127;
  });
}

TEST_P(CheckpointCrash, EveryCrashPoint) {
  // Progress in a file, as the child is another program.
  const std::string path = dir_.path() + "/progress";
  writeFile(path, std::string(sizeof(Progress), '\0'));
  const auto fd = os::openFile(path, O_RDWR).value();
  void* memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(memory, MAP_FAILED);
  ::munmap(progress_, sizeof(Progress));
  progress_ = new (memory) Progress;
  Epoch epoch = 0;
  std::vector<std::string> points = {"objstore.before_slot", "objstore.after_slot", "objstore.gc_step",
                                     "objstore.before_restored"};
  if (isFar(uri_)) {
    points.insert(points.end(), {"objstore.before_pack", "objstore.pack_sent"});
  } else {
    points.insert(points.end(),
                  {"objstore.temp_written", "objstore.object_written", "objstore.object_named"});
  }
  for (const std::string& point : points) {
    for (int pass = 1; pass <= (isFar(uri_) ? 4 : 12); pass += isFar(uri_) ? 3 : pass < 4 ? 1 : 4) {
      SCOPED_TRACE(point + ":" + std::to_string(pass));
      const int status = runChild(dir_.path(), uri_, ++epoch, point + ":" + std::to_string(pass));
      // Some points are not passed so often in six commits.
      ASSERT_TRUE(status == -SIGKILL || (status == 0 && pass > 3)) << status;
      verify(++epoch);
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, CheckpointCrash, ::testing::Values("file", "s3"),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
}  // namespace buoy::objstore
