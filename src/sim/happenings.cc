#include <algorithm>

#include "sim/simulation.h"

// What a scenario does to the world, and how much the promises give way for it.
namespace buoy::sim {

using Kind = Happening::Kind;

namespace {

Cloud::Warned warnedOf(std::uint32_t detail) {
  return static_cast<Cloud::Warned>(detail % 3);
}

}  // namespace

Time Simulation::endOf(const Happening& happening) const {
  return begin_ + happening.at + happening.lasting;
}

void Simulation::happen(const Happening& happening) {
  if (happening.kind != Kind::submit) core_.say([&] { return "-- " + describe(happening); });
  const Time until = core_.now + happening.lasting;
  Weather& weather = core_.weather;
  switch (happening.kind) {
    case Kind::submit:
      --submits_left_;
      return submit(static_cast<std::size_t>(&happening - scenario_.happenings.data()));
    case Kind::cancel: {
      if (jobs_.empty()) return;
      const JobId job = jobs_[happening.pick % jobs_.size()];
      auditor_.cancelled(job);
      return control_.receive(engine::CancelJob{job});
    }
    case Kind::reclaim:
    case Kind::take:
    case Kind::silence:
    case Kind::agent_restart:
    case Kind::unfit:
    case Kind::denied:
      if (const MachineId machine = cloud_.pick(happening.pick)) happenToMachine(happening, machine);
      return;
    case Kind::crash:
      return control_.crash(static_cast<CrashPoint>(happening.detail % 5), happening.lasting);
    case Kind::launches_fail:
    case Kind::slow:
    case Kind::mute:
    case Kind::dead_boots:
    case Kind::pause_pool:
    case Kind::open:
      return happenToZone(happening);
    case Kind::delay:
      weather.delayed_until = until;
      weather.delay = std::chrono::milliseconds{happening.detail};
      auditor_.excuse(core_.now, until + weather.delay);
      return;
    case Kind::lossy:
      weather.lossy_until = until;
      weather.lossy = std::max<std::uint32_t>(2, happening.detail);
      auditor_.excuse(core_.now, until);
      return;
    case Kind::doubled:
      weather.doubled_until = until;
      return;
    case Kind::replay:
      if (!latest_.empty()) {
        Letter letter = latest_[happening.pick % latest_.size()];
        control_.receive(std::move(letter.event));
      }
      return;
    case Kind::store_out:
      weather.store_out_until = until;
      auditor_.excuse(core_.now, until);
      return;
    case Kind::put_queue:
      control_.receive(engine::PutQueue{{.name = "urgent",
                                         .priority = static_cast<std::int32_t>(happening.pick % 9),
                                         .pools = {},
                                         .paused = happening.lasting > Duration{0}}});
      return;
    case Kind::warned:
      cloud_.warned = warnedOf(happening.detail);
      return;
  }
}

void Simulation::happenToMachine(const Happening& happening, MachineId machine) {
  const Time until = core_.now + happening.lasting;
  switch (happening.kind) {
    case Kind::reclaim:
      return control_.receive(engine::ReclaimMachine{machine, happening.lasting});
    case Kind::take:
      return cloud_.take(machine, happening.lasting, warnedOf(happening.detail));
    case Kind::silence:
      auditor_.excuse(core_.now, until);
      return agents_.silence(machine, until);
    case Kind::agent_restart:
      return agents_.restart(machine);
    case Kind::unfit:
      return agents_.makeUnfit(machine);
    case Kind::denied:
      if (cloud_.denies(machine)) auditor_.denied(machine);
      return;
    default:
      return;
  }
}

void Simulation::happenToZone(const Happening& happening) {
  const Time until = core_.now + happening.lasting;
  const std::size_t zone = happening.pick % scenario_.zones.size();
  Cloud::Trouble& trouble = cloud_.trouble(zone);
  const std::string& name = scenario_.zones[zone].pool.name;
  switch (happening.kind) {
    case Kind::launches_fail:
      trouble.launches_fail_until = until;
      trouble.error = static_cast<engine::LaunchError>(happening.detail % 6);
      return;
    case Kind::slow:
      trouble.slow_until = until;
      auditor_.excuse(core_.now, until + 20 * scenario_.cloud.boot_max);
      return;
    case Kind::mute:
      trouble.mute_until = until;
      auditor_.excuse(core_.now, until + scenario_.settings.lease + 2 * scenario_.settings.query_every);
      return;
    case Kind::dead_boots:
      trouble.dead_boots_until = until;
      return;
    case Kind::pause_pool: {
      const engine::Pool* const pool = control_.up() ? control_.state().pool(name) : nullptr;
      if (!pool) return;
      engine::Pool paused = *pool;
      paused.paused = true;
      return control_.receive(engine::PutPool{paused});
    }
    case Kind::open: {
      const auto request = static_cast<std::uint32_t>(&happening - scenario_.happenings.data()) + 1;
      unanswered_[request] = request - 1;
      return control_.receive(engine::OpenMachine{name, engine::Market::spot, {}, "ada"}, request);
    }
    default:
      return;
  }
}

// Everything one after the other on one machine, each attempt with all the waiting that the settings allow,
// twice over.
Duration Simulation::progressBound() const {
  const engine::Settings& settings = scenario_.settings;
  const CloudTiming& cloud = scenario_.cloud;
  Duration attempt = settings.boot_timeout + settings.launch_backoff_max + settings.gang_hold +
                     settings.verify_timeout + settings.stop_margin + settings.lease +
                     2 * settings.query_every + settings.idle_timeout + 10 * cloud.boot_max + cloud.notice +
                     2 * cloud.end_max + scenario_.agents.drain + scenario_.agents.final_patience +
                     std::chrono::minutes{1};
  Duration sum = 10 * attempt + scenario_.agents.orphan_after * 2;
  for (const Happening& happening : scenario_.happenings) {
    if (happening.kind != Kind::submit) continue;
    const JobPlan& plan = happening.plan;
    const int attempts = 2 + static_cast<int>(plan.failures);
    sum += happening.request.deadline_in;  // it may wait for spot until then
    if (happening.request.budget != Money{}) sum += 20 * attempt;
    sum += attempts *
           (attempt + plan.prepare + plan.restore + plan.save + plan.work + happening.request.stop_grace);
  }
  return 2 * sum;
}

// From the engine's decision to the end of the machine: a call that is repeated, or, of a machine that the
// engine does not know, the time until its agent comes up, is told so, and has saved and left.
Duration Simulation::leakBound() const {
  Duration work{};
  for (const Happening& happening : scenario_.happenings) {
    if (happening.kind == Kind::submit)
      work = std::max(work, happening.request.stop_grace + 2 * happening.plan.save);
  }
  const CloudTiming& cloud = scenario_.cloud;
  return scenario_.settings.query_every + 2 * cloud.call_max + cloud.end_max + cloud.boot_max +
         3 * scenario_.agents.heartbeat + scenario_.agents.drain + scenario_.agents.final_patience + work +
         scenario_.commit;
}

}  // namespace buoy::sim
