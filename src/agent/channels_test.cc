#include "agent/channels.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "agent/input_cache.h"
#include "agent/workspace.h"
#include "base/strings.h"
#include "objstore/checkpoint.h"
#include "objstore/forwarding_store.h"
#include "os/files.h"

namespace buoy::agent {
namespace {

namespace fs = std::filesystem;
using api::InputSpec;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

class ChannelsTest : public testing::Test {
 protected:
  ChannelsTest() {
    options_.paths = {dir_.path() + "/machine"};
    options_.store = store_.get();
    options_.cluster = "c";
    options_.cache_directory = dir_.path() + "/cache";
    clear();
  }

  void clear() {
    channels_.reset();
    ASSERT_TRUE(emptyDirectory(options_.paths.inputs()));
  }
  Status prepare(const std::map<std::string, InputSpec>& inputs) {
    clear();
    BUOY_TRY(channels_, Channels::prepare(options_, inputs, {}));
    return {};
  }
  std::string problem(const InputSpec& input) {
    const Status status = prepare({{"x", input}});
    return status ? "none" : status.error().message;
  }
  std::string input(const std::string& path) const { return options_.paths.inputs() + "/" + path; }
  // Every file below inputs/<name>, with its content.
  std::map<std::string, std::string> tree(const std::string& name) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(input(name))) {
      if (entry.is_regular_file())
        files[entry.path().lexically_relative(input(name))] = *os::readFile(entry.path());
    }
    return files;
  }
  void write(const std::string& path, std::string_view content) {
    const std::string full = dir_.path() + "/" + path;
    ASSERT_TRUE(os::makeDirectories(fs::path(full).parent_path()));
    ASSERT_TRUE(replaceFile(full, content));
  }
  void output(const std::string& path, std::string_view content) {
    ASSERT_TRUE(store_->put("c/j1/outputs/" + path, content));
  }
  // A version of j1's checkpoint with these files.
  void commit(const std::map<std::string, std::string>& files) {
    const std::string directory = dir_.path() + "/checkpoint";
    ASSERT_TRUE(emptyDirectory(directory));
    for (const auto& [name, content] : files) write("checkpoint/" + name, content);
    objstore::CheckpointRepository repository(*store_, "c/j1/checkpoints", 3, 3);
    ASSERT_TRUE(repository.commit(directory, {}, {}));
  }

  // Keys of what the versions of j1 consist of.
  std::set<std::string> content() {
    std::set<std::string> keys;
    const auto objects = *store_->list("c/j1/checkpoints/", "", 1000);
    for (const auto& object : objects) {
      if (object.key.find("/log/") == std::string::npos) keys.insert(object.key);
    }
    return keys;
  }

  const os::TempDir dir_ = *os::TempDir::create("buoy-channels-");
  std::unique_ptr<objstore::ObjectStore> store_ = *objstore::openStore("file://" + dir_.path() + "/store");
  ChannelOptions options_;
  std::shared_ptr<Channels> channels_;
};

// ---- paths

TEST_F(ChannelsTest, APathIsLinked) {
  write("data/a", "1");
  ASSERT_TRUE(prepare({{"data", {.from = dir_.path() + "/data"}}}));
  EXPECT_EQ(fs::read_symlink(input("data")), dir_.path() + "/data");
  EXPECT_THAT(channels_->events(), ElementsAre());
  EXPECT_EQ(problem({.from = "/nonexistent"}), "inputs.x: /nonexistent is not there");
}

TEST_F(ChannelsTest, ADownloadedPathIsACopyThatTheOriginalDoesNotChange) {
  write("data/a", "1");
  write("data/deep/b", "22");
  const InputSpec data{.from = dir_.path() + "/data", .mode = InputSpec::Mode::download};
  ASSERT_TRUE(prepare({{"data", data}}));
  write("data/a", "other");
  EXPECT_THAT(tree("data"), ElementsAre(Pair("a", "1"), Pair("deep/b", "22")));
  EXPECT_THAT(channels_->events(), ElementsAre("input data: downloaded 2 files, 3 B"));
  ASSERT_TRUE(prepare({{"one", {.from = dir_.path() + "/data/a", .mode = InputSpec::Mode::download}}}));
  EXPECT_EQ(*os::readFile(input("one")), "other");
}

