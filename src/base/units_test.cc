#include "base/units.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

#include "base/clock.h"

namespace buoy {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, TakesWhatPeopleWrite) {
  EXPECT_EQ(parseDuration("90s"), Duration{90s});
  EXPECT_EQ(parseDuration("2h30m"), Duration{150min});
  EXPECT_EQ(parseDuration("2h 30m"), Duration{150min});
  EXPECT_EQ(parseDuration("250ms"), Duration{250ms});
  EXPECT_EQ(parseDuration("7us"), Duration{7us});
  EXPECT_EQ(parseDuration("1.5h"), Duration{90min});
  EXPECT_EQ(parseDuration("1d"), Duration{24h});
  EXPECT_EQ(parseDuration("45"), Duration{45s});
  EXPECT_EQ(parseDuration("0.2"), Duration{200ms});
  EXPECT_EQ(parseDuration("0"), Duration{0s});
  EXPECT_EQ(parseDuration("3650d"), Duration{24h * 3650});
}

TEST(ParseDuration, RefusesTheRestWithAReason) {
  const auto why = [](std::string_view text) { return parseDuration(text).error().message; };
  for (const char* text : {"", "s", "abc", "1x", "1h30", "1h -5m", "-1s", "inf", "nan", "1e9", "3651d",
                           "99999999999999999999d", "1s garbage"}) {
    const auto parsed = parseDuration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(parsed.error().message.find("90s"), std::string::npos) << "gives an example";
  }
  EXPECT_NE(why("-1s").find("is negative"), std::string::npos);
  EXPECT_NE(why("nan").find("is not a duration"), std::string::npos);
  EXPECT_NE(why("3651d").find("ten years"), std::string::npos);
  EXPECT_NE(why("5min").find("no known unit"), std::string::npos);
  EXPECT_LT(why(std::string(1 << 20, 'x')).size(), 300u);
}

