#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"

namespace buoy::sim {

// What the spot market of a zone offers at an instant.
struct Offer {
  std::int32_t capacity = 0;  // machines that may run there at once
  PricePerHour price;         // of one machine of the zone's first type
  bool operator==(const Offer&) const = default;
};

// The spot market of one zone over time: piecewise constant, known beforehand. Recorded traces and generated
// markets implement it. Pure: the same answer whenever it is asked, from any thread.
class Market {
 public:
  virtual ~Market() = default;
  // What holds from `at` on; an instant at which it changes has the new offer already.
  virtual Offer at(Time at) const = 0;
  // The first instant after `after` whose offer differs from the one before it; nullopt: never.
  virtual std::optional<Time> nextChange(Time after) const = 0;
};

// Given step by step.
class SteppedMarket final : public Market {
 public:
  struct Step {
    Time from{};
    Offer offer;
  };
  // In order of time; the first step also holds before its time. At least one.
  explicit SteppedMarket(std::vector<Step> steps) : steps_(std::move(steps)) {}
  // The same for ever.
  explicit SteppedMarket(Offer offer) : steps_({{Time{}, offer}}) {}

  Offer at(Time at) const override;
  std::optional<Time> nextChange(Time after) const override;

 private:
  std::vector<Step> steps_;
};

}  // namespace buoy::sim
