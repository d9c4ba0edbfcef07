// What every ObjectStore promises: a directory always, and the bucket that BUOY_TEST_S3=s3://bucket/prefix
// names (with AWS_* in the environment), which tests/e2e sets for each server that it runs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "objstore/object_store.h"
#include "objstore/test_store.h"
#include "objstore/test_tree.h"
#include "os/files.h"

namespace buoy::objstore {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::writeFile;

std::string patterned(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31 + i / 251 + seed) & 0xffu);
  return bytes;
}

class StoreConformance : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    uri_ = testing::testStoreUri(GetParam(), dir_.path() + "/store");
    if (uri_.empty()) GTEST_SKIP() << "no S3 server: set BUOY_TEST_S3=s3://bucket/prefix (tests/e2e does)";
    store_ = openStore(uri_).value();
  }

  std::vector<std::string> keys(const std::string& prefix, const std::string& after = "",
                                int limit = 10'000) {
    std::vector<std::string> out;
    const auto listed = store_->list(prefix, after, limit);
    EXPECT_TRUE(listed) << listed.error().message;
    if (listed) {
      for (const ObjectInfo& info : *listed) out.push_back(info.key);
    }
    return out;
  }
  os::Fd fileWith(std::string_view content) {
    writeFile(dir_.path() + "/source", content);
    return os::openFile(dir_.path() + "/source", O_RDWR).value();
  }
  Result<std::string> rangeOf(const std::string& key, std::uint64_t offset, std::uint64_t size) {
    std::string bytes;
    const auto take = [&](std::string_view piece) {
      bytes += piece;
      return Status{};
    };
    BUOY_TRY_VOID(store_->getRange(key, offset, size, take, {}));
    return bytes;
  }

  os::TempDir dir_ = os::TempDir::create("buoy-store-").value();
  std::string uri_;
  std::unique_ptr<ObjectStore> store_;
};

TEST_P(StoreConformance, WhatIsPutIsThereAndReplaced) {
  for (const std::string& content :
       {std::string("one"), std::string(), patterned(3 * kMiB, 1), std::string("two")}) {
    ASSERT_TRUE(store_->put("dir/key", content));
    EXPECT_EQ(store_->get("dir/key").value(), content);
    const auto head = store_->head("dir/key");
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_EQ(head->size, content.size());
    EXPECT_EQ(head->key, "dir/key");
  }
  EXPECT_EQ(store_->get("dir/key", 2).error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(store_->get("dir/key", 3).value(), "two");
}

TEST_P(StoreConformance, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(store_->get("none").error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->head("none").error().code, ErrorCode::not_found);
  EXPECT_EQ(rangeOf("none", 0, 1).error().code, ErrorCode::not_found);
  EXPECT_EQ(store_->copy("none", "other").error().code, ErrorCode::not_found);
  const os::Fd fd = fileWith("");
  EXPECT_EQ(store_->getFile("none", fd.get(), "").error().code, ErrorCode::not_found);
  EXPECT_TRUE(store_->remove("none"));
  EXPECT_THAT(keys("none"), IsEmpty());
}

TEST_P(StoreConformance, OneOfManyWinsPutIfAbsent) {
  constexpr int kThreads = 8, kKeys = 12;
  std::array<std::atomic<int>, kKeys> winner{};
  std::atomic<int> other_errors{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 1; t <= kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kKeys; ++i) {
          const Status put = store_->putIfAbsent("slot/" + std::to_string(i), std::to_string(t));
          if (put) {
            EXPECT_EQ(winner[static_cast<std::size_t>(i)].exchange(t), 0) << "two won slot " << i;
          } else if (put.error().code != ErrorCode::already_exists) {
            ++other_errors;
          }
        }
      });
    }
  }
  EXPECT_EQ(other_errors, 0);
  for (int i = 0; i < kKeys; ++i)
    EXPECT_EQ(store_->get("slot/" + std::to_string(i)).value(),
              std::to_string(winner[static_cast<std::size_t>(i)]));
}

