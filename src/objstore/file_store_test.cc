#include "objstore/file_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "objstore/object_store.h"
#include "objstore/test_tree.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::inChild;
using testing::writeFile;

class FileStoreTest : public ::testing::Test {
 protected:
  os::TempDir dir_ = os::TempDir::create("buoy-objstore-").value();
  std::string root_ = dir_.path() + "/store";
  std::unique_ptr<ObjectStore> store_ = openStore("file://" + root_).value();

  std::vector<std::string> keys(const std::string& prefix, const std::string& after = "", int limit = 1000) {
    std::vector<std::string> out;
    const auto listed = store_->list(prefix, after, limit).value();
    for (const auto& info : listed) out.push_back(info.key);
    return out;
  }
  os::Fd fileWith(std::string_view content) {
    const std::string path = dir_.path() + "/source";
    writeFile(path, content);
    return os::openFile(path, O_RDWR).value();
  }
};

TEST(ValidateKey, AcceptsPlainKeysAndRefusesWhatCouldEscape) {
  for (const char* good : {"a", "a/b.txt", "…/ü", "a b", ".hidden", "...", "a\nb"})
    EXPECT_TRUE(validateKey(good)) << good;
  EXPECT_TRUE(validateKey(std::string(1024, 'x')));
  for (const std::string& bad :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string(".."), std::string("a/../b"), std::string("a/."), std::string("a\0b", 3),
        std::string("\xff"), std::string(1025, 'x')}) {
    const Status status = validateKey(bad);
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
  }
}

