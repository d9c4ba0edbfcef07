#include "os/copy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "os/files.h"

namespace buoy::os {
namespace {

class CopyTest : public ::testing::Test {
 protected:
  TempDir dir_ = TempDir::create("buoy-copy-").value();
  Fd file(const std::string& name, std::string_view content = "") {
    Fd fd = openFile(dir_.path() + "/" + name, O_RDWR | O_CREAT | O_TRUNC).value();
    EXPECT_TRUE(writeAll(fd.get(), content));
    return fd;
  }
  std::string content(const std::string& name) { return readFile(dir_.path() + "/" + name).value(); }
};

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * i) >> 3);
  return text;
}

TEST_F(CopyTest, CopiesByTheKernelAndThroughAnObserver) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{2'000'003}}) {
    const std::string text = pattern(size);
    const Fd from = file("from", text);
    EXPECT_EQ(copyContent(from.get(), file("kernel").get(), size).value(), size);
    EXPECT_EQ(content("kernel"), text);
    std::string seen;
    const auto see = [&](std::string_view piece) {
      seen += piece;
      return true;
    };
    EXPECT_EQ(copyContent(from.get(), file("seen").get(), size, see).value(), size);
    EXPECT_EQ(content("seen"), text);
    EXPECT_EQ(seen, text);
  }
}

TEST_F(CopyTest, StopsAtTheSizeAndAtTheEnd) {
  const Fd from = file("from", "0123456789");
  EXPECT_EQ(copyContent(from.get(), file("to").get(), 4).value(), 4u);
  EXPECT_EQ(content("to"), "0123");
  EXPECT_EQ(copyContent(from.get(), file("to").get(), 100).value(), 10u);
  EXPECT_EQ(readPieces(from.get(), 100, [](std::string_view) { return true; }).value(), 10u);
}

TEST_F(CopyTest, AnObserverCanStop) {
  const Fd from = file("from", pattern(3'000'000));
  const auto stopped =
      copyContent(from.get(), file("to").get(), 3'000'000, [](std::string_view) { return false; });
  EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

TEST_F(CopyTest, HolesStayHolesAndTheirSizeIsKept) {
  const Fd from = file("from", "begin");
  ASSERT_EQ(::ftruncate(from.get(), 8 << 20), 0);
  const Fd to = file("to");
  std::uint64_t seen = 0;
  const auto see = [&](std::string_view piece) {
    seen += piece.size();
    return true;
  };
  EXPECT_EQ(copyContent(from.get(), to.get(), 8 << 20, see).value(), 8u << 20);
  EXPECT_EQ(seen, 8u << 20);
  struct stat info {};
  ASSERT_EQ(::fstat(to.get(), &info), 0);
  EXPECT_EQ(info.st_size, 8 << 20);
  EXPECT_LT(info.st_blocks * 512, 2 << 20);
}

TEST_F(CopyTest, AReflinkIsACopyOrNothing) {
  const Fd from = file("from", "content");
  const Fd to = file("to");
  const bool shared = reflink(from.get(), to.get());
  EXPECT_EQ(content("to"), shared ? "content" : "");
}

TEST_F(CopyTest, KnowsThatAWriterIsThere) {
  file("a", "x");
  const Fd reader = openFile(dir_.path() + "/a", O_RDONLY).value();
  if (!certainlyNotBeingWritten(reader.get())) GTEST_SKIP() << "this file system cannot tell";
  {
    const Fd writer = openFile(dir_.path() + "/a", O_WRONLY).value();
    EXPECT_FALSE(certainlyNotBeingWritten(reader.get()));
  }
  EXPECT_TRUE(certainlyNotBeingWritten(reader.get()));
}

}  // namespace
}  // namespace buoy::os
