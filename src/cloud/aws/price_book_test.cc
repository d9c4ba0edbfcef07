#include "cloud/aws/price_book.h"

#include <gtest/gtest.h>

namespace buoy::cloud::aws {
namespace {

using namespace std::chrono_literals;

const Time kStart{std::chrono::hours{500'000}};

SpotPrice priceOf(const char* zone, std::int64_t nano_usd, Duration since) {
  SpotPrice price;
  price.type = "m5.large";
  price.zone = zone;
  price.price = {nano_usd};
  price.since = kStart + since;
  return price;
}

std::int64_t at(const PriceBook& book, Duration time) {
  return book.at("m5.large", "a", kStart + time)->price.nano_usd;
}

TEST(PriceBook, KnowsWhatWasInForce) {
  PriceBook book;
  EXPECT_EQ(book.at("m5.large", "a", kStart), nullptr);
  book.note({priceOf("a", 30, 2h), priceOf("a", 10, 0h), priceOf("b", 5, 0h)});
  book.note({priceOf("a", 20, 1h)});
  EXPECT_EQ(at(book, -1h), 10) << "nothing earlier is known";
  EXPECT_EQ(at(book, 0h), 10);
  EXPECT_EQ(at(book, 90min), 20);
  EXPECT_EQ(at(book, 5h), 30);
  EXPECT_EQ(book.of("m5.large", "a")->price.nano_usd, 30);
  EXPECT_EQ(book.lowest("m5.large", {})->price.nano_usd, 5);
  EXPECT_EQ(book.lowest("m5.large", {"a"})->price.nano_usd, 30);
  EXPECT_EQ(book.lowest("other", {}), nullptr);
}

TEST(PriceBook, KeepsTheLatest) {
  PriceBook book;
  for (int hour = 0; hour < 100; ++hour) book.note({priceOf("a", hour, std::chrono::hours{hour})});
  EXPECT_EQ(at(book, 99h), 99);
  EXPECT_EQ(at(book, 90h), 90);
  EXPECT_GT(at(book, 0h), 0);
}

TEST(HourOf, BeginsWithTheMachine) {
  EXPECT_EQ(hourOf(kStart, kStart - 1s), kStart);
  EXPECT_EQ(hourOf(kStart, kStart + 59min), kStart);
  EXPECT_EQ(hourOf(kStart, kStart + 60min), kStart + 1h);
  EXPECT_EQ(hourOf(kStart, kStart + 150min), kStart + 2h);
}

}  // namespace
}  // namespace buoy::cloud::aws
