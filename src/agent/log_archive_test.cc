#include "agent/log_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "os/files.h"

namespace buoy::agent {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

// A store that fails as often as it is told to, and says when it was asked.
class AwayStore final : public objstore::ObjectStore {
 public:
  explicit AwayStore(std::unique_ptr<objstore::ObjectStore> store) : store_(std::move(store)) {}
  std::string uri() const override { return store_->uri(); }
  Status put(const std::string& key, std::string_view content) override { return store_->put(key, content); }
  Status putIfAbsent(const std::string& key, std::string_view content) override {
    return store_->putIfAbsent(key, content);
  }
  Status putFile(const std::string& key, int fd, std::uint64_t size, std::string* sha256) override {
    return store_->putFile(key, fd, size, sha256);
  }
  Status putPieces(const std::string& key, const std::vector<net::BodyPiece>& content,
                   std::stop_token stop) override {
    ++puts;
    if (failures.fetch_sub(1) > 0) return fail(ErrorCode::unavailable, "away", true);
    return store_->putPieces(key, content, std::move(stop));
  }
  Result<std::unique_ptr<objstore::MultipartPut>> beginMultipart(const std::string& key) override {
    return store_->beginMultipart(key);
  }
  Status putIfMatch(const std::string& key, std::string_view content, const std::string& etag) override {
    return store_->putIfMatch(key, content, etag);
  }
  Status copy(const std::string& from, const std::string& to) override { return store_->copy(from, to); }
  Status getRange(const std::string& key, std::uint64_t offset, std::uint64_t size,
                  const objstore::OnPiece& on_piece, std::stop_token stop) override {
    return store_->getRange(key, offset, size, on_piece, std::move(stop));
  }
  Result<std::string> get(const std::string& key, std::uint64_t limit) override {
    return store_->get(key, limit);
  }
  Status getFile(const std::string& key, int fd, std::string_view sha256) override {
    return store_->getFile(key, fd, sha256);
  }
  Result<objstore::ObjectInfo> head(const std::string& key) override { return store_->head(key); }
  Result<std::vector<objstore::ObjectInfo>> list(const std::string& prefix, const std::string& after,
                                                 int limit) override {
    return store_->list(prefix, after, limit);
  }
  Status remove(const std::string& key) override { return store_->remove(key); }

  std::atomic<int> failures{0}, puts{0};

 private:
  std::unique_ptr<objstore::ObjectStore> store_;
};

class LogArchiveTest : public testing::Test {
 protected:
  LogArchiveTest() {
    options_.interval = milliseconds{5};
    options_.piece = 100;
    options_.largest_piece = 250;
    options_.retry_min = options_.retry_max = milliseconds{1};
    restart();
  }

  void restart() {
    archive_.reset();
    archive_ = std::make_unique<LogArchive>(store_, options_, [this] { drained_.notify_all(); });
    spool_ = std::make_shared<LogSpool>(*LogSpool::open(dir_.path() + "/spool"));
    stream_ = archive_->begin(spool_, "c/j1/logs/1/0", ".log");
  }
  void write(const std::string& lines) {
    ASSERT_TRUE(spool_->append(lines));
    written_ += lines;
    archive_->grew(stream_, spool_->size());
  }
  std::vector<std::string> pieces() {
    std::vector<std::string> keys;
    const auto objects = *store_.list("c/j1/logs/1/0/", "", 1000);
    for (const auto& object : objects) keys.push_back(object.key.substr(14));
    return keys;
  }
  std::string stored() {
    std::string all;
    for (const std::string& piece : pieces()) all += *store_.get("c/j1/logs/1/0/" + piece, 1 << 20);
    return all;
  }
  void waitStored() {
    while (stored() != written_) std::this_thread::yield();
  }
  void finish() {
    archive_->end(stream_);
    std::unique_lock lock(mutex_);
    while (!archive_->drained()) drained_.wait_for(lock, milliseconds{10});
  }

  const os::TempDir dir_ = *os::TempDir::create("buoy-archive-");
  AwayStore store_{*objstore::openStore("file://" + dir_.path() + "/store")};
  LogArchive::Options options_;
  std::mutex mutex_;
  std::condition_variable drained_;
  std::string written_;
  std::shared_ptr<LogSpool> spool_;
  std::unique_ptr<LogArchive> archive_;
  LogArchive::StreamId stream_ = 0;
};

TEST_F(LogArchiveTest, RewritesASmallPieceAndBeginsTheNextBehindAFullOne) {
  write("1 o one\n");
  waitStored();
  write("2 o two\n");
  waitStored();
  EXPECT_THAT(pieces(), ElementsAre("00000001.log"));
  write("3 o " + std::string(100, 'x') + "\n");
  waitStored();
  write("4 o four\n");
  waitStored();
  EXPECT_THAT(pieces(), ElementsAre("00000001.log", "00000002.log"));
}

TEST_F(LogArchiveTest, MuchAtOnceGoesInPiecesOfBoundedSize) {
  write(std::string(999, 'x') + "\n");
  finish();
  EXPECT_EQ(stored(), written_);
  EXPECT_THAT(pieces(), ElementsAre("00000001.log", "00000002.log", "00000003.log", "00000004.log"));
}

TEST_F(LogArchiveTest, TheEndIsPutAtOnce) {
  options_.interval = std::chrono::hours{1};
  restart();
  write("1 o only line\n");
  EXPECT_EQ(stored(), "");
  finish();
  EXPECT_EQ(stored(), written_);
}

TEST_F(LogArchiveTest, AStoreThatIsAwayOnlyMakesItLater) {
  store_.failures = 5;
  write("1 o one\n");
  while (store_.puts < 3) std::this_thread::yield();
  write("2 o two\n");
  EXPECT_EQ(stored(), "");
  waitStored();
  EXPECT_GE(store_.puts, 6);
}

TEST_F(LogArchiveTest, AnAgentThatIsStartedAgainGoesOnBehindWhatIsStored) {
  write(std::string(119, 'x') + "\n");
  waitStored();
  write("2 o two\n");
  waitStored();
  restart();
  write("3 o three\n");
  waitStored();
  EXPECT_THAT(pieces(), ElementsAre("00000001.log", "00000002.log"));
  finish();
  EXPECT_EQ(stored(), written_);
}

TEST_F(LogArchiveTest, AnOlderCopyOfTheSpoolTakesNothingAway) {
  write("1 o one\n");
  waitStored();
  ASSERT_TRUE(os::writeFileAtomic(dir_.path() + "/copy", "1 o\n"));
  spool_ = std::make_shared<LogSpool>(*LogSpool::open(dir_.path() + "/copy"));
  stream_ = archive_->begin(spool_, "c/j1/logs/1/0", ".log");
  ASSERT_TRUE(spool_->append("2 o two\n"));
  archive_->grew(stream_, spool_->size());
  finish();
  EXPECT_EQ(stored(), "1 o one\n2 o two\n");
}

TEST_F(LogArchiveTest, NothingWrittenCostsNothing) {
  finish();
  EXPECT_EQ(store_.puts, 0);
}

}  // namespace
}  // namespace buoy::agent
