#include "objstore/s3/s3_store.h"

#include <gtest/gtest.h>

#include <atomic>

#include "objstore/s3/test_server.h"

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
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace buoy::objstore::s3
