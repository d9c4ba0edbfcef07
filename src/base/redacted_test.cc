#include "base/redacted.h"

#include <gtest/gtest.h>

#include <sstream>
#include <type_traits>

namespace buoy {
namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};

static_assert(!std::is_convertible_v<Redacted, std::string> &&
              !std::is_convertible_v<Redacted, std::string_view>);
static_assert(!Printable<Redacted>);

TEST(Redacted, IsShownOnlyToWhoeverSaysSo) {
  const Redacted secret = "hunter2";
  EXPECT_EQ(toString(secret), "(secret)");
  EXPECT_EQ(secret.reveal(), "hunter2");
  EXPECT_EQ(secret, Redacted(std::string("hunter2")));
  EXPECT_NE(secret, Redacted());
  EXPECT_TRUE(Redacted().empty());
  EXPECT_EQ(toString(Redacted()), "");
}

}  // namespace
}  // namespace buoy
