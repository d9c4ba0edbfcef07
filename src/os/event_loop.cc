#include "os/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/result.h"

namespace buoy::os {
namespace {

// The longest sleep; also keeps the conversion to epoll's milliseconds in range.
constexpr Duration kForever = std::chrono::hours{1};

}  // namespace

EventLoop::EventLoop(const Clock& clock)
    : clock_(clock), epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  BUOY_CHECK(epoll_ && wake_);
  watch(wake_.get(), [this] {
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
  });
}

EventLoop::~EventLoop() = default;

void EventLoop::watch(int fd, Callback on_readable) {
  const bool known = watched_.contains(fd);
  watched_[fd] = std::make_shared<Callback>(std::move(on_readable));
  if (known) return;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  BUOY_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

void EventLoop::unwatch(int fd) {
  if (watched_.erase(fd) != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::after(Duration delay, Callback callback) {
  const TimerId id = ++last_timer_;
  const Time due = clock_.now() + std::max(delay, Duration{0});
  timers_.emplace(std::pair{due, id}, std::move(callback));
  due_.emplace(id, due);
  return id;
}

void EventLoop::cancel(TimerId timer) {
  const auto found = due_.find(timer);
  if (found == due_.end()) return;
  timers_.erase({found->second, timer});
  due_.erase(found);
}

void EventLoop::post(Callback callback) {
  posted_.withLock([&](Posted& posted) { posted.callbacks.push_back(std::move(callback)); });
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  posted_.withLock([](Posted& posted) { posted.stop = true; });
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void EventLoop::run() {
  while (!posted_.withLock([](Posted& posted) { return std::exchange(posted.stop, false); }))
    runOnce(kForever);
}

void EventLoop::runOnce(Duration limit) {
  // Rounded up: a loop woken just before its timer would spin until the timer is due.
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(untilNextTimer(std::min(limit, kForever)));
  std::array<epoll_event, 32> ready{};
  const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()),
                                 static_cast<int>(wait.count()));
  for (int i = 0; i < count; ++i) {
    // Looked up afresh: an earlier callback of this round may have unwatched it.
    const auto found = watched_.find(ready[static_cast<std::size_t>(i)].data.fd);
    if (found == watched_.end()) continue;
    const std::shared_ptr<Callback> callback = found->second;
    (*callback)();
  }
  runPosted();
  runTimers();
}

void EventLoop::runPosted() {
  const auto callbacks = posted_.withLock([](Posted& posted) { return std::exchange(posted.callbacks, {}); });
  for (const Callback& callback : callbacks) callback();
}

void EventLoop::runTimers() {
  const Time now = clock_.now();
  // Only those set before this round: a timer that sets itself again with no delay must not starve the
  // descriptors.
  const TimerId newest = last_timer_;
  for (auto next = timers_.begin(); next != timers_.end() && next->first.first <= now;) {
    if (next->first.second > newest) {
      ++next;
      continue;
    }
    const Callback callback = std::move(next->second);
    due_.erase(next->first.second);
    timers_.erase(next);
    callback();
    next = timers_.begin();
  }
}

Duration EventLoop::untilNextTimer(Duration limit) const {
  if (timers_.empty()) return limit;
  return std::clamp(timers_.begin()->first.first - clock_.now(), Duration{0}, limit);
}

}  // namespace buoy::os
