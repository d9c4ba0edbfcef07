#include "objstore/manifest.h"

#include <gmock/gmock.h>

#include "objstore/checkpoint_keys.h"
#include "objstore/checkpoint_path.h"
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

// A file in two packs, one in one of these, an empty one, and one in an object of its own.
Slot packedExample() {
  const std::string near = sha256Hex("pack one"), far = sha256Hex("pack two");
  Slot slot = example();
  CheckpointFile big{"big", Kind::file, 0640, (512u << 10) + 100, Time{Duration{1}}};
  big.packed = true;
  big.slices = {{sha256Hex("1"), 512u << 10, {3}, near, 12}, {sha256Hex("2"), 100, {2}, far, 0}};
  big.sha256 = sha256Hex(sha256Hex("1") + sha256Hex("2"));
  big.rank = 3;
  CheckpointFile small{"e/small", Kind::file, 0640, 12, Time{Duration{1}}, sha256Hex("s")};
  small.packed = true;
  small.slices = {{sha256Hex("s"), 12, {3}, near, 0}};
  CheckpointFile empty{"e/empty", Kind::file, 0640, 0, Time{Duration{1}}, sha256Hex("")};
  empty.packed = true;
  CheckpointFile directory{"e", Kind::directory, 0750, 0, Time{Duration{5}}};
  slot.manifest.files.insert(slot.manifest.files.begin(), big);
  slot.manifest.files.insert(slot.manifest.files.end(), {directory, empty, small});
  return slot;
}

// A slot with a right hash around any line.
std::string sealed(const std::string& line) {
  return line + "\n" + sha256Hex(line) + "\n";
}