TEST_F(ChannelsTest, ShardsFollowOneAnotherInByteOrder) {
  for (const char* name : {"a", "B", "c/d", "c.x", "e"}) write(std::string("data/") + name, name);
  InputSpec data{.from = dir_.path() + "/data", .distribution = InputSpec::Distribution::sharded};
  options_.machines = 2;
  ASSERT_TRUE(prepare({{"data", data}}));  // B a c.x c/d e
  EXPECT_THAT(tree("data"), UnorderedElementsAre(Pair("B", "B"), Pair("c.x", "c.x"), Pair("e", "e")));
  EXPECT_TRUE(fs::is_symlink(input("data/B")));
  options_.rank = 1;
  data.mode = InputSpec::Mode::download;
  ASSERT_TRUE(prepare({{"data", data}}));
  EXPECT_THAT(tree("data"), UnorderedElementsAre(Pair("a", "a"), Pair("c/d", "c/d")));
  options_.machines = 9;
  options_.rank = 8;
  ASSERT_TRUE(prepare({{"data", data}}));
  EXPECT_TRUE(fs::is_directory(input("data"))) << "a rank without a file has an empty directory";
}

// ---- the cache

TEST_F(ChannelsTest, WhatWasDownloadedIsNotDownloadedAgain) {
  output("a", "12345");
  const InputSpec data{.from = "job:j1/output"};
  ASSERT_TRUE(prepare({{"train", data}}));
  EXPECT_THAT(channels_->events(), ElementsAre("input train: downloaded 1 file, 5 B"));
  options_.downloaded = std::make_shared<std::atomic<std::uint64_t>>(0);
  ASSERT_TRUE(prepare({{"train", data}}));
  EXPECT_THAT(channels_->events(), ElementsAre("input train: 1 file, 5 B from the cache"));
  EXPECT_EQ(*options_.downloaded, 0u);
  output("a", "54321");
  output("b", "new");
  ASSERT_TRUE(prepare({{"train", data}}));
  EXPECT_THAT(tree("train"), ElementsAre(Pair("a", "54321"), Pair("b", "new")));
}

TEST_F(ChannelsTest, AFileThatAJobHasWrittenIntoIsNotGivenToAnother) {
  output("a", "12345");
  ASSERT_TRUE(prepare({{"train", {.from = "job:j1/output"}}}));
  ASSERT_EQ(::chmod(input("train/a").c_str(), 0600), 0);
  std::ofstream(input("train/a")) << "evil!";
  ASSERT_TRUE(prepare({{"train", {.from = "job:j1/output"}}}));
  EXPECT_THAT(tree("train"), ElementsAre(Pair("a", "12345")));
}

