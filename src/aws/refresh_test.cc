#include "aws/refresh.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace buoy::aws {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kLongEnough = seconds{30};

// What the sources below share with the test.
struct Script {
  std::mutex mutex;
  std::condition_variable changed;
  int asked = 0;
  bool held = false;  // fetch() waits until this is false
  bool fails = false;
  Duration life = minutes{60};

  void waitAsked(int count) {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, kLongEnough, [&] { return asked >= count; }));
  }
  void release() {
    const std::lock_guard lock(mutex);
    held = false;
    changed.notify_all();
  }
};

class ScriptedSource final : public CredentialsSource {
 public:
  ScriptedSource(Script& script, const Clock& clock) : script_(script), clock_(clock) {}
  Result<Credentials> fetch() override {
    std::unique_lock lock(script_.mutex);
    const std::string number = std::to_string(++script_.asked);
    script_.changed.notify_all();
    EXPECT_TRUE(script_.changed.wait_for(lock, kLongEnough, [&] { return !script_.held; }));
    if (script_.fails) return fail(ErrorCode::unavailable, "try " + number, true);
    return Credentials{"key" + number, "secret", "", clock_.now() + script_.life};
  }

 private:
  Script& script_;
  const Clock& clock_;
};

class Refresh : public testing::Test {
 protected:
  std::string key() {
    const auto credentials = provider->get();
    return credentials ? credentials->access_key : credentials.error().message;
  }
  FakeClock clock;
  Script script;
  std::shared_ptr<CredentialsProvider> provider =
      keepCredentials(std::make_unique<ScriptedSource>(script, clock), clock);
};

TEST_F(Refresh, AsksForNothingBeforeSomebodyWantsIt) {
  EXPECT_EQ(script.asked, 0);
}

TEST_F(Refresh, FetchesFiveMinutesBeforeTheEnd) {
  EXPECT_EQ(key(), "key1");
  clock.advance(minutes{55} - seconds{1});
  EXPECT_EQ(key(), "key1");
  clock.advance(seconds{1});
  EXPECT_EQ(key(), "key2");
}

TEST_F(Refresh, FetchesShortLivedOnesAtHalfTheirLife) {
  script.life = minutes{4};
  EXPECT_EQ(key(), "key1");
  clock.advance(minutes{2} - seconds{1});
  EXPECT_EQ(key(), "key1");
  clock.advance(seconds{1});
  EXPECT_EQ(key(), "key2");
}

TEST_F(Refresh, KeepsTheOldOnesWhileFetchingFails) {
  EXPECT_EQ(key(), "key1");
  script.fails = true;
  clock.advance(minutes{56});
  EXPECT_EQ(key(), "key1");
  EXPECT_EQ(key(), "key1");
  EXPECT_EQ(script.asked, 2) << "not asked again at once";
  clock.advance(kRefreshRetry);
  EXPECT_EQ(key(), "key1");
  EXPECT_EQ(script.asked, 3);
  clock.advance(minutes{4});
  EXPECT_EQ(key(), "try 4") << "they have expired";
  script.fails = false;
  EXPECT_EQ(key(), "key5");
}

TEST_F(Refresh, FetchesOthersWhenTheServerRefusesThem) {
  const Credentials first = provider->get().value();
  provider->reject(first);
  EXPECT_EQ(key(), "key2");
  provider->reject(first);
  EXPECT_EQ(key(), "key2") << "another thread's late news";
}

TEST_F(Refresh, DoesNotGiveWhatHasExpiredAlready) {
  script.life = -seconds{1};
  const auto credentials = provider->get();
  ASSERT_FALSE(credentials);
  EXPECT_EQ(credentials.error().code, ErrorCode::unauthenticated);
}

TEST_F(Refresh, LetsOneThreadAskForAll) {
  script.held = true;
  std::vector<std::string> keys(8);
  {
    std::vector<std::jthread> threads;
    for (std::string& each : keys) threads.emplace_back([&] { each = key(); });
    script.waitAsked(1);
    script.release();
  }
  EXPECT_EQ(keys, std::vector<std::string>(8, "key1"));
  EXPECT_EQ(script.asked, 1);
}

TEST_F(Refresh, NobodyWaitsWhileTheOldOnesAreGood) {
  EXPECT_EQ(key(), "key1");
  clock.advance(minutes{56});
  script.held = true;
  std::string fetched;
  std::jthread fetcher([&] { fetched = key(); });
  script.waitAsked(2);
  EXPECT_EQ(key(), "key1");
  script.release();
  fetcher.join();
  EXPECT_EQ(fetched, "key2");
}

TEST_F(Refresh, TellsAllWhoWaitedThatItFailed) {
  script.held = true;
  script.fails = true;
  std::vector<std::string> answers(4);
  {
    std::vector<std::jthread> threads;
    for (std::string& each : answers) threads.emplace_back([&] { each = key(); });
    script.waitAsked(1);
    script.release();
  }
  for (const std::string& answer : answers) EXPECT_EQ(answer.substr(0, 4), "try ");
}

}  // namespace
}  // namespace buoy::aws