TEST_P(StoreConformance, PutIfMatchNeedsTheObjectThatWasSeen) {
  ASSERT_TRUE(store_->put("k", "one"));
  const std::string seen = store_->head("k").value().etag;
  ASSERT_FALSE(seen.empty());
  const Status changed = store_->putIfMatch("k", "other", seen);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(store_->putIfMatch("k", "third", seen).error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(store_->get("k").value(), "other");
  EXPECT_FALSE(store_->putIfMatch("none", "x", seen));
  EXPECT_EQ(store_->head("none").error().code, ErrorCode::not_found);
}

TEST_P(StoreConformance, ARangeIsOfTheObjectThatWasSeen) {
  ASSERT_TRUE(store_->put("k", "one 2"));
  const ObjectInfo seen = store_->head("k").value();
  const ObjectInfo listed = store_->list("k", "", 1).value().at(0);
  for (const ObjectInfo& object : {seen, listed, ObjectInfo{.key = "k"}}) {
    std::string got;
    const auto take = [&](std::string_view piece) {
      got += piece;
      return Status();
    };
    const Status read = store_->getRangeOf(object, 1, 3, take, {});
    EXPECT_TRUE(read) << read.error().message;
    EXPECT_EQ(got, "ne ");
  }
  ASSERT_TRUE(store_->put("k", "other"));
  const auto ignore = [](std::string_view) { return Status(); };
  EXPECT_EQ(store_->getRangeOf(seen, 1, 3, ignore, {}).error().code, ErrorCode::failed_precondition);
}

TEST_P(StoreConformance, PiecesOfMemoryAndFilesBecomeOneObject) {
  const std::string content = patterned(2 * kMiB, 7);
  const os::Fd fd = fileWith(content);
  ASSERT_TRUE(store_->putPieces(
      "p", {{"head "}, {{}, fd.get(), 1000, kMiB}, {" middle "}, {{}, fd.get(), 5, 10}}, {}));
  EXPECT_EQ(store_->get("p").value(),
            "head " + content.substr(1000, kMiB) + " middle " + content.substr(5, 10));
  EXPECT_EQ(store_->putPieces("short", {{{}, fd.get(), 0, content.size() + 1}}, {}).error().code,
            ErrorCode::failed_precondition);
  EXPECT_EQ(store_->head("short").error().code, ErrorCode::not_found);
}

TEST_P(StoreConformance, FilesGoInAndComeOut) {
  const std::string content = patterned(20 * kMiB + 3, 9);
  const os::Fd fd = fileWith(content);
  std::string hash;
  ASSERT_TRUE(store_->putFile("big", fd.get(), content.size(), &hash));
  EXPECT_EQ(hash, sha256Hex(content));
  const std::string path = dir_.path() + "/target";
  const os::Fd out = os::openFile(path, O_RDWR | O_CREAT | O_TRUNC).value();
  ASSERT_TRUE(store_->getFile("big", out.get(), hash));
  EXPECT_TRUE(os::readFile(path).value() == content);
  EXPECT_EQ(store_->getFile("big", out.get(), sha256Hex("x")).error().code, ErrorCode::data_loss);
  ASSERT_TRUE(store_->copy("big", "dir/copy"));
  EXPECT_TRUE(store_->get("dir/copy").value() == content);
}

TEST_P(StoreConformance, NothingOfALargeObjectIsVisibleBeforeItsEnd) {
  const std::vector<std::string> parts = {patterned(5 * kMiB, 1), patterned(5 * kMiB, 2), "end"};
  auto put = store_->beginMultipart("large");
  ASSERT_TRUE(put) << put.error().message;
  for (const int number : {3, 1, 2}) {
    const Status sent = (*put)->put(number, {{parts[static_cast<std::size_t>(number) - 1]}}, {});
    ASSERT_TRUE(sent) << sent.error().message;
  }
  EXPECT_EQ(store_->head("large").error().code, ErrorCode::not_found);
  EXPECT_THAT(keys(""), IsEmpty());
  ASSERT_TRUE((*put)->finish());
  EXPECT_TRUE(store_->get("large").value() == parts[0] + parts[1] + parts[2]);
  auto abandoned = store_->beginMultipart("never");
  ASSERT_TRUE(abandoned && (*abandoned)->put(1, {{"x"}}, {}));
  abandoned->reset();
  EXPECT_THAT(keys(""), ElementsAre("large"));
}

TEST_P(StoreConformance, RangesAreExact) {
  const std::string content = patterned(kMiB + 17, 3);
  ASSERT_TRUE(store_->put("r", content));
  for (const auto& [offset, size] :
       {std::pair{0u, 1u}, {0u, 0u}, {5u, 100'000u}, {unsigned(kMiB), 17u}, {0u, unsigned(kMiB) + 17}})
    EXPECT_TRUE(rangeOf("r", offset, size).value() == content.substr(offset, size)) << offset << "+" << size;
  EXPECT_EQ(rangeOf("r", kMiB, 18).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(rangeOf("r", 2 * kMiB, 1).error().code, ErrorCode::invalid_argument);
  const auto refuse = [](std::string_view) -> Status { return fail(ErrorCode::cancelled, "enough"); };
  EXPECT_EQ(store_->getRange("r", 0, kMiB, refuse, {}).error().message, "enough");
}

TEST_P(StoreConformance, ListingsAreInByteOrderWithinTheirBounds) {
  const std::vector<std::string> all = {"a b", "a!/x", "a.", "a/1", "a/2", "a/b/c", "b", "é"};
  for (const std::string& key : all) ASSERT_TRUE(store_->put(key, key));
  EXPECT_THAT(keys(""), ElementsAreArray({"a b", "a!/x", "a.", "a/1", "a/2", "a/b/c", "b", "é"}));
  EXPECT_THAT(keys("a/"), ElementsAre("a/1", "a/2", "a/b/c"));
  EXPECT_THAT(keys("a/b"), ElementsAre("a/b/c"));
  EXPECT_THAT(keys("", "a/1"), ElementsAre("a/2", "a/b/c", "b", "é"));
  EXPECT_THAT(keys("", "a/15"), ElementsAre("a/2", "a/b/c", "b", "é"));
  EXPECT_THAT(keys("a", "", 2), ElementsAre("a b", "a!/x"));
  EXPECT_THAT(keys("a/", "a/1", 1), ElementsAre("a/2"));
  EXPECT_EQ(store_->list("é", "", 1).value()[0].size, 2u);
}

TEST_P(StoreConformance, ListingsGoOnBeyondOnePage) {
  constexpr int kObjects = 1100;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = t; i < kObjects; i += 8)
          EXPECT_TRUE(store_->put("many/" + std::to_string(10'000 + i), ""));
      });
    }
  }
  const auto found = keys("many/");
  ASSERT_THAT(found, SizeIs(kObjects));
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  EXPECT_THAT(keys("many/", "", 1050), SizeIs(1050));
  EXPECT_THAT(keys("many/", found[1049]), SizeIs(50));
}

TEST_P(StoreConformance, KeysMayBeAnyText) {
  // What lies before a key counts as well.
  const std::size_t root = uri_.starts_with("s3://") ? uri_.size() - uri_.find('/', 5) : 0;
  std::string longest;
  while (longest.size() < 1024 - root) longest += longest.size() % 200 == 199 ? '/' : 'x';
  if (longest.back() == '/') longest.back() = 'y';
  const std::vector<std::string> odd = {" leading",      ".hidden/...", "a+b%20c%2F",
                                        "q?x=1&y=2#z",   "tab\there",   "\"quoted'",
                                        "<&>;,:@=$*()!", "日本/ключ/😀", longest};
  for (const std::string& key : odd) {
    const Status put = store_->put(key, key);
    ASSERT_TRUE(put) << key << ": " << put.error().message;
  }
  for (const std::string& key : odd) EXPECT_EQ(store_->get(key).value_or(""), key);
  std::vector<std::string> sorted = odd;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(keys(""), sorted);
  for (const std::string& key : odd) {
    ASSERT_TRUE(store_->copy(key, "copied"));
    EXPECT_EQ(store_->get("copied").value_or(""), key);
    ASSERT_TRUE(store_->remove(key));
    EXPECT_EQ(store_->head(key).error().code, ErrorCode::not_found);
  }
}

TEST_P(StoreConformance, KeysThatWouldLeaveTheStoreAreRefused) {
  ASSERT_TRUE(store_->put("k", "x"));
  const os::Fd fd = fileWith("x");
  for (const std::string& bad :
       {std::string("../k"), std::string("a/../../k"), std::string("/k"), std::string("a//k"),
        std::string("./k"), std::string(), std::string(1025, 'x'), std::string("\xff")}) {
    const auto refused = [&](const Error& error) {
      EXPECT_EQ(error.code, ErrorCode::invalid_argument) << bad;
    };
    refused(store_->put(bad, "y").error());
    refused(store_->putIfAbsent(bad, "y").error());
    refused(store_->putIfMatch(bad, "y", "e").error());
    refused(store_->putPieces(bad, {{"y"}}, {}).error());
    refused(store_->putFile(bad, fd.get(), 1, nullptr).error());
    refused(store_->beginMultipart(bad).error());
    refused(store_->copy("k", bad).error());
    refused(store_->copy(bad, "k").error());
    refused(store_->get(bad).error());
    refused(store_->head(bad).error());
    refused(store_->getFile(bad, fd.get(), "").error());
    refused(store_->remove(bad).error());
  }
  EXPECT_THAT(keys(""), ElementsAre("k"));
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformance, ::testing::Values("file", "s3"),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
}  // namespace buoy::objstore
