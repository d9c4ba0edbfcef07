#pragma once

#include <string>
#include <vector>

#include "schedule/spot/availability_model.h"
#include "sim/generated_market.h"
#include "sim/trace.h"

// Markets to try policies on, with what the policy buoy may have learned before.
namespace buoy::bench {

using Traces = std::vector<sim::Trace>;

// The ticks from `from` up to `until` of a trace.
sim::Trace part(const sim::Trace& trace, std::size_t from, std::size_t until);
std::vector<schedule::spot::History> historiesOf(const Traces& traces);

struct Market {
  std::string name;
  Traces zones;  // of the same length: one market
  std::vector<schedule::spot::History> past;
};

// Sets of four zones with little capacity: stretches of the traces put together, none of a zone that is
// learned from where there are others, and generated ones.
std::vector<Market> poorMarkets(const Traces& traces);

// Many markets of one kind, with the same past.
struct Draws {
  std::string name;
  std::vector<Traces> markets;  // each as long as `ticks`
  std::vector<schedule::spot::History> past;
};

// Four stretches each, of so many ticks, drawn from the traces where between a tenth and seven tenths of the
// time was up; learned from the other traces.
std::vector<Draws> poorDraws(const Traces& traces, std::size_t ticks, std::size_t count);

// Generated, each of another character; learned from the traces.
std::vector<Market> strangeMarkets(const Traces& traces);

// So many, of which everything is drawn: hazards over two orders of magnitude, ticks of 3 minutes to an hour,
// how much the time of day counts, and whether zones go down together. Learned from the traces.
std::vector<Market> drawnMarkets(const Traces& traces, std::size_t count);

}  // namespace buoy::bench
