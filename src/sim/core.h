#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/id_table.h"
#include "sim/event_queue.h"
#include "sim/random.h"

// What the parts of a simulation share.
namespace buoy::sim {

// Money without rounding: price in nano-dollars an hour × microseconds.
__extension__ typedef __int128 ExactCost;

// The network and the services at this moment, as the scenario's faults have left them. A time is the end of
// a fault; it is over when `now` has come to it.
struct Weather {
  Time delayed_until{};
  Duration delay{};  // the most that a message takes meanwhile
  Time lossy_until{};
  std::uint32_t lossy = 2;  // one message in so many is lost meanwhile
  Time doubled_until{};     // messages and calls arrive twice
  Time store_out_until{};   // the checkpoint store does not answer
};

struct Core {
  explicit Core(std::uint64_t the_seed) : seed(the_seed), chance(mix(the_seed, 0x6e6574)) {}

  void problem(std::string text) {
    if (tell) tell("PROBLEM: " + text);
    problems.push_back(std::move(text));
  }
  // A line for whoever watches a failing run; `make` is called only then.
  template <class Make>
  void say(Make make) {
    if (tell) tell(make());
  }
  bool storeAnswers() const { return now >= weather.store_out_until; }

  const std::uint64_t seed;
  Time now{};
  EventQueue queue;
  Weather weather;
  Random chance;  // of the fate of messages
  std::vector<std::string> problems;
  std::function<void(const std::string&)> tell;
};

// What is under way: kept until it arrives, its place used again afterwards.
template <class T>
class Letters {
 public:
  std::uint64_t put(T letter) {
    if (free_.empty()) {
      letters_.push_back(std::move(letter));
      return letters_.size() - 1;
    }
    const std::uint64_t place = free_.back();
    free_.pop_back();
    letters_[place] = std::move(letter);
    return place;
  }
  T take(std::uint64_t place) {
    free_.push_back(place);
    return std::move(letters_[place]);
  }

 private:
  std::vector<T> letters_;
  std::vector<std::uint64_t> free_;
};

}  // namespace buoy::sim
