#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "sim/trace.h"

// The spot market of a local pool (docs/local-pool.md). Pure: what it will do is known from its settings, a
// machine's place in the pool and the time. No I/O, no clock, no threads.
namespace buoy::cloud::local {

// What will happen to a machine: `after` its start comes the notice, and that much later its end; without a
// notice it ends at `after`.
struct Appointment {
  Duration after{};
  std::optional<Duration> notice;
  bool operator==(const Appointment&) const = default;
};

// At most one of script, mean_uptime and trace is used, in this order; without any no machine is ever taken.
struct Market {
  std::vector<Appointment> script;  // the k-th spot machine of the pool; beyond its end none is taken
  bool scripted = false;            // a script was given, perhaps an empty one
  Duration mean_uptime{};           // exponential; zero: not used
  std::uint64_t seed = 1;
  std::string trace;               // absolute path of a recorded market
  double speed = 1;                // trace seconds per second
  std::optional<Duration> notice;  // where the script does not say; nullopt: SIGKILL without a word

  bool usesTrace() const { return !scripted && mean_uptime == Duration{} && !trace.empty(); }
};

// From a pool's provider_config (as api/config.h writes it): {"script": [{"after": 6, "notice": 2}, {"after":
// 8, "notice": null}], "mean_uptime": 600, "seed": 7, "trace": "/abs/file", "speed": 60, "notice": 30}; all
// optional, durations in seconds; null is "without notice", a script's entry that does not say takes the
// market's. Empty text: a calm market. invalid_argument names the field.
Result<Market> parseMarket(std::string_view provider_config);

// By script or mean uptime; `order` counts the pool's spot machines from 1. nullopt: never taken.
std::optional<Appointment> appointmentFor(const Market& market, std::uint64_t order, MachineId machine);

// A trace played from `origin` at a speed; after its end it begins again.
class TraceMarket {
 public:
  TraceMarket(std::shared_ptr<const sim::Trace> trace, double speed, Time origin);

  std::int32_t availableAt(Time now) const;
  // The first instant after `now` at which fewer than `rank` machines are available; nullopt: never.
  std::optional<Time> lossOf(std::int32_t rank, Time now) const;
  std::optional<PricePerHour> priceAt(Time now) const;
  // The first instant after `now` with another price; nullopt: never.
  std::optional<Time> nextPriceChange(Time now) const;
  Time origin() const { return origin_; }

 private:
  std::int64_t tickAt(Time now) const;
  Time startOf(std::int64_t tick) const { return origin_ + tick_ * tick; }
  template <class Matches>
  std::optional<Time> firstTickAfter(Time now, Matches matches) const;

  std::shared_ptr<const sim::Trace> trace_;
  Duration tick_;
  Time origin_;
};

// The appointment of a machine that the trace takes at `loss`: the notice comes so early that the machine
// ends exactly then, or at once if there is less time.
Appointment appointmentAt(Time loss, std::optional<Duration> notice, Time now);

}  // namespace buoy::cloud::local
