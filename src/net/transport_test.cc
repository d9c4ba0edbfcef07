#include "net/transport.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "os/files.h"

namespace buoy::net {
namespace {

TEST(PlainTransport, APeerThatHasGoneIsAnErrorAndNoSignal) {
  int pair[2] = {};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const auto transport = makePlainTransport(os::Fd(pair[0]));
  os::Fd(pair[1]).reset();
  const auto file = os::openFile("/proc/self/exe", O_RDONLY);
  ASSERT_TRUE(file);
  for (int tries = 0; tries < 2; ++tries) {
    const IoStep step = transport->sendFile(file->get(), 0, 100);
    EXPECT_EQ(step.kind, IoStep::Kind::failed);
    EXPECT_EQ(step.error.code, ErrorCode::unavailable);
  }
}

}  // namespace
}  // namespace buoy::net
