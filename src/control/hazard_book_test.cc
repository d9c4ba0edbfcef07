#include "control/hazard_book.h"

#include <gtest/gtest.h>

namespace buoy::control {
namespace {

using engine::Machine;
using engine::MachinePhase;
using std::chrono::hours;
using std::chrono::minutes;

constexpr Time kStart{std::chrono::hours{1000}};

Machine machine(std::uint64_t id, Duration lived, MachinePhase phase = MachinePhase::gone) {
  Machine machine;
  machine.id = MachineId{id};
  machine.pool = "a";
  machine.billed_from = kStart;
  machine.phase = phase;
  machine.phase_since = kStart + lived;
  return machine;
}

TEST(HazardBook, LearnsFromEachPoolsOwnReclaims) {
  HazardBook book;
  for (std::uint64_t id = 1; id <= 50; ++id) {
    Machine taken = machine(id, minutes{6});
    taken.taken = true;
    book.note(taken);
  }
  Machine asked = machine(100, Duration{}, MachinePhase::booting);
  const auto learned = book.hazardOf(asked, kStart);
  EXPECT_GT(learned.perHour(Duration{}), 5);  // 50 in five machine-hours, and what was assumed
  EXPECT_GT(learned.unnoticed, 0.6);
  asked.pool = "b";
  EXPECT_EQ(book.hazardOf(asked, kStart), schedule::HazardLearner().estimate());
}

TEST(HazardBook, GivenBackMachinesAndRunningOnesAreCalm) {
  HazardBook book;
  for (std::uint64_t id = 1; id <= 50; ++id) book.note(machine(id, hours{10}));
  book.note(machine(60, Duration{}, MachinePhase::assigned));
  const Machine asked = machine(100, Duration{}, MachinePhase::booting);
  EXPECT_LT(book.hazardOf(asked, kStart + hours{1}).perHour(hours{9}), 0.1);

  HazardBook running;
  for (std::uint64_t id = 1; id <= 50; ++id) running.note(machine(id, Duration{}, MachinePhase::assigned));
  EXPECT_LT(running.hazardOf(asked, kStart + hours{100}).perHour(hours{50}), 0.01);
}

TEST(HazardBook, ANoticeCountsAlsoWhereTheMachineWasGivenBackInTime) {
  HazardBook book;
  for (std::uint64_t id = 1; id <= 50; ++id) {
    Machine noticed = machine(id, minutes{6});
    noticed.notice_deadline = noticed.phase_since + minutes{1};
    book.note(noticed);
  }
  const auto learned = book.hazardOf(machine(100, Duration{}), kStart);
  EXPECT_GT(learned.perHour(Duration{}), 5);
  EXPECT_LT(learned.unnoticed, 0.05);
}

TEST(HazardBook, OnDemandMachinesAreNeverTaken) {
  HazardBook book;
  Machine asked = machine(1, Duration{});
  asked.market = engine::Market::on_demand;
  EXPECT_EQ(book.hazardOf(asked, kStart).perHour(minutes{1}), 0);
}

}  // namespace
}  // namespace buoy::control
