#include "objstore/s3/checksum.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

#include "objstore/sha256.h"
#include "os/files.h"

namespace buoy::objstore::s3 {
namespace {

// RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(Crc32c, AgreesWithThePublishedVectors) {
  std::string up(32, '\0');
  std::iota(up.begin(), up.end(), '\0');
  const std::string down(up.rbegin(), up.rend());
  const std::string read_command(
      "\x01\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\0\0\0\0\x04\0\0\0\0\x14\0\0\0\x18\x28\0\0\0\0\0\0\0\x02\0\0"
      "\0"
      "\0\0\0\0",
      48);
  const struct {
    std::string bytes;
    std::uint32_t crc;
  } cases[] = {{"", 0},
               {std::string(32, '\0'), 0x8a9136aa},
               {std::string(32, '\xff'), 0x62a8ab43},
               {up, 0x46dd794e},
               {down, 0x113fdb5c},
               {read_command, 0xd9963a56},
               {"123456789", 0xe3069283}};
  for (const auto& c : cases) {
    EXPECT_EQ(crc32c(0, c.bytes), c.crc);
    EXPECT_EQ(crc32cByTable(0, c.bytes), c.crc);
  }
}

RC_GTEST_PROP(Crc32c, IsTheSameByTableAndInPieces, (const std::string& bytes, std::uint32_t begin)) {
  const std::uint32_t whole = crc32c(begin, bytes);
  RC_ASSERT(crc32cByTable(begin, bytes) == whole);
  const auto cut = *rc::gen::inRange<std::size_t>(0, bytes.size() + 1);
  const std::string_view text = bytes;
  RC_ASSERT(crc32c(crc32c(begin, text.substr(0, cut)), text.substr(cut)) == whole);
  RC_ASSERT(crc32cByTable(crc32c(begin, text.substr(0, cut)), text.substr(cut)) == whole);
}

TEST(Checksum, IsWrittenAsS3WantsIt) {
  EXPECT_EQ(crc32cBase64(0), "AAAAAA==");
  EXPECT_EQ(crc32cBase64(0xe3069283), "4waSgw==");
  EXPECT_EQ(md5Base64(""), "1B2M2Y8AsgTpgAmY7PhCfg==");
  EXPECT_EQ(md5Base64("abc"), "kAFQmDzST7DWlj99KOF/cg==");
}

class DigestBody : public testing::Test {
 protected:
  // More than is read at once.
  DigestBody() : content_(700'001, 'a') {
    for (std::size_t i = 0; i < content_.size(); ++i) content_[i] = static_cast<char>(i * i >> 3);
    path_ = directory_.path() + "/f";
    EXPECT_TRUE(os::writeFileAtomic(path_, content_, 0600));
    fd_ = os::Fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  }
  os::TempDir directory_ = os::TempDir::create("buoy-checksum").value();
  std::string content_, path_;
  os::Fd fd_;
};

TEST_F(DigestBody, IsOfMemoryAndFilesInOrder) {
  const std::string_view content = content_;
  const std::vector<net::BodyPiece> body = {
      {"head"}, {{}, fd_.get(), 7, 600'000}, {""}, {{}, fd_.get(), 0, 0}, {"tail"}, {{}, fd_.get(), 0, 3}};
  const std::string same = "head" + content_.substr(7, 600'000) + "tail" + content_.substr(0, 3);
  const BodyDigests digests = digestBody(body, true, true, {}).value();
  EXPECT_EQ(digests.sha256, sha256Hex(same));
  EXPECT_EQ(digests.crc32c, crc32cBase64(crc32c(0, same)));
  EXPECT_EQ(digestBody({{content}}, true, true, {})->sha256,
            digestBody({{{}, fd_.get(), 0, content_.size()}}, true, true, {})->sha256);
}

TEST_F(DigestBody, MakesOnlyWhatIsAskedFor) {
  EXPECT_EQ(digestBody({{"x"}}, true, false, {})->crc32c, "");
  EXPECT_EQ(digestBody({{"x"}}, false, true, {})->sha256, "");
  EXPECT_EQ(digestBody({}, true, true, {})->sha256, sha256Hex(""));
  EXPECT_EQ(digestBody({}, true, true, {})->crc32c, "AAAAAA==");
}

TEST_F(DigestBody, SaysWhyItCannot) {
  const auto code = [&](const net::BodyPiece& piece, const std::stop_token& stop = {}) {
    return digestBody({piece}, true, true, stop).error().code;
  };
  EXPECT_EQ(code({{}, fd_.get(), 0, content_.size() + 1}), ErrorCode::failed_precondition);
  EXPECT_EQ(code({{}, fd_.get(), content_.size(), 1}), ErrorCode::failed_precondition);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code({{}, fd_.get(), 0, 10}, stop.get_token()), ErrorCode::cancelled);
  const os::Fd directory(::open(directory_.path().c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(digestBody({{{}, directory.get(), 0, 1}}, true, true, {}));
}

}  // namespace
}  // namespace buoy::objstore::s3
