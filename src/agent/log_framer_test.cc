#include "agent/log_framer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/strings.h"

namespace buoy::agent {
namespace {

using testing::ElementsAre;

constexpr Time kNow{Duration{1'700'000'000'123'456}};

struct Framed {
  LogFramer framer{'o'};
  std::string frames;
  std::vector<std::string> texts;

  void feed(std::string_view bytes) {
    framer.feed(bytes, kNow, frames, [this](std::string_view text) { texts.emplace_back(text); });
  }
  void finish() {
    framer.finish(kNow, frames, [this](std::string_view text) { texts.emplace_back(text); });
  }
};

TEST(LogFramer, StampsEveryLine) {
  Framed log;
  log.feed("one\n\ntwo\n");
  EXPECT_EQ(log.frames, "1700000000123456 o one\n1700000000123456 o \n1700000000123456 o two\n");
  EXPECT_THAT(log.texts, ElementsAre("one", "", "two"));
}

TEST(LogFramer, HoldsAPartBackUntilItsNewlineOrTheEnd) {
  Framed log;
  log.feed("a");
  log.feed("b");
  EXPECT_EQ(log.frames, "");
  log.feed("c\nrest");
  EXPECT_EQ(log.frames, "1700000000123456 o abc\n");
  log.finish();
  EXPECT_EQ(log.frames, "1700000000123456 o abc\n1700000000123456 O rest\n");
  log.finish();
  EXPECT_THAT(log.texts, ElementsAre("abc", "rest"));
}

TEST(LogFramer, CutsAnOverLongLineAndFinishesItAsALine) {
  Framed log;
  const std::string line(LogFramer::kMaxPiece + 10, 'x');
  log.feed(line + "\n");
  ASSERT_EQ(log.texts.size(), 2u);
  EXPECT_EQ(log.texts[0].size(), LogFramer::kMaxPiece);
  EXPECT_EQ(log.texts[0] + log.texts[1], line);
  EXPECT_EQ(log.frames.substr(16, 3), " O ");
  EXPECT_NE(log.frames.find(" o xxxxxxxxxx\n"), std::string::npos);
}

TEST(LogFramer, ALineOfExactlyTheLimitIsOnePiece) {
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{1000}, LogFramer::kMaxPiece + 1}) {
    Framed log;
    const std::string line = std::string(LogFramer::kMaxPiece, 'x') + "\n";
    for (std::size_t at = 0; at < line.size(); at += chunk)
      log.feed(std::string_view(line).substr(at, chunk));
    EXPECT_EQ(log.texts.size(), 1u) << chunk;
    EXPECT_EQ(log.frames.substr(16, 3), " o ") << chunk;
  }
}

TEST(LogFramer, NeverCutsAUtf8SequenceInTwo) {
  for (std::size_t shift = 0; shift < 4; ++shift) {
    Framed log;
    std::string line(shift, 'x');
    while (line.size() < 2 * LogFramer::kMaxPiece + 100) line += "\xF0\x9F\x9B\x9F";  // four bytes each
    log.feed(line);
    log.finish();
    std::string whole;
    for (const std::string& text : log.texts) {
      EXPECT_TRUE(isValidUtf8(text)) << shift;
      EXPECT_LE(text.size(), LogFramer::kMaxPiece);
      whole += text;
    }
    EXPECT_EQ(whole, line);
  }
}

TEST(LogFramer, KeepsBytesThatAreNotUtf8) {
  Framed log;
  const std::string bytes(LogFramer::kMaxPiece * 2, '\x80');
  log.feed(bytes);
  log.finish();
  EXPECT_EQ(join(log.texts, ""), bytes);
}

TEST(LogFramer, NothingDependsOnHowTheBytesArrive) {
  std::string text;
  for (int i = 0; i < 3000; ++i)
    text += "line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), '.') + "\n";
  text += std::string(200'000, 'z') + "\nend";
  Framed whole;
  whole.feed(text);
  whole.finish();
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, std::size_t{65536}}) {
    Framed pieces;
    for (std::size_t at = 0; at < text.size(); at += chunk)
      pieces.feed(std::string_view(text).substr(at, chunk));
    pieces.finish();
    EXPECT_EQ(pieces.frames, whole.frames) << chunk;
  }
}

}  // namespace
}  // namespace buoy::agent