TEST(FormatDuration, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(formatDuration(Duration{0}), "0s");
  EXPECT_EQ(formatDuration(Duration{7}), "7us");
  EXPECT_EQ(formatDuration(250ms), "250ms");
  EXPECT_EQ(formatDuration(1'499ms), "1.4s");
  EXPECT_EQ(formatDuration(59'999ms), "59.9s");
  EXPECT_EQ(formatDuration(61s), "1m 1s");
  EXPECT_EQ(formatDuration(150min), "2h 30m");
  EXPECT_EQ(formatDuration(49h), "2d 1h");
  EXPECT_EQ(formatDuration(-61s), "-1m 1s");
}

TEST(FormatTime, IsRfc3339InUtc) {
  EXPECT_EQ(formatTime(Time{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(formatTime(Time{1'795'224'123'123'456us}), "2026-11-21T01:22:03.123Z");
}

TEST(ParseTime, TakesFractionsOfAnyLength) {
  EXPECT_EQ(parseTime("1970-01-01T00:00:01Z"), Time{1s});
  EXPECT_EQ(parseTime("1970-01-01T00:00:00.5Z"), Time{500ms});
  EXPECT_EQ(parseTime("1970-01-01T00:00:00.000007999Z"), Time{7us});
  EXPECT_EQ(parseTime("1970-01-01T02:00:01+02:00"), Time{1s});
  EXPECT_EQ(parseTime("1969-12-31T18:30:00.5-05:30"), Time{500ms});
  EXPECT_EQ(parseTime("2024-02-29T23:59:60Z"), parseTime("2024-03-01T00:00:00Z"));
}

TEST(ParseTime, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "2026-11-21", "2026-11-21T01:22:03", "2026-11-21T01:22:03+01", "2026-11-21T01:22:03+24:00",
        "2026-11-21T01:22:03+01:60", "2026-11-21T01:22:03+01:00Z", "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T01:22:03.Z", " 2026-11-21T01:22:03Z",
        "+026-11-21T01:22:03Z", "2026-1-21T01:22:03Z", "2026-11-21T01:22:03Z "}) {
    EXPECT_FALSE(parseTime(text)) << text;
  }
}

RC_GTEST_PROP(ParseTime, ReadsWhatFormatTimeWrites, ()) {
  const auto millis = *rc::gen::inRange<std::int64_t>(0, 253'402'300'799'999);  // to the year 9999
  const Time time{std::chrono::milliseconds{millis}};
  RC_ASSERT(parseTime(formatTime(time)).value() == time);
}

TEST(ParseByteCount, TakesBinaryAndDecimalUnits) {
  EXPECT_EQ(parseByteCount("4096"), ByteCount{4096});
  EXPECT_EQ(parseByteCount("1GiB"), ByteCount{1u << 30});
  EXPECT_EQ(parseByteCount("1Gi"), ByteCount{1u << 30});
  EXPECT_EQ(parseByteCount("512MB"), ByteCount{512'000'000});
  EXPECT_EQ(parseByteCount("1.5 KiB"), ByteCount{1536});
  EXPECT_EQ(parseByteCount("2k"), ByteCount{2000});
  EXPECT_EQ(parseByteCount("7B"), ByteCount{7});
  EXPECT_EQ(parseByteCount("1EiB"), ByteCount{1ull << 60});
}

TEST(ParseByteCount, RefusesTheRestWithAReason) {
  for (const char* text :
       {"", "GiB", "-1GiB", "1XiB", "1GiBs", "99999999999TiB", "1.1EiB", "nan", "inf", "1e3"}) {
    ASSERT_FALSE(parseByteCount(text)) << text;
  }
  EXPECT_NE(parseByteCount("-1GiB").error().message.find("is negative"), std::string::npos);
  EXPECT_NE(parseByteCount("2EiB").error().message.find("more than 1 EiB"), std::string::npos);
}

TEST(FormatByteCount, UsesTheUnitThatFits) {
  EXPECT_EQ(formatByteCount(ByteCount{0}), "0 B");
  EXPECT_EQ(formatByteCount(ByteCount{1023}), "1023 B");
  EXPECT_EQ(formatByteCount(ByteCount{1536}), "1.5 KiB");
  EXPECT_EQ(formatByteCount(ByteCount{(1u << 20) - 1}), "1.0 MiB");
  EXPECT_EQ(formatByteCount(ByteCount{1ull << 60}), "1.0 EiB");
}

TEST(Cost, IsExactAndRoundsHalfUp) {
  EXPECT_EQ(cost(PricePerHour{1'000'000'000}, 1h), Money{1'000'000'000});
  EXPECT_EQ(cost(PricePerHour{3600}, 1s), Money{1});
  EXPECT_EQ(cost(PricePerHour{1800}, 1s), Money{1});
  EXPECT_EQ(cost(PricePerHour{1799}, 1s), Money{0});
  EXPECT_EQ(cost(PricePerHour{1'000'000'000'000'000}, 24h * 365), Money{8'760'000'000'000'000'000});
}

TEST(FormatMoney, ShowsMoreDigitsBelowADollar) {
  EXPECT_EQ(formatMoney(Money{}), "$0.00");
  EXPECT_EQ(formatMoney(Money{3'100'000}), "$0.0031");
  EXPECT_EQ(formatMoney(Money{12'400'000'000}), "$12.40");
  EXPECT_EQ(formatMoney(Money{999'999'999}), "$1.00");
  EXPECT_EQ(formatMoney(Money{-2'500'000'000}), "-$2.50");
}

TEST(FormatMoney, ALittleIsNotNothing) {
  EXPECT_EQ(formatMoney(Money{1}), "<$0.0001");
  EXPECT_EQ(formatMoney(Money{49'999}), "<$0.0001");
  EXPECT_EQ(formatMoney(Money{50'000}), "$0.0001");
  EXPECT_EQ(formatMoney(Money{-1}), ">-$0.0001");
  EXPECT_EQ(formatMoney(Money{-50'000}), "-$0.0001");
}

TEST(PriceFromUsd, RefusesWhatIsNoPrice) {
  EXPECT_EQ(priceFromUsd(0.30), PricePerHour{300'000'000});
  EXPECT_EQ(priceFromUsd(0), PricePerHour{});
  for (const double bad : {-0.01, 1.1e6, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_FALSE(priceFromUsd(bad)) << bad;
  }
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock(Time{5s});
  EXPECT_EQ(clock.now(), Time{5s});
  clock.advance(250ms);
  EXPECT_EQ(clock.now(), Time{5'250ms});
}

}  // namespace
}  // namespace buoy
