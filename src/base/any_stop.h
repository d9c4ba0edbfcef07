#pragma once

#include <functional>
#include <initializer_list>
#include <list>
#include <stop_token>

namespace buoy {

// Stops when one of several does. Threads: any; made and ended by one.
class AnyStop {
 public:
  AnyStop(std::initializer_list<std::stop_token> tokens) {
    for (const std::stop_token& token : tokens)
      forward_.emplace_back(token, [this] { source_.request_stop(); });
  }
  AnyStop(const AnyStop&) = delete;
  AnyStop& operator=(const AnyStop&) = delete;
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::list<std::stop_callback<std::function<void()>>> forward_;  // last: they use the source
};

}  // namespace buoy
