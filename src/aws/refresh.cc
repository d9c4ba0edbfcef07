#include "aws/refresh.h"

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/synchronized.h"
#include "os/log.h"

namespace buoy::aws {
namespace {

// Longer than any source takes.
constexpr auto kLongestFetch = std::chrono::minutes{3};

struct State {
  std::optional<Credentials> kept;
  Time refresh_at;  // of `kept`
  bool fetching = false;
  std::uint64_t fetches = 0;    // that have ended
  std::optional<Error> failed;  // the last one of them

  bool usable(Time now) const { return kept && (!kept->expires || now < *kept->expires); }
};

class Keeper final : public CredentialsProvider {
 public:
  Keeper(std::unique_ptr<CredentialsSource> source, const Clock& clock)
      : source_(std::move(source)), clock_(clock) {}

  Result<Credentials> get() override {
    {
      auto state = state_.lock();
      const Time now = clock_.now();
      if (state->usable(now) && (state->fetching || now < state->refresh_at)) return *state->kept;
      if (state->fetching) return await(state);
      state->fetching = true;
    }
    auto fetched = source_->fetch();
    if (!fetched && fetched.error().code == ErrorCode::deadline_exceeded) {
      fetched = fail(ErrorCode::unavailable, std::move(fetched).error().message, true);
    }
    std::string failure = fetched ? std::string() : fetched.error().message;
    auto result = finish(std::move(fetched));
    if (result && !failure.empty()) {
      os::log(os::LogLevel::warn, "aws_credentials_not_refreshed", {{"error", std::move(failure)}});
    }
    return result;
  }

  void reject(const Credentials& used) override {
    const auto state = state_.lock();
    if (state->kept == used) state->kept.reset();
  }

 private:
  Result<Credentials> await(Synchronized<State>::Guard& state) {
    const std::uint64_t seen = state->fetches;
    if (!fetched_.wait_for(state.mutexLock(), kLongestFetch, [&] { return state->fetches != seen; })) {
      return fail(ErrorCode::unavailable, "fetching AWS credentials takes too long; try again", true);
    }
    if (state->kept) return *state->kept;
    if (state->failed) return fail(*state->failed);
    return fail(ErrorCode::unavailable, "the AWS credentials were refused as they came; try again", true);
  }

  Result<Credentials> finish(Result<Credentials> fetched) {
    const auto state = state_.lock();
    auto result = take(*state, std::move(fetched));
    state->fetching = false;
    ++state->fetches;
    state->failed = result ? std::nullopt : std::optional<Error>(result.error());
    fetched_.notify_all();
    return result;
  }

  // What get() returns when `fetched` is what came of asking.
  Result<Credentials> take(State& state, Result<Credentials> fetched) const {
    const Time now = clock_.now();
    if (fetched && fetched->expires && *fetched->expires <= now) {
      fetched = fail(ErrorCode::unauthenticated,
                     "the AWS credentials expired at " + formatTime(*fetched->expires) +
                         "; renew them where they come from, or set this machine's clock right");
    }
    if (fetched) {
      state.kept = std::move(*fetched);
      state.refresh_at = Time::max();
      if (state.kept->expires) {
        const Duration life = *state.kept->expires - now;
        state.refresh_at = *state.kept->expires - std::min(kRefreshAhead, life / 2);
      }
      return *state.kept;
    }
    if (!state.usable(now)) {
      state.kept.reset();
      return fetched;
    }
    state.refresh_at = now + kRefreshRetry;
    return *state.kept;
  }

  const std::unique_ptr<CredentialsSource> source_;
  const Clock& clock_;
  Synchronized<State> state_;
  std::condition_variable fetched_;
};

}  // namespace

std::shared_ptr<CredentialsProvider> keepCredentials(std::unique_ptr<CredentialsSource> source,
                                                     const Clock& clock) {
  return std::make_shared<Keeper>(std::move(source), clock);
}

}  // namespace buoy::aws