TEST_F(ChannelsTest, WithoutTheCacheNothingIsKept) {
  output("a", "12345");
  ASSERT_TRUE(prepare({{"train", {.from = "job:j1/output", .cache = false}}}));
  EXPECT_THAT(tree("train"), ElementsAre(Pair("a", "12345")));
  struct stat info {};
  ASSERT_EQ(::stat(input("train/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_nlink, 1u);
  EXPECT_FALSE(fs::exists(options_.cache_directory));
  EXPECT_FALSE(fs::exists(options_.paths.root + "/downloads"));
}

class CacheTest : public ChannelsTest {
 protected:
  // Obtains `content` under this id.
  Result<bool> obtain(const std::string& id, const std::string& content, const std::string& path) {
    return cache_.obtain({id, content.size(), Time{std::chrono::seconds{1000}}}, dir_.path() + "/" + path,
                         [&](int fd, std::uint64_t from) -> Status {
                           from_ = from;
                           if (fail_after_) {
                             EXPECT_TRUE(os::writeAll(fd, content.substr(0, *fail_after_)));
                             return fail(ErrorCode::unavailable, "cut", true);
                           }
                           return os::writeAll(fd, content.substr(from));
                         },
                         {});
  }
  InputCache cache_{dir_.path() + "/own", 20'000};
  std::optional<std::size_t> fail_after_;
  std::uint64_t from_ = 0;
};

TEST_F(CacheTest, AnInterruptedDownloadGoesOnWhereItStopped) {
  fail_after_ = 3;
  EXPECT_FALSE(obtain("a", "123456", "a"));
  fail_after_.reset();
  ASSERT_TRUE(obtain("a", "123456", "a"));
  EXPECT_EQ(from_, 3u);
  EXPECT_EQ(*os::readFile(dir_.path() + "/a"), "123456");
}

TEST_F(CacheTest, AFileThatSeveralWantIsFetchedOnce) {
  std::atomic<int> fetches = 0, hits = 0;
  {
    std::vector<std::jthread> agents;
    for (int i = 0; i < 8; ++i) {
      agents.emplace_back([&, i] {
        InputCache cache(dir_.path() + "/own", 0);  // as another agent has it
        const auto fetch = [&](int fd, std::uint64_t) {
          ++fetches;
          return os::writeAll(fd, "123456");
        };
        const auto here =
            cache.obtain({"a", 6, Time{}}, strCat({dir_.path(), "/a", std::to_string(i)}), fetch, {});
        ASSERT_TRUE(here) << here.error().message;
        if (*here) ++hits;
      });
    }
  }
  EXPECT_EQ(fetches, 1);
  EXPECT_EQ(hits, 7);
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(*os::readFile(strCat({dir_.path(), "/a", std::to_string(i)})), "123456");
}

TEST_F(CacheTest, EvictsTheLongestUnusedAndNothingThatIsInUse) {
  const std::string large(8192, 'x');
  for (const char* id : {"1", "2", "3"}) ASSERT_TRUE(obtain(id, large + id, id));
  ASSERT_TRUE(cache_.makeRoom(8192));
  EXPECT_TRUE(*obtain("1", large + "1", "1.again")) << "all are in use";
  fs::remove(dir_.path() + "/1");
  fs::remove(dir_.path() + "/2");
  ASSERT_TRUE(cache_.makeRoom(12'288));
  EXPECT_FALSE(*obtain("2", large + "2", "2.again"));
  EXPECT_TRUE(*obtain("3", large + "3", "3.again"));
  EXPECT_TRUE(*obtain("1", large + "1", "1.third"));
}

TEST_F(CacheTest, DoesNotEvictWhatIsAboutToGetItsSecondName) {
  ASSERT_TRUE(obtain("1", std::string(8192, 'x'), "1"));
  fs::remove(dir_.path() + "/1");
  std::string kept;
  for (const auto& entry : fs::recursive_directory_iterator(dir_.path() + "/own"))
    if (entry.is_regular_file()) kept = entry.path();
  const os::Fd downloader(::open(kept.c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(downloader.get(), LOCK_EX | LOCK_NB), 0);
  ASSERT_TRUE(cache_.makeRoom(20'000));
  EXPECT_TRUE(fs::exists(kept));
  ASSERT_EQ(::flock(downloader.get(), LOCK_UN), 0);
  ASSERT_TRUE(cache_.makeRoom(20'000));
  EXPECT_FALSE(fs::exists(kept));
}

TEST_F(CacheTest, RemovesOnlyWhatIsItsOwnOfEarlierBoots) {
  const std::string earlier = "own/01234567-89ab-cdef-0123-456789abcdef/aa/file";
  for (const std::string& path : {earlier, std::string("own/precious"), std::string("own/data/a")})
    write(path, "1");
  ASSERT_TRUE(obtain("1", "1", "1"));
  EXPECT_FALSE(fs::exists(dir_.path() + "/own/01234567-89ab-cdef-0123-456789abcdef"));
  EXPECT_TRUE(fs::exists(dir_.path() + "/own/precious"));
  EXPECT_TRUE(fs::exists(dir_.path() + "/own/data/a"));
}

// ---- other jobs

TEST_F(ChannelsTest, OutputsModelsAndSourcesOfOtherJobs) {
  output("model/weights", "w");
  output("plot.svg", "p");
  ASSERT_TRUE(prepare({{"all", {.from = "job:j1/output"}}, {"model", {.from = "job:j1/model"}}}));
  EXPECT_THAT(tree("all"), ElementsAre(Pair("model/weights", "w"), Pair("plot.svg", "p")));
  EXPECT_THAT(tree("model"), ElementsAre(Pair("weights", "w")));
  ASSERT_TRUE(store_->put("c/j2/outputs/only", "o"));
  ASSERT_TRUE(prepare({{"model", {.from = "job:j2/model"}}}));
  EXPECT_THAT(tree("model"), ElementsAre(Pair("only", "o")));

  const std::string hash = objstore::sha256Hex("echo");
  ASSERT_TRUE(store_->put(objstore::blobKey(hash), "echo"));
  const std::string manifest = api::toJson(api::SourceManifest{{{"run.sh", 0755, 4, hash}}});
  ASSERT_TRUE(store_->put(objstore::blobKey(objstore::sha256Hex(manifest)), manifest));
  const InputSpec source{.from = "job:j1/source@" + objstore::sha256Hex(manifest)};
  ASSERT_TRUE(prepare({{"code", source}}));
  EXPECT_THAT(tree("code"), ElementsAre(Pair("run.sh", "echo")));
  EXPECT_EQ(::access(input("code/run.sh").c_str(), X_OK), 0);
  ASSERT_TRUE(store_->put(objstore::blobKey(hash), "evil"));
  options_.cache_directory += "2";
  EXPECT_THAT(problem(source), HasSubstr("inputs.x: run.sh: is damaged in the store"));
}

TEST_F(ChannelsTest, WhatAnotherJobDoesNotHaveIsOneSentence) {
  EXPECT_EQ(problem({.from = "job:j9/output"}),
            "inputs.x: j9 has stored no outputs: it stores them when it succeeds");
  EXPECT_EQ(problem({.from = "job:j9/state"}), "inputs.x: j9 has no checkpoint");
  EXPECT_THAT(problem({.from = "job:j9/source@" + std::string(64, 'a')}),
              HasSubstr("j9's source is not in the store"));
}

TEST_F(ChannelsTest, TheNewestCheckpointOfAnotherJobAndTheOneBeforeIfItIsDamaged) {
  commit({{"model", "old"}, {"run/log", "l"}});
  const std::set<std::string> before = content();
  commit({{"model", "new"}, {"run/log", "l"}});
  const InputSpec state{.from = "job:j1/state"};
  ASSERT_TRUE(prepare({{"base", state}}));
  EXPECT_THAT(tree("base"), ElementsAre(Pair("model", "new"), Pair("run/log", "l")));
  EXPECT_THAT(channels_->events(), ElementsAre(HasSubstr("input base: downloaded 2 files, 4 B (version ")));
  ASSERT_TRUE(prepare({{"base", state}}));
  EXPECT_THAT(tree("base"), ElementsAre(Pair("model", "new"), Pair("run/log", "l")));
  EXPECT_THAT(channels_->events(),
              ElementsAre(HasSubstr("input base: 2 files, 4 B from the cache (version ")));

  for (const std::string& key : content()) {
    if (!before.contains(key)) {
      ASSERT_TRUE(store_->remove(key));
    }
  }
  ASSERT_TRUE(prepare({{"base", state}}));
  EXPECT_THAT(tree("base"), ElementsAre(Pair("model", "old"), Pair("run/log", "l")));
  objstore::CheckpointRepository repository(*store_, "c/j1/checkpoints", 3, 3);
  EXPECT_TRUE(repository.open()) << "reading it does not fence the job";
}

TEST_F(ChannelsTest, ACheckpointCanBeShardedToo) {
  commit({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  options_.machines = 2;
  options_.rank = 1;
  ASSERT_TRUE(
      prepare({{"base", {.from = "job:j1/state", .distribution = InputSpec::Distribution::sharded}}}));
  EXPECT_THAT(tree("base"), ElementsAre(Pair("b", "2")));
}

// ---- streams

class StreamTest : public ChannelsTest {
 protected:
  StreamTest() {
    ::signal(SIGPIPE, SIG_IGN);  // as in the agent
    output("a", "first ");
    output("b", std::string(3 << 20, 'x'));
    output("c", " last");
  }
  // What the job reads from inputs/text_<epoch>.
  std::string readAll(int epoch) const {
    std::ifstream file(input("text_" + std::to_string(epoch)), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void take(int fd, std::size_t bytes) {
    std::string piece(1 << 20, '\0');
    while (bytes > 0) {
      const ssize_t n = ::read(fd, piece.data(), std::min(bytes, piece.size()));
      ASSERT_GT(n, 0);
      bytes -= static_cast<std::size_t>(n);
    }
  }
  const std::map<std::string, InputSpec> inputs_ = {
      {"text", {.from = "job:j1/output", .mode = InputSpec::Mode::stream}}};
};

TEST_F(StreamTest, EveryFifoGivesEverythingInOrder) {
  ASSERT_TRUE(prepare(inputs_));
  const std::string all = "first " + std::string(3 << 20, 'x') + " last";
  EXPECT_EQ(readAll(0), all);
  EXPECT_EQ(readAll(1), all);
  std::ifstream(input("text_2")).get();  // a reader that goes away early
  EXPECT_EQ(readAll(3), all);
}

TEST_F(StreamTest, AFileThatChangesWhileItIsReadIsNotGivenAsWhole) {
  std::atomic<bool> told = false;
  options_.on_trouble = [&](const Error& error) {
    EXPECT_EQ(error.message, "inputs.text: large: has changed while it was read");
    told = true;
    told.notify_all();
  };
  write("data/large", std::string(3 << 20, 'x'));
  ASSERT_TRUE(prepare({{"text", {.from = dir_.path() + "/data", .mode = InputSpec::Mode::stream}}}));
  std::ofstream(dir_.path() + "/data/large", std::ios::app) << "more";
  const os::Fd reader(::open(input("text_0").c_str(), O_RDONLY | O_CLOEXEC));
  take(reader.get(), (3 << 20) + 4);
  told.wait(false);
}

TEST_F(StreamTest, EndsWhileTheJobReadsAndWhenItNeverDoes) {
  ASSERT_TRUE(prepare(inputs_));
  channels_.reset();  // nobody has opened it
  ASSERT_TRUE(prepare(inputs_));
  const os::Fd reader(::open(input("text_0").c_str(), O_RDONLY | O_CLOEXEC));
  char c = 0;
  ASSERT_EQ(::read(reader.get(), &c, 1), 1);
  channels_.reset();  // the pipe is full
}

TEST_F(StreamTest, EndsAlsoWhenTheJobHasRemovedOrReplacedItsFifo) {
  ASSERT_TRUE(prepare(inputs_));
  ASSERT_TRUE(fs::remove(input("text_0")));
  channels_.reset();
  ASSERT_TRUE(prepare(inputs_));
  ASSERT_TRUE(fs::remove(input("text_0")));
  write("machine/other", "mine");
  fs::create_symlink(dir_.path() + "/machine/other", input("text_0"));
  channels_.reset();
  EXPECT_EQ(*os::readFile(dir_.path() + "/machine/other"), "mine");
}

TEST_F(ChannelsTest, AnObjectThatChangesWhileItIsReadIsNotTaken) {
  // As a store with ETags has it: the object is replaced as soon as it was listed.
  class Replaced final : public objstore::ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    Result<std::vector<objstore::ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                                   int limit) override {
      BUOY_TRY(auto objects, ForwardingStore::list(prefix, after, limit));
      for (objstore::ObjectInfo& object : objects) object.etag = "\"old\"";
      return objects;
    }
    Result<objstore::ObjectInfo> head(const std::string& key) override {
      BUOY_TRY(objstore::ObjectInfo object, ForwardingStore::head(key));
      object.etag = "\"new\"";
      return object;
    }
  } store(*store_);
  output("a", "12345");
  options_.store = &store;
  EXPECT_EQ(problem({.from = "job:j1/output"}), "inputs.x: a: has changed while it was read");
}

TEST_F(StreamTest, AStreamThatCannotGoOnDoesNotLookLikeItsEnd) {
  std::atomic<bool> told = false;
  options_.on_trouble = [&](const Error& error) {
    EXPECT_THAT(error.message, HasSubstr("inputs.text: "));
    told = true;
    told.notify_all();
  };
  ASSERT_TRUE(prepare(inputs_));
  ASSERT_TRUE(store_->remove("c/j1/outputs/c"));
  const os::Fd reader(::open(input("text_0").c_str(), O_RDONLY | O_CLOEXEC));
  take(reader.get(), 6 + (3u << 20));
  told.wait(false);
  ASSERT_EQ(::fcntl(reader.get(), F_SETFL, O_NONBLOCK), 0);
  char c = 0;
  EXPECT_EQ(::read(reader.get(), &c, 1), -1) << "neither data nor an end";
  channels_.reset();
}

}  // namespace
}  // namespace buoy::agent
