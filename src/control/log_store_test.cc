#include "control/log_store.h"

#include <gtest/gtest.h>

#include "os/files.h"

namespace buoy::control {
namespace {

constexpr JobId kJob{42};

class LogStoreTest : public testing::Test {
 protected:
  os::TempDir directory_ = *os::TempDir::create("log-store-");
  LogStore store_{directory_.path() + "/logs"};

  std::vector<std::string> texts(LogCursor& cursor, std::uint64_t limit = 1 << 20) {
    std::vector<std::string> found;
    const auto lines = store_.read(kJob, cursor, limit);
    for (const LogLine& line : *lines) {
      found.push_back(line.text);
      cursor.advance(line);
    }
    return found;
  }
};

TEST_F(LogStoreTest, AnAppendThatIsRepeatedChangesNothing) {
  EXPECT_EQ(*store_.append(kJob, {1, 0}, 0, "1 o a\n"), 6u);
  EXPECT_EQ(*store_.append(kJob, {1, 0}, 0, "1 o a\n"), 6u);
  EXPECT_EQ(*store_.append(kJob, {1, 0}, 99, "1 o later\n"), 6u);
  EXPECT_EQ(*store_.append(kJob, {1, 0}, 6, "2 e b\n"), 12u);
  LogCursor cursor;
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(texts(cursor).empty());
}

TEST_F(LogStoreTest, KeepsHalfALineUntilItsEndComes) {
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, "1 o who"));
  LogCursor cursor;
  EXPECT_TRUE(texts(cursor).empty());
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 7, "le\n2 O part\n"));
  const auto lines = *store_.read(kJob, cursor, 1 << 20);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, "whole");
  EXPECT_TRUE(lines[0].complete);
  EXPECT_FALSE(lines[1].complete);
}

TEST_F(LogStoreTest, MergesRanksByTimeAndKeepsAttemptsInOrder) {
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, "10 o a\n30 o c\n"));
  ASSERT_TRUE(store_.append(kJob, {1, 1}, 0, "20 o b\n"));
  ASSERT_TRUE(store_.append(kJob, {2, 0}, 0, "5 o d\n"));
  LogCursor cursor;
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"d"}));
  // Late bytes of an earlier attempt are not lost to somebody who has read further.
  ASSERT_TRUE(store_.append(kJob, {1, 1}, 7, "40 o late\n"));
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"late"}));
}

TEST_F(LogStoreTest, ReadsInPiecesWithoutLosingOrRepeating) {
  std::string bytes;
  for (int n = 0; n < 1000; ++n) bytes += std::to_string(n) + " o line " + std::to_string(n) + "\n";
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, bytes));
  LogCursor cursor;
  std::vector<std::string> all;
  for (;;) {
    const auto piece = texts(cursor, 100);
    if (piece.empty()) break;
    all.insert(all.end(), piece.begin(), piece.end());
    cursor = *LogCursor::parse(cursor.toString());
  }
  ASSERT_EQ(all.size(), 1000u);
  EXPECT_EQ(all[999], "line 999");
}

TEST_F(LogStoreTest, TailFindsTheLastLinesOverAttempts) {
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, "1 o a\n2 o b\n3 o c\n"));
  ASSERT_TRUE(store_.append(kJob, {2, 0}, 0, "4 o d\n"));
  for (const auto& [count, expected] : std::map<std::size_t, std::vector<std::string>>{
           {0, {}}, {1, {"d"}}, {2, {"c", "d"}}, {4, {"a", "b", "c", "d"}}, {9, {"a", "b", "c", "d"}}}) {
    LogCursor cursor = *store_.tail(kJob, count);
    std::vector<std::string> found;
    for (auto piece = texts(cursor); !piece.empty(); piece = texts(cursor)) {
      found.insert(found.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(found, expected) << count;
  }
}

TEST_F(LogStoreTest, TailOfAGangIsTheLastLinesOfAllRanks) {
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, "1 o a\n3 o c\n"));
  ASSERT_TRUE(store_.append(kJob, {1, 1}, 0, "2 o b\n4 o d\n5 o hal"));
  LogCursor cursor = *store_.tail(kJob, 3);
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"b", "c", "d"}));
  ASSERT_TRUE(store_.append(kJob, {1, 1}, 19, "f\n"));
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"half"}))
      << "a line that was not whole is still to come";
}

TEST_F(LogStoreTest, AStreamKeepsItsOwnOrderWhenTheClockWentBack) {
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, "9 o first\n1 o second\n"));
  ASSERT_TRUE(store_.append(kJob, {1, 1}, 0, "5 o other\n"));
  LogCursor cursor;
  EXPECT_EQ(texts(cursor), (std::vector<std::string>{"other", "first", "second"}));
}

TEST_F(LogStoreTest, CursorStaysShortOverManyAttempts) {
  LogCursor cursor;
  for (std::uint32_t attempt = 1; attempt <= 500; ++attempt) {
    ASSERT_TRUE(store_.append(kJob, {attempt, 0}, 0, "1 o line\n"));
    EXPECT_EQ(texts(cursor).size(), 1u);
    cursor = *LogCursor::parse(cursor.toString());
  }
  EXPECT_LT(cursor.toString().size(), 40u);
  EXPECT_TRUE(texts(cursor).empty());
}

TEST_F(LogStoreTest, WatchersHearOfAppendsUntilTheyLeave) {
  int heard = 0;
  auto watch = store_.watch(kJob, [&] { ++heard; });
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 0, "1 o a\n"));
  EXPECT_EQ(heard, 1);
  watch.reset();
  ASSERT_TRUE(store_.append(kJob, {1, 0}, 6, "1 o b\n"));
  EXPECT_EQ(heard, 1);
}

TEST(LogCursorTest, RefusesNonsense) {
  for (const char* text : {"x", "1=2", "1.0", "1.0=x", "1.0=1;"})
    EXPECT_FALSE(LogCursor::parse(text)) << text;
}

}  // namespace
}  // namespace buoy::control