TEST(OpenStore, SaysWhatIsSupported) {
  for (const char* uri : {"/tmp/x", "file://relative", "file://", "file:///", "", "gs://bucket/x"}) {
    const auto store = openStore(uri);
    ASSERT_FALSE(store) << uri;
    EXPECT_EQ(store.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(store.error().message,
                ::testing::AnyOf(HasSubstr("file:///absolute/directory"), HasSubstr("whole")));
  }
  EXPECT_EQ(openStore("file:///srv/buoy/").value()->uri(), "file:///srv/buoy");
}

TEST(OpenStore, TakesABucketAndAPrefixWithoutAskingForThem) {
  const aws::Environment environment = {
      {"HOME", "/nonexistent"}, {"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "secret"}};
  EXPECT_EQ(openStore("s3://bucket", environment).value()->uri(), "s3://bucket");
  EXPECT_EQ(openStore("s3://bucket/", environment).value()->uri(), "s3://bucket");
  EXPECT_EQ(openStore("s3://bucket/a/b c/", environment).value()->uri(), "s3://bucket/a/b c");
  for (const char* uri : {"s3://", "s3://b", "s3:///x", "s3://bucket/a//b", "s3://bucket/../x"}) {
    const auto store = openStore(uri, environment);
    ASSERT_FALSE(store) << uri;
    EXPECT_EQ(store.error().code, ErrorCode::invalid_argument) << uri;
  }
  aws::Environment half = environment;
  half.erase("AWS_SECRET_ACCESS_KEY");
  EXPECT_EQ(openStore("s3://bucket/x", half).error().code, ErrorCode::unauthenticated);
}

TEST_F(FileStoreTest, MissingStoreIsEmptyAndCreatedByTheFirstPut) {
  EXPECT_EQ(store_->get("a").error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->head("a").error().code, ErrorCode::not_found);
  EXPECT_TRUE(store_->list("", "", 10).value().empty());
  EXPECT_TRUE(store_->remove("a"));
  EXPECT_NE(::access(root_.c_str(), F_OK), 0);
  ASSERT_TRUE(store_->put("a/b", "one"));
  EXPECT_EQ(store_->get("a/b").value(), "one");
}

TEST_F(FileStoreTest, PutReplacesAndPutIfAbsentDoesNot) {
  ASSERT_TRUE(store_->put("k", "one"));
  ASSERT_TRUE(store_->put("k", "two"));
  EXPECT_EQ(store_->putIfAbsent("k", "three").error().code, ErrorCode::already_exists);
  EXPECT_EQ(store_->get("k").value(), "two");
  ASSERT_TRUE(store_->putIfAbsent("n", ""));
  EXPECT_EQ(store_->get("n").value(), "");
  EXPECT_EQ(store_->head("k").value().size, 3u);
}

TEST_F(FileStoreTest, GetHasALimit) {
  ASSERT_TRUE(store_->put("k", "12345"));
  EXPECT_EQ(store_->get("k", 4).error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(store_->get("k", 5).value(), "12345");
}

TEST_F(FileStoreTest, OneOfManyWinsPutIfAbsent) {
  std::atomic<int> winners{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const auto own = openStore("file://" + root_).value();
        for (int i = 0; i < 25; ++i) {
          if (own->putIfAbsent("slot/" + std::to_string(i), std::to_string(t))) winners.fetch_add(1);
        }
      });
    }
  }
  EXPECT_EQ(winners.load(), 25);
  EXPECT_EQ(keys("slot/").size(), 25u);
}

TEST_F(FileStoreTest, PutFileStoresAndHashes) {
  std::string content(3'000'000, 'x');
  content[1'234'567] = 'y';
  const os::Fd fd = fileWith(content);
  std::string hash;
  ASSERT_TRUE(store_->putFile("big", fd.get(), content.size(), &hash));
  EXPECT_EQ(hash, sha256Hex(content));
  EXPECT_EQ(store_->get("big").value(), content);
  ASSERT_TRUE(store_->putFile("again", fd.get(), content.size(), nullptr));
  EXPECT_EQ(store_->get("again").value(), content);
  EXPECT_EQ(store_->putFile("wrong", fd.get(), content.size() - 1, nullptr).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ(store_->head("wrong").error().code, ErrorCode::not_found);
}

TEST_F(FileStoreTest, HolesStayHoles) {
  const os::Fd fd = fileWith("begin");
  constexpr std::uint64_t kSize = 64 << 20;
  ASSERT_EQ(::ftruncate(fd.get(), kSize), 0);
  std::string hash;
  ASSERT_TRUE(store_->putFile("sparse", fd.get(), kSize, &hash));
  struct stat info {};
  ASSERT_EQ(::stat((root_ + "/sparse").c_str(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), kSize);
  EXPECT_LT(info.st_blocks * 512, 2 << 20);
  std::string content(kSize, '\0');
  content.replace(0, 5, "begin");
  EXPECT_EQ(hash, sha256Hex(content));
}

TEST_F(FileStoreTest, GetFileVerifies) {
  ASSERT_TRUE(store_->put("k", "content"));
  const os::Fd fd = fileWith("");
  ASSERT_TRUE(store_->getFile("k", fd.get(), sha256Hex("content")));
  EXPECT_EQ(os::readFile(dir_.path() + "/source").value(), "content");
  const os::Fd other = fileWith("");
  EXPECT_EQ(store_->getFile("k", other.get(), sha256Hex("other")).error().code, ErrorCode::data_loss);
  const os::Fd third = fileWith("");
  EXPECT_TRUE(store_->getFile("k", third.get(), ""));
  EXPECT_EQ(store_->getFile("none", third.get(), "").error().code, ErrorCode::not_found);
}

TEST_F(FileStoreTest, ListsInByteOrderWithPrefixAfterAndLimit) {
  const std::vector<std::string> all = {"a", "b-1", "b.txt", "b/1", "b/2/x", "b/2y", "b0", "ü"};
  for (const auto& key : all) ASSERT_TRUE(store_->put(key, key));
  EXPECT_EQ(keys(""), all);
  EXPECT_THAT(keys("b/"), ElementsAre("b/1", "b/2/x", "b/2y"));
  EXPECT_THAT(keys("b/2"), ElementsAre("b/2/x", "b/2y"));
  EXPECT_THAT(keys("b", "b/1", 2), ElementsAre("b/2/x", "b/2y"));
  EXPECT_THAT(keys("", "", 3), ElementsAre("a", "b-1", "b.txt"));
  EXPECT_THAT(keys("nothing/"), ElementsAre());
  EXPECT_THAT(keys("../"), ElementsAre());
  EXPECT_THAT(keys("", "", 0), ElementsAre());
}

TEST_F(FileStoreTest, ListAgreesWithASortedSetForRandomKeys) {
  std::mt19937 random(7);
  const std::vector<std::string> parts = {"a",
                                          "b",
                                          "a.b",
                                          "a-",
                                          "z",
                                          "é",
                                          std::string(200, 'l'),
                                          std::string(201, 'l'),
                                          std::string(200, 'l') + ".",
                                          std::string(450, 'l'),
                                          std::string(200, 'l') + "é"};
  std::set<std::string> expected;
  for (int i = 0; i < 150; ++i) {
    std::string key;
    for (auto depth = 1 + random() % 3; depth > 0; --depth) {
      key += (key.empty() ? "" : "/") + parts[random() % parts.size()];
    }
    if (store_->put(key, "x")) expected.insert(key);
  }
  // Short in messages.
  const auto shown = [](const std::vector<std::string>& all) {
    std::string text;
    for (std::string key : all) {
      for (std::size_t at; (at = key.find("llllllllll")) != std::string::npos;) key.replace(at, 10, "L");
      text += key + "\n";
    }
    return text;
  };
  EXPECT_EQ(shown(keys("")), shown({expected.begin(), expected.end()}));
  for (int i = 0; i < 100; ++i) {
    const auto any = [&] {
      return *std::next(expected.begin(), static_cast<long>(random() % expected.size()));
    };
    const std::string after = any();
    const std::string prefix = any().substr(0, random() % 250);
    const std::size_t limit = 1 + random() % 20;
    std::vector<std::string> want;
    for (const auto& key : expected) {
      if (key.starts_with(prefix) && key > after && want.size() < limit) want.push_back(key);
    }
    EXPECT_EQ(shown(keys(prefix, after, static_cast<int>(limit))), shown(want));
  }
}

TEST_F(FileStoreTest, LongestKeysWork) {
  const std::string one(1024, 'k');
  std::string wide;  // cut within a character
  while (wide.size() + 3 <= 1024) wide += "…";
  std::string deep = "x";
  while (deep.size() + 2 <= 1024) deep += "/x";
  for (const std::string& key : {one, wide, deep}) {
    ASSERT_TRUE(store_->put(key, key));
    EXPECT_EQ(store_->get(key).value(), key);
    EXPECT_THAT(keys(key), ElementsAre(key));
    EXPECT_TRUE(store_->remove(key));
    EXPECT_EQ(store_->head(key).error().code, ErrorCode::not_found);
  }
}

TEST_F(FileStoreTest, RemovePrunesEmptyDirectories) {
  ASSERT_TRUE(store_->put("a/b/c", "x"));
  ASSERT_TRUE(store_->put("a/d", "x"));
  ASSERT_TRUE(store_->remove("a/b/c"));
  EXPECT_NE(::access((root_ + "/a/b").c_str(), F_OK), 0);
  EXPECT_TRUE(store_->remove("a"));  // a directory, no object
  EXPECT_EQ(store_->get("a/d").value(), "x");
  EXPECT_TRUE(store_->remove("a/d"));
  EXPECT_TRUE(store_->remove("a/d"));
}

TEST_F(FileStoreTest, AnObjectIsNoDirectory) {
  ASSERT_TRUE(store_->put("a", "x"));
  ASSERT_TRUE(store_->put("d/e", "x"));
  EXPECT_THAT(store_->put("a/b", "y").error().message, HasSubstr("directory of other objects"));
  EXPECT_THAT(store_->put("d", "y").error().message, HasSubstr("directory of other objects"));
  EXPECT_EQ(store_->get("a/b").error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->get("d").error().code, ErrorCode::not_found);
}

TEST_F(FileStoreTest, FollowsNoLinkWithinTheRoot) {
  ASSERT_TRUE(store_->put("a/b", "x"));
  writeFile(dir_.path() + "/secret", "secret");
  ASSERT_EQ(::symlink("../secret", (root_ + "/link").c_str()), 0);
  ASSERT_EQ(::symlink("..", (root_ + "/up").c_str()), 0);
  EXPECT_EQ(store_->get("link").error().code, ErrorCode::permission_denied);
  EXPECT_EQ(store_->get("up/secret").error().code, ErrorCode::permission_denied);
  EXPECT_EQ(store_->put("up/new", "x").error().code, ErrorCode::permission_denied);
  EXPECT_FALSE(store_->remove("up/secret"));
  EXPECT_THAT(keys(""), ElementsAre("a/b"));
  // Replacing a link replaces the link.
  ASSERT_TRUE(store_->put("link", "mine"));
  EXPECT_EQ(os::readFile(dir_.path() + "/secret").value(), "secret");
  EXPECT_EQ(store_->get("link").value(), "mine");
  EXPECT_NE(::access((dir_.path() + "/new").c_str(), F_OK), 0);
}

TEST_F(FileStoreTest, TemporaryNamesAreReservedAndHidden) {
  ASSERT_TRUE(store_->put("a", "x"));
  EXPECT_EQ(store_->put(".buoy-tmp/x", "x").error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(keys(""), ElementsAre("a"));
  ASSERT_TRUE(store_->put("d/.buoy-tmp/x", "x"));
  EXPECT_THAT(keys("d/"), ElementsAre("d/.buoy-tmp/x"));
}

TEST_F(FileStoreTest, CleansUpAfterDeadWritersOnly) {
  ASSERT_TRUE(store_->put("a", "x"));
  const std::string temporaries = root_ + "/.buoy-tmp/";
  const auto make = [&](const std::string& name) {
    ASSERT_TRUE(os::makeDirectories(temporaries + name));
    writeFile(temporaries + name + "/lock", "");
    writeFile(temporaries + name + "/0", "half an object");
  };
  make("dead");
  make("alive");
  make("young");
  for (const char* name : {"dead", "alive"}) testing::age(temporaries + name);
  const os::Fd lock = os::openFile(temporaries + "alive/lock", O_RDWR).value();
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  ASSERT_TRUE(openStore("file://" + root_).value()->put("b", "x"));
  EXPECT_NE(::access((temporaries + "dead").c_str(), F_OK), 0);
  EXPECT_EQ(::access((temporaries + "alive/0").c_str(), F_OK), 0);
  EXPECT_EQ(::access((temporaries + "young/0").c_str(), F_OK), 0);
  EXPECT_THAT(keys(""), ElementsAre("a", "b"));
}

TEST_F(FileStoreTest, ForkedProcessesShareAStore) {
  ASSERT_TRUE(store_->put("a", "x"));
  EXPECT_EQ(inChild([&] { return store_->put("child", "c") ? 0 : 1; }), 0);
  // The child's end may remove the directory for temporary files.
  EXPECT_EQ(inChild([&] {
              store_.reset();
              return 0;
            }),
            0);
  EXPECT_TRUE(store_->put("b", "x"));
  EXPECT_THAT(keys(""), ElementsAre("a", "b", "child"));
}

TEST_F(FileStoreTest, BatchIsInvisibleUntilFinished) {
  const auto batch = store_->newBatch();
  const os::Fd fd = fileWith("content");
  const auto first = batch->add("o/", fd.get(), 7, {}).value();
  EXPECT_TRUE(first.fresh);
  EXPECT_EQ(first.sha256, sha256Hex("content"));
  EXPECT_FALSE(batch->add("o/", fd.get(), 7, {}).value().fresh);
  EXPECT_THAT(keys(""), ElementsAre());
  ASSERT_TRUE(batch->finish());
  EXPECT_THAT(keys(""), ElementsAre("o/" + first.sha256));
  EXPECT_FALSE(store_->newBatch()->add("o/", fd.get(), 7, {}).value().fresh);
  EXPECT_TRUE(store_->newBatch()->add("p/", fd.get(), 7, {}).value().fresh);
  EXPECT_THAT(keys("p/"), ElementsAre());
}

TEST_F(FileStoreTest, BatchOfManyFilesAndAStop) {
  const auto batch = store_->newBatch();
  for (int i = 0; i < 300; ++i) {
    const os::Fd fd = fileWith(std::to_string(1000 + i));
    const auto added = batch->add("o/", fd.get(), 4, {}).value();
    if (i >= 290) batch->drop("o/", added);
  }
  ASSERT_TRUE(batch->finish());
  EXPECT_EQ(keys("o/").size(), 290u);
  std::stop_source stop;
  stop.request_stop();
  const os::Fd fd = fileWith("x");
  EXPECT_EQ(store_->newBatch()->add("o/", fd.get(), 1, stop.get_token()).error().code, ErrorCode::cancelled);
}

TEST_F(FileStoreTest, ADamagedObjectIsReplaced) {
  const os::Fd fd = fileWith("content");
  const auto first = store_->newBatch();
  const std::string key = "o/" + first->add("o/", fd.get(), 7, {}).value().sha256;
  ASSERT_TRUE(first->finish());
  writeFile(root_ + "/" + key, "cont");
  const auto second = store_->newBatch();
  EXPECT_TRUE(second->add("o/", fd.get(), 7, {}).value().fresh);
  ASSERT_TRUE(second->finish());
  EXPECT_EQ(store_->get(key).value(), "content");
}

// The batch that every other kind of store begins with.
TEST_F(FileStoreTest, DefaultBatchDoesTheSame) {
  const auto batch = store_->ObjectStore::newBatch();
  const os::Fd fd = fileWith("content");
  const auto added = batch->add("o/", fd.get(), 7, {}).value();
  EXPECT_TRUE(added.fresh);
  EXPECT_FALSE(batch->add("o/", fd.get(), 7, {}).value().fresh);
  EXPECT_EQ(batch->add("o/", fd.get(), 8, {}).error().code, ErrorCode::failed_precondition);
  ASSERT_TRUE(batch->finish());
  EXPECT_EQ(store_->get("o/" + added.sha256).value(), "content");
  batch->drop("o/", added);
  EXPECT_THAT(keys(""), ElementsAre());
}

// A file system of its own that is full; 77: not permitted here.
int onSmallDisk(const std::string& mount_point, const std::function<int()>& body) {
  return inChild([&] {
    const std::string map = "0 " + std::to_string(::getuid()) + " 1";
    if (::unshare(CLONE_NEWNS) != 0) {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
      if (const auto fd = os::openFile("/proc/self/uid_map", O_WRONLY)) (void)os::writeAll(fd->get(), map);
    }
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
    if (::mount("small", mount_point.c_str(), "tmpfs", 0, "size=256k") != 0) return 77;
    return body();
  });
}

TEST_F(FileStoreTest, AFullDiskLosesNothing) {
  ASSERT_TRUE(os::makeDirectories(root_));
  const int status = onSmallDisk(root_, [&] {
    const auto small = openStore("file://" + root_).value();
    if (!small->put("kept", "kept")) return 1;
    const os::Fd big = fileWith(std::string(1 << 20, 'x'));
    const auto batch = small->newBatch();
    const auto added = batch->add("o/", big.get(), 1 << 20, {});
    if (added || added.error().code != ErrorCode::resource_exhausted || !added.error().retryable) return 2;
    if (small->put("kept", std::string(1 << 20, 'y')).error().code != ErrorCode::resource_exhausted) return 3;
    if (small->get("kept").value() != "kept") return 4;
    if (small->list("", "", 10).value().size() != 1) return 5;
    // What was written in vain is gone again.
    if (!small->put("small", std::string(100'000, 'z'))) return 6;
    return 0;
  });
  if (status == 77) GTEST_SKIP() << "mounting is not permitted here";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace buoy::objstore
