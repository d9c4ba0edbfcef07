#include "agent/ec2_notice.h"

#include <gtest/gtest.h>

#include "aws/test_support.h"
#include "os/system_clock.h"

namespace buoy::agent {
namespace {

constexpr Duration kLimit = std::chrono::seconds{60};

// An instance's metadata service: paths and what stands there.
class Metadata {
 public:
  Metadata()
      : service_([this](const net::Request& request) {
          if (request.method == "PUT") return aws::answerOf("TOKEN");
          const auto paths = paths_.lock();
          const auto found = paths->find(request.path);
          return found == paths->end() ? aws::answerOf("", 404) : aws::answerOf(found->second);
        }) {}
  void put(const std::string& path, const std::string& text) {
    (*paths_.lock())["/latest/meta-data/" + path] = text;
  }
  aws::MetadataOptions options() const {
    aws::MetadataOptions options;
    options.endpoint = service_.url();
    options.allow_v1 = false;
    options.timeout = std::chrono::seconds{10};
    return options;
  }

 private:
  Synchronized<std::map<std::string, std::string>> paths_;
  aws::Service service_;
};

class Ec2NoticeTest : public ::testing::Test {
 protected:
  void watch() {
    source_ = std::make_unique<Ec2NoticeSource>(
        loop_,
        Ec2NoticeSource::Options{
            .service = metadata_.options(), .every = std::chrono::milliseconds{5}, .rebalance_every = 2},
        [this](Time deadline) { notices_.push_back(deadline); }, [this] { ++rebalances_; });
  }
  bool runUntil(const std::function<bool()>& reached) {
    const Time end = clock_.now() + kLimit;
    while (!reached() && clock_.now() < end) loop_.runOnce(std::chrono::milliseconds{20});
    return reached();
  }

  const os::SystemClock clock_;
  Metadata metadata_;
  os::EventLoop loop_{clock_};
  std::vector<Time> notices_;
  int rebalances_ = 0;
  std::unique_ptr<Ec2NoticeSource> source_;
};

TEST_F(Ec2NoticeTest, TellsANoticeOnceAndAgainWhenItChanges) {
  watch();
  metadata_.put("spot/instance-action", R"({"action": "terminate", "time": "2026-11-21T12:02:00Z"})");
  ASSERT_TRUE(runUntil([&] { return !notices_.empty(); }));
  EXPECT_EQ(notices_.back(), *parseTime("2026-11-21T12:02:00Z"));
  metadata_.put("spot/instance-action", R"({"action": "terminate", "time": "2026-11-21T12:01:00Z"})");
  ASSERT_TRUE(runUntil([&] { return notices_.size() > 1; }));
  EXPECT_EQ(notices_.back(), *parseTime("2026-11-21T12:01:00Z"));
  EXPECT_EQ(notices_.size(), 2u);
}

TEST_F(Ec2NoticeTest, TellsARecommendationOnce) {
  metadata_.put("events/recommendations/rebalance", R"({"noticeTime": "2026-11-21T12:00:00Z"})");
  watch();
  ASSERT_TRUE(runUntil([&] { return rebalances_ > 0; }));
  metadata_.put("spot/instance-action", R"({"action": "terminate", "time": "2026-11-21T12:02:00Z"})");
  ASSERT_TRUE(runUntil([&] { return !notices_.empty(); }));
  EXPECT_EQ(rebalances_, 1);
}

TEST_F(Ec2NoticeTest, EndsWhileTheServiceIsAway) {
  aws::MetadataOptions nobody;
  nobody.endpoint = "http://127.0.0.1:1";
  Ec2NoticeSource source(
      loop_, {.service = nobody}, [](Time) {}, [] {});
}

TEST(ParseInstanceAction, TakesTheTimeOfAnyAction) {
  EXPECT_EQ(parseInstanceAction(R"({"action": "stop", "time": "2026-11-21T12:02:00Z"})").value(),
            *parseTime("2026-11-21T12:02:00Z"));
  for (const char* other : {"", "[]", "{}", R"({"time": 5})", R"({"time": "soon"})", "<html>"})
    EXPECT_FALSE(parseInstanceAction(other)) << other;
}

}  // namespace
}  // namespace buoy::agent
