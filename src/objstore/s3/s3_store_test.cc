#include "objstore/s3/s3_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>

#include "objstore/s3/test_server.h"
#include "os/files.h"

namespace buoy::objstore::s3 {
namespace {

TEST(S3Store, UntilToldToStopIsTheSameStore) {
  std::stop_source stop, of_one;
  std::atomic<int> asked = 0;
  TestServer server([&](const net::Request&) {
    if (++asked == 1) return success("content");
    stop.request_stop();
    return refusal(503, "SlowDown");  // and there is patience for minutes
  });
  S3Store store(clientOf(server), {"buck", "root"}, {});
  const auto until = store.until(stop.get_token());
  EXPECT_EQ(until->uri(), store.uri());
  EXPECT_EQ(until->get("k", 100).value(), "content");
  EXPECT_EQ(until->head("k").error().code, ErrorCode::cancelled);
  EXPECT_EQ(until->list("", "", 10).error().code, ErrorCode::cancelled);
  EXPECT_EQ(until->putIfAbsent("k", "x").error().code, ErrorCode::cancelled);
  EXPECT_EQ(until->putPieces("k", {{"x"}}, of_one.get_token()).error().code, ErrorCode::cancelled);
  const auto file = os::openFile("/proc/self/exe", O_RDONLY);
  EXPECT_EQ(until->putFile("k", file->get(), 1, nullptr).error().code, ErrorCode::cancelled);
  EXPECT_EQ(asked, 2);
}

TEST(S3Store, AStopEndsAFileThatIsOnItsWay) {
  std::stop_source stop;
  TestServer server([&](const net::Request&) {
    stop.request_stop();
    return refusal(503, "SlowDown");
  });
  S3Store store(clientOf(server), {"buck", "root"}, {});
  const auto file = os::openFile("/proc/self/exe", O_RDONLY);
  struct stat info {};
  ASSERT_EQ(::fstat(file->get(), &info), 0);
  const auto until = store.until(stop.get_token());
  const Status put = until->putFile("k", file->get(), static_cast<std::uint64_t>(info.st_size), nullptr);
  EXPECT_EQ(put.error().code, ErrorCode::cancelled);
  EXPECT_EQ(server.requests().size(), 1u);
}

}  // namespace
}  // namespace buoy::objstore::s3