std::string replaced(const std::string& from, const std::string& to, const Slot& slot = example()) {
  std::string line = encodeSlot(slot);
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

TEST(Manifest, PackedFilesRoundTrip) {
  const Slot slot = packedExample();
  const std::string encoded = encodeSlot(slot);
  EXPECT_THAT(encoded, HasSubstr("\"format_version\":2"));
  const Slot again = decodeSlot(encoded).value();
  EXPECT_EQ(encodeSlot(again), encoded);
  ASSERT_EQ(again.manifest.files.size(), slot.manifest.files.size());
  for (std::size_t i = 0; i < slot.manifest.files.size(); ++i) {
    const CheckpointFile& a = slot.manifest.files[i];
    const CheckpointFile& b = again.manifest.files[i];
    EXPECT_EQ(std::tie(a.path, a.size, a.sha256, a.packed, a.slices, a.rank, a.stored_by),
              std::tie(b.path, b.size, b.sha256, b.packed, b.slices, b.rank, b.stored_by));
  }
}

// So that older programs can read it.
TEST(Manifest, WithoutPacksIsWrittenAsBefore) {
  const std::string encoded = encodeSlot(example());
  EXPECT_THAT(encoded, HasSubstr("\"format_version\":1"));
  for (const char* later : {"packs", "slices", "rank"})
    EXPECT_EQ(encoded.find(later), std::string::npos) << later;
}

TEST(Manifest, APackIsNamedOnce) {
  const std::string encoded = encodeSlot(packedExample());
  const std::string id = sha256Hex("pack one");
  EXPECT_NE(encoded.find(id), std::string::npos);
  EXPECT_EQ(encoded.find(id), encoded.rfind(id));
}

TEST(Manifest, RefusesPacksThatCannotBe) {
  const std::string first = "[0,12,\"" + sha256Hex("1") + "\"]", second = "[1,0,\"" + sha256Hex("2") + "\"]";
  const std::string pack = "{\"id\":\"" + sha256Hex("pack two") + "\",\"stored_by\":2}";
  const struct {
    std::string from, to, message;
  } cases[] = {
      {first + ",", "", "not as many slices"},
      {first, first + "," + first, "not as many slices"},
      {"[" + first + "," + second + "]", "7", "not as many slices"},
      {"\"size\":524388", "\"size\":524288", "not as many slices"},
      {"\"size\":524388", "\"size\":1048577", "not as many slices"},
      {first, "[2,12,\"" + sha256Hex("1") + "\"]", "slice that is none"},
      {first, "[-1,12,\"" + sha256Hex("1") + "\"]", "slice that is none"},
      {first, "[0,-1,\"" + sha256Hex("1") + "\"]", "slice that is none"},
      {first, "[0,9223372036854775807,\"" + sha256Hex("1") + "\"]", "slice that is none"},
      {first, "[0,12]", "slice that is none"},
      {first, "[0,12,\"../../x\"]", "slice that is none"},
      {first, "{}", "slice that is none"},
      {first, "[0,12,\"" + sha256Hex("x") + "\"]", "not that of its slices"},
      {pack, "{\"id\":\"../../x\",\"stored_by\":2}", "has no id"},
      {pack, "{\"id\":\"" + sha256Hex("x") + "\"}", "has no stored_by"},
      {pack, "{\"stored_by\":2}", "has no id"},
      {pack, "7", "no object"},
      {"," + pack, "", "slice that is none"},
      {"\"packs\":[", "\"packs\":7,\"x\":[", "no list of packs"},
      {"\"packs\":[", "\"x\":[", "slice that is none"},
      {"\"rank\":3", "\"rank\":-3", "no number"},
      {"\"rank\":3", "\"rank\":1048577", "no number"},
      {"\"rank\":3", "\"rank\":\"3\"", "no number"},
  };
  for (const auto& c : cases) {
    const auto slot = decodeSlot(replaced(c.from, c.to, packedExample()));
    ASSERT_FALSE(slot) << c.to;
    EXPECT_EQ(slot.error().code, ErrorCode::invalid_argument) << c.to;
    EXPECT_THAT(slot.error().message, HasSubstr(c.message)) << c.to;
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
  EXPECT_EQ(decodeSlot(replaced("\"format_version\":1", "\"format_version\":4")).error().code,
            ErrorCode::invalid_argument);
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
  EXPECT_EQ(objectKey({3}, "ab"), "objects/00000000000000000003/ab");
  EXPECT_LT(slotKey(9), slotKey(10));
}

TEST(Slices, AreCutAlikeAndNotTooMany) {
  constexpr std::uint64_t kSmallest = 512u << 10;
  EXPECT_EQ(sliceSize(0), kSmallest);
  EXPECT_EQ(sliceSize(kSmallest * 8192 - 1), kSmallest);
  EXPECT_EQ(sliceSize(kSmallest * 8192), 2 * kSmallest);
  for (std::uint64_t size = 1; size < 1ull << 62; size = size * 3 + 1) {
    const std::uint64_t slice = sliceSize(size);
    EXPECT_EQ(slice & (slice - 1), 0u);
    EXPECT_LE((size + slice - 1) / slice, 8192u);
  }
}

TEST(Slices, HashAsTheFileDoesIfThereIsOne) {
  EXPECT_EQ(sliceHash({{sha256Hex("1"), 1, {1}, "", 0}}), sha256Hex("1"));
  EXPECT_EQ(sliceHash({{sha256Hex("1"), 1, {1}, "", 0}, {sha256Hex("2"), 1, {1}, "", 0}}),
            sha256Hex(sha256Hex("1") + sha256Hex("2")));
}

TEST(Keys, OfContentAreAllObjectsThatItLiesIn) {
  const Slot slot = packedExample();
  const auto keysOf = [&](std::size_t index) { return contentKeys(slot.manifest.files.at(index)); };
  EXPECT_THAT(keysOf(0), ::testing::ElementsAre("packs/00000000000000000003/" + sha256Hex("pack one"),
                                                "packs/00000000000000000002/" + sha256Hex("pack two")));
  EXPECT_TRUE(keysOf(1).empty()) << "a directory";
  EXPECT_THAT(keysOf(2), ::testing::ElementsAre(objectKey({2}, sha256Hex("x"))));
  EXPECT_TRUE(keysOf(5).empty()) << "an empty file";
  CheckpointFile twice = slot.manifest.files.at(0);
  twice.slices[1] = twice.slices[0];
  EXPECT_EQ(contentKeys(twice).size(), 1u);
}

}  // namespace
}  // namespace buoy::objstore
