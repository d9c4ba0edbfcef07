#include "objstore/manifest.h"

#include <gmock/gmock.h>

#include "objstore/object_store.h"

namespace buoy::objstore {
namespace {

using ::testing::HasSubstr;
using Kind = CheckpointFile::Kind;

Slot example() {
  Slot slot;
  slot.kind = Slot::Kind::commit;
  slot.manifest.version = 7;
  slot.manifest.epoch = 3;
  slot.manifest.attempt = 2;
  slot.manifest.created = Time{Duration{1'700'000'000'123'456}};
  CheckpointFile directory{"d", Kind::directory, 0750, 0, Time{Duration{5}}};
  CheckpointFile file{"d/a\nb ü", Kind::file, 0640, 12, Time{Duration{-5}}, sha256Hex("x"), 2};
  CheckpointFile link{"d/l", Kind::symlink, 0777, 0, Time{Duration{9}}};
  link.target = "../d/a";
  slot.manifest.files = {directory, file, link};
  return slot;
}

// A slot with a right hash around any line.
std::string sealed(const std::string& line) {
  return line + "\n" + sha256Hex(line) + "\n";
}

std::string replaced(const std::string& from, const std::string& to) {
  std::string line = encodeSlot(example());
  line.resize(line.find('\n'));
  const auto at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << line;
  return sealed(line.replace(at, from.size(), to));
}

TEST(Manifest, RoundTrips) {
  const Slot slot = example();
  const Slot again = decodeSlot(encodeSlot(slot)).value();
  EXPECT_EQ(again.kind, Slot::Kind::commit);
  EXPECT_EQ(again.manifest.version, 7u);
  EXPECT_EQ(again.manifest.epoch, 3u);
  EXPECT_EQ(again.manifest.attempt, 2u);
  EXPECT_EQ(again.manifest.created, slot.manifest.created);
  ASSERT_EQ(again.manifest.files.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const CheckpointFile& a = slot.manifest.files[i];
    const CheckpointFile& b = again.manifest.files[i];
    EXPECT_EQ(std::tie(a.path, a.kind, a.mode, a.size, a.modified, a.sha256, a.stored_by, a.target),
              std::tie(b.path, b.kind, b.mode, b.size, b.modified, b.sha256, b.stored_by, b.target));
  }
}

TEST(Manifest, FenceRoundTrips) {
  Slot slot = example();
  slot.kind = Slot::Kind::fence;
  const Slot again = decodeSlot(encodeSlot(slot)).value();
  EXPECT_EQ(again.kind, Slot::Kind::fence);
  EXPECT_TRUE(again.manifest.files.empty());
}

TEST(Manifest, EveryTruncationAndEveryFlippedByteIsNoticed) {
  const std::string whole = encodeSlot(example());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_FALSE(decodeSlot(std::string_view(whole).substr(0, i))) << i;
    std::string flipped = whole;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_EQ(decodeSlot(flipped).error().code, ErrorCode::data_loss) << i;
  }
  EXPECT_FALSE(decodeSlot(whole + "x"));
}

TEST(Manifest, RefusesWhatBuoyWouldNotWrite) {
  const struct {
    std::string from, to, message;
  } cases[] = {
      {"\"d/l\"", "\"../l\"", "plain relative path"},
      {"\"d/l\"", "\"/etc/l\"", "plain relative path"},
      {"\"d/l\"", "\"d//l\"", "plain relative path"},
      {"\"d/l\"", "\"e/l\"", "not in a directory"},
      {"\"d/l\"", "\"d/a\\nb ü\"", "out of order"},
      {"\"../d/a\"", "\"../../x\"", "leads out"},
      {"\"../d/a\"", "\"/etc\"", "absolute"},
      {"\"../d/a\"", "\"x/../y\"", "after a name"},
      {"\"../d/a\"", "7", "no string"},
      {"\"size\":12", "\"size\":-12", "no number"},
      {"\"size\":12", "\"size\":1e300", "no number"},
      {"\"mode\":488", "\"mode\":4095", "no number"},
      {"\"directory\"", "\"device\"", "unknown type"},
      {"\"kind\":\"commit\"", "\"kind\":\"other\"", "unknown kind"},
      {"\"kind\":\"commit\",", "", "has no kind"},
      {"\"modified_us\":-5", "\"modified_us\":99999999999999999999", "no time"},
      {sha256Hex("x"), "abc", "no SHA-256"},
      {"buoy-checkpoint", "other", "not of the format"},
  };
  for (const auto& c : cases) {
    const auto slot = decodeSlot(replaced(c.from, c.to));
    ASSERT_FALSE(slot) << c.to;
    EXPECT_EQ(slot.error().code, ErrorCode::invalid_argument) << c.to;
    EXPECT_THAT(slot.error().message, HasSubstr(c.message));
  }
  EXPECT_EQ(decodeSlot(replaced("\"format_version\":1", "\"format_version\":2")).error().code,
            ErrorCode::failed_precondition);
  for (const char* line : {"", "[]", "null", "{", "\xff", "{\"format\":[[[[]]]]}"}) {
    EXPECT_EQ(decodeSlot(sealed(line)).error().code, ErrorCode::invalid_argument) << line;
  }
  EXPECT_FALSE(decodeSlot(sealed(std::string(100'000, '['))));
}

TEST(Manifest, UnknownFieldsAreLeftAlone) {
  EXPECT_TRUE(decodeSlot(replaced("\"epoch\":3", "\"epoch\":3,\"later\":{\"x\":[1]}")));
}

TEST(ValidateLink, OnlyLeadingStepsUpThatStayInside) {
  EXPECT_TRUE(validateLink("l", "a"));
  EXPECT_TRUE(validateLink("l", "./a//b"));
  EXPECT_TRUE(validateLink("a/b/l", "../../c"));
  EXPECT_TRUE(validateLink("a/l", ".."));
  EXPECT_FALSE(validateLink("l", ".."));
  EXPECT_FALSE(validateLink("a/l", "../../c"));
  EXPECT_FALSE(validateLink("a/l", "b/../c"));
  EXPECT_FALSE(validateLink("l", "/etc/passwd"));
  EXPECT_FALSE(validateLink("l", ""));
  EXPECT_FALSE(validateLink("l", "\xff"));
}

TEST(Escaped, ShowsEveryByte) {
  EXPECT_EQ(escaped("a\nb\"\\"), "a\\x0ab\\x22\\x5c");
  EXPECT_EQ(escaped("ü"), "ü");
  EXPECT_EQ(escaped("\xff"
                    "a"),
            "\\xffa");
}

TEST(Keys, SortAsNumbers) {
  EXPECT_EQ(slotKey(42), "log/00000000000000000042");
  EXPECT_EQ(objectKey(3, "ab"), "objects/00000000000000000003/ab");
  EXPECT_LT(slotKey(9), slotKey(10));
}

}  // namespace
}  // namespace buoy::objstore
