#pragma once

#include <type_traits>

#include "engine/events.h"
#include "engine/types.h"

// The one list of what is kept of each of the engine's values, used by the encoder and the decoder alike. The
// structured bindings make a field that was added to a type and not listed here a compile error.
// A visitor has field(name, value): always written, and sparse(name, value): left out when zero, false or
// empty, which is right only where that is also the field's default.
namespace buoy::store {

template <class T, class U>
concept Is = std::is_same_v<std::remove_const_t<T>, U>;

template <class V>
void describe(V& v, Is<engine::Resources> auto& x) {
  auto& [milli_cpus, gpus, memory] = x;
  v.field("milli_cpus", milli_cpus);
  v.sparse("gpus", gpus);
  v.sparse("memory", memory);
}

template <class V>
void describe(V& v, Is<engine::Dependency> auto& x) {
  auto& [job, same_index] = x;
  v.field("job", job);
  v.sparse("same_index", same_index);
}

template <class V>
void describe(V& v, Is<engine::RetryRule> auto& x) {
  auto& [exit_code, reason, status, retry] = x;
  v.sparse("exit_code", exit_code);
  v.sparse("reason", reason);
  v.sparse("status", status);
  v.field("retry", retry);
}

template <class V>
void describe(V& v, Is<engine::ArrayState> auto& x) {
  auto& [tasks, begun, succeeded, failed, first] = x;
  v.field("tasks", tasks);
  v.sparse("begun", begun);
  v.sparse("succeeded", succeeded);
  v.sparse("failed", failed);
  v.sparse("first", first);
}

template <class V>
void describe(V& v, Is<engine::JobRequest> auto& x) {
  auto& [name, queue, pools, machines, resources, spot, priority, share, retry_failures, max_run, max_wait,
         stop_grace, policy, deadline_in, deadline_at, work, budget, image, array, sequential, depends_on,
         retry_rules, attempt_timeout, race, alone, begins_again, main_decides] = x;
  v.field("name", name);
  v.field("queue", queue);
  v.sparse("pools", pools);
  v.field("machines", machines);
  v.field("resources", resources);
  v.field("spot", spot);
  v.sparse("priority", priority);
  v.sparse("share", share);
  v.sparse("retry_failures", retry_failures);
  v.sparse("max_run", max_run);
  v.sparse("max_wait", max_wait);
  v.field("stop_grace", stop_grace);
  v.sparse("policy", policy);
  v.sparse("deadline_in", deadline_in);
  v.sparse("deadline_at", deadline_at);
  v.sparse("work", work);
  v.sparse("budget", budget);
  v.sparse("image", image);
  v.sparse("array", array);
  v.sparse("sequential", sequential);
  v.sparse("depends_on", depends_on);
  v.sparse("retry_rules", retry_rules);
  v.sparse("attempt_timeout", attempt_timeout);
  v.sparse("race", race);
  v.sparse("alone", alone);
  v.sparse("begins_again", begins_again);
  v.sparse("main_decides", main_decides);
}

template <class V>
void describe(V& v, Is<engine::MemberResult> auto& x) {
  auto& [kind, exit_code, detail] = x;
  v.field("kind", kind);
  v.sparse("exit_code", exit_code);
  v.sparse("detail", detail);
}

template <class V>
void describe(V& v, Is<engine::HeldTime> auto& x) {
  auto& [begin, end, price, on_demand_price] = x;
  v.field("begin", begin);
  v.field("end", end);
  v.field("price", price);
  v.field("on_demand_price", on_demand_price);
}

template <class V>
void describe(V& v, Is<engine::Member> auto& x) {
  auto& [machine, phase, phase_since, result, committed_version, running_since, accounted_until, stop,
         stop_since, verified, held] = x;
  v.sparse("machine", machine);
  v.field("phase", phase);
  v.field("phase_since", phase_since);
  v.sparse("result", result);
  v.sparse("committed_version", committed_version);
  v.sparse("running_since", running_since);
  v.sparse("accounted_until", accounted_until);
  v.field("stop", stop);
  v.sparse("stop_since", stop_since);
  v.sparse("verified", verified);
  v.sparse("held", held);
}

template <class V>
void describe(V& v, Is<engine::Attempt> auto& x) {
  auto& [number, epoch, members, created, directed, interrupted, failed, verify_until, vacant_since, begun,
         saved_until, rivals] = x;
  v.field("number", number);
  v.field("epoch", epoch);
  v.field("members", members);
  v.field("created", created);
  v.sparse("directed", directed);
  v.sparse("interrupted", interrupted);
  v.sparse("failed", failed);
  v.sparse("verify_until", verify_until);
  v.sparse("vacant_since", vacant_since);
  v.sparse("begun", begun);
  v.sparse("saved_until", saved_until);
  v.sparse("rivals", rivals);
}

template <class V>
void describe(V& v, Is<engine::PastAttempt> auto& x) {
  auto& [number, machine, started, stopped, exit_code, interrupted, reason] = x;
  v.field("number", number);
  v.sparse("machine", machine);
  v.sparse("started", started);
  v.field("stopped", stopped);
  v.sparse("exit_code", exit_code);
  v.sparse("interrupted", interrupted);
  v.sparse("reason", reason);
}

template <class V>
void describe(V& v, Is<engine::Ledger> auto& x) {
  auto& [time, cost, queued, on_demand_cost, reclaims_noticed, reclaims_unnoticed] = x;
  v.field("time", time);
  v.field("cost", cost);
  v.sparse("queued", queued);
  v.sparse("on_demand_cost", on_demand_cost);
  v.sparse("reclaims_noticed", reclaims_noticed);
  v.sparse("reclaims_unnoticed", reclaims_unnoticed);
}

template <class V>
void describe(V& v, Is<engine::SaveMeasure> auto& x) {
  auto& [bytes, sent, took, wrote, bytes_per_second, notice, interval] = x;
  v.sparse("bytes", bytes);
  v.sparse("sent", sent);
  v.sparse("took", took);
  v.sparse("wrote", wrote);
  v.sparse("bytes_per_second", bytes_per_second);
  v.sparse("notice", notice);
  v.sparse("interval", interval);
}

template <class V>
void describe(V& v, Is<engine::Steering> auto& x) {
  auto& [want, pool, reason, moving, saved_work, setup, restored_bytes, plan, planned, planning] = x;
  (void)plan, (void)planned, (void)planning;  // asked for again
  v.field("want", want);
  v.sparse("pool", pool);
  v.sparse("reason", reason);
  v.sparse("moving", moving);
  v.sparse("saved_work", saved_work);
  v.sparse("setup", setup);
  v.sparse("restored_bytes", restored_bytes);
}

template <class V>
void describe(V& v, Is<engine::Job> auto& x) {
  auto& [id, request, phase, stop, submitted, phase_since, waiting_since, ran, attempts, failures, epoch,
         exit_code, reason, current, next, ledger, last_version, last_save, save_requests, save_asked, paused,
         steering, past, waits_for, array, parent, index] = x;
  v.field("id", id);
  v.field("request", request);
  v.field("phase", phase);
  v.field("stop", stop);
  v.field("submitted", submitted);
  v.field("phase_since", phase_since);
  v.sparse("waiting_since", waiting_since);
  v.sparse("ran", ran);
  v.sparse("attempts", attempts);
  v.sparse("failures", failures);
  v.sparse("epoch", epoch);
  v.sparse("exit_code", exit_code);
  v.sparse("reason", reason);
  v.sparse("current", current);
  v.sparse("next", next);
  v.sparse("ledger", ledger);
  v.sparse("last_version", last_version);
  v.sparse("last_save", last_save);
  v.sparse("save_requests", save_requests);
  v.sparse("save_asked", save_asked);
  v.sparse("paused", paused);
  v.sparse("steering", steering);
  v.sparse("past", past);
  v.sparse("waits_for", waits_for);
  v.sparse("array", array);
  v.sparse("parent", parent);
  if (parent) v.field("index", index);
}

template <class V>
void describe(V& v, Is<engine::Charge> auto& x) {
  auto& [job, attempt, use, cost] = x;
  v.sparse("job", job);
  v.sparse("attempt", attempt);
  v.field("use", use);
  v.field("cost", cost);
}

template <class V>
void describe(V& v, Is<engine::Machine> auto& x) {
  auto& [id, pool, type, market, price, on_demand_price, phase, phase_since, job, epoch, rank, rival_of,
         holder, provider_ref, address, requested, billed_from, span_begin, use, lease_until, unreachable,
         notice_deadline, launch_failures, taken, reclaim_asked, charges, host, part, devices] = x;
  v.field("id", id);
  v.field("pool", pool);
  v.field("type", type);
  v.field("market", market);
  v.field("price", price);
  v.field("on_demand_price", on_demand_price);
  v.field("phase", phase);
  v.field("phase_since", phase_since);
  v.sparse("job", job);
  v.sparse("epoch", epoch);
  v.sparse("rank", rank);
  v.sparse("rival_of", rival_of);
  v.sparse("holder", holder);
  v.sparse("provider_ref", provider_ref);
  v.sparse("address", address);
  v.field("requested", requested);
  v.sparse("billed_from", billed_from);
  v.sparse("span_begin", span_begin);
  v.field("use", use);
  v.sparse("lease_until", lease_until);
  v.sparse("unreachable", unreachable);
  v.sparse("notice_deadline", notice_deadline);
  v.sparse("launch_failures", launch_failures);
  v.sparse("taken", taken);
  v.sparse("reclaim_asked", reclaim_asked);
  v.sparse("charges", charges);
  v.sparse("host", host);
  if (!host) return;
  v.field("part", part);
  v.sparse("devices", devices);
}

template <class V>
void describe(V& v, Is<engine::MachineType> auto& x) {
  auto& [name, resources, on_demand_price, spot_price] = x;
  v.field("name", name);
  v.field("resources", resources);
  v.field("on_demand_price", on_demand_price);
  v.field("spot_price", spot_price);
}

template <class V>
void describe(V& v, Is<engine::Pool::SpotChange> auto& x) {
  auto& [at, up] = x;
  v.field("at", at);
  v.sparse("up", up);
}

template <class V>
void describe(V& v, Is<engine::Pool> auto& x) {
  auto& [name, provider, types, max_machines, max_milli_cpus, min_machines, spot, on_demand, paused, pack,
         never_packs, isolation, no_containers, idle_timeout, max_spot_percent, provider_config,
         consecutive_failures, retry_at, spot_failures, spot_retry_at, launch_time, launch_seen, spot_seen,
         transfer_price, learn, learned_until, market_learned, market_news, billing] = x;
  v.field("name", name);
  v.field("provider", provider);
  v.field("types", types);
  v.sparse("max_machines", max_machines);
  v.sparse("max_milli_cpus", max_milli_cpus);
  v.sparse("min_machines", min_machines);
  v.field("spot", spot);
  v.field("on_demand", on_demand);
  v.sparse("paused", paused);
  v.sparse("pack", pack);
  v.sparse("never_packs", never_packs);
  v.sparse("isolation", isolation);
  v.sparse("no_containers", no_containers);
  v.sparse("idle_timeout", idle_timeout);
  v.sparse("max_spot_percent", max_spot_percent);
  v.sparse("provider_config", provider_config);
  v.sparse("consecutive_failures", consecutive_failures);
  v.sparse("retry_at", retry_at);
  v.sparse("spot_failures", spot_failures);
  v.sparse("spot_retry_at", spot_retry_at);
  v.sparse("launch_time", launch_time);
  v.sparse("launch_seen", launch_seen);
  v.sparse("spot_seen", spot_seen);
  v.sparse("transfer_price", transfer_price);
  v.sparse("learn", learn);
  v.sparse("learned_until", learned_until);
  v.sparse("market_learned", market_learned);
  v.sparse("market_news", market_news);
  v.sparse("billed_least", billing.least);
  v.sparse("free_within", billing.free_within);
}

template <class V>
void describe(V& v, Is<engine::Record::Decision::Seen> auto& x) {
  auto& [pool, free, idle_spot, idle_on_demand, trial_spot, trial_on_demand] = x;
  v.field("pool", pool);
  v.field("free", free);
  v.sparse("idle_spot", idle_spot);
  v.sparse("idle_on_demand", idle_on_demand);
  v.sparse("trial_spot", trial_spot);
  v.sparse("trial_on_demand", trial_on_demand);
}

template <class V>
void describe(V& v, Is<engine::AvailabilitySpan> auto& x) {
  auto& [length, up] = x;
  v.field("length", length);
  v.sparse("up", up);
}

template <class V>
void describe(V& v, Is<engine::SpotSource> auto& x) {
  auto& [pool, until, recorded, machines] = x;
  v.field("pool", pool);
  v.sparse("until", until);
  v.sparse("recorded", recorded);
  v.sparse("machines", machines);
}

template <class V>
void describe(V& v, Is<engine::SpotPlan> auto& x) {
  auto& [learned, places, time, slack, step, changeover, on_demand_price, whole_work, spot_price, pace_up,
         pace_down] = x;
  v.sparse("learned", learned);
  v.field("places", places);
  v.field("time", time);
  v.field("slack", slack);
  v.field("step", step);
  v.field("changeover", changeover);
  v.field("on_demand_price", on_demand_price);
  v.sparse("whole_work", whole_work);
  v.sparse("spot_price", spot_price);
  v.sparse("pace_up", pace_up);
  v.sparse("pace_down", pace_down);
}

template <class V>
void describe(V& v, Is<engine::SpotQuestion::Place> auto& x) {
  auto& [pool, type, price, changeover, move_cost, past, source] = x;
  v.field("pool", pool);
  v.field("type", type);
  v.field("price", price);
  v.field("changeover", changeover);
  v.sparse("move_cost", move_cost);
  v.field("past", past);
  v.sparse("source", source);
}

template <class V>
void describe(V& v, Is<engine::SpotQuestion> auto& x) {
  auto& [rule, work_total, work_left, unsaved, time_total, time_left, changeover, step, on_demand_price,
         machines, begins_again, places, holding, held, changeover_left, plan] = x;
  v.field("rule", rule);
  v.field("work_total", work_total);
  v.field("work_left", work_left);
  v.sparse("unsaved", unsaved);
  v.field("time_total", time_total);
  v.field("time_left", time_left);
  v.field("changeover", changeover);
  v.field("step", step);
  v.field("on_demand_price", on_demand_price);
  v.field("machines", machines);
  v.sparse("begins_again", begins_again);
  v.field("places", places);
  v.field("holding", holding);
  v.sparse("held", held);
  v.sparse("changeover_left", changeover_left);
  v.sparse("plan", plan);
}

template <class V>
void describe(V& v, Is<engine::Record::Steered> auto& x) {
  auto& [question, take, pool, reason] = x;
  v.field("question", question);
  v.field("take", take);
  v.sparse("pool", pool);
  v.field("reason", reason);
}

template <class V>
void describe(V& v, Is<engine::Record::Decision> auto& x) {
  auto& [resources, spot, image, count, pools, machines, steered] = x;
  v.field("resources", resources);
  v.field("spot", spot);
  v.sparse("image", image);
  v.field("count", count);
  v.field("pools", pools);
  v.sparse("machines", machines);
  v.sparse("steered", steered);
}

template <class V>
void describe(V& v, Is<engine::FairShare::Weight> auto& x) {
  auto& [share, weight] = x;
  v.field("share", share);
  v.field("weight", weight);
}

template <class V>
void describe(V& v, Is<engine::FairShare> auto& x) {
  auto& [decay, reserve, weights] = x;
  v.sparse("decay", decay);
  v.sparse("reserve", reserve);
  v.field("weights", weights);
}

template <class V>
void describe(V& v, Is<engine::ShareHistory> auto& x) {
  auto& [share, milli_cpus] = x;
  v.field("share", share);
  v.field("milli_cpus", milli_cpus);
}

template <class V>
void describe(V& v, Is<engine::StuckLimit> auto& x) {
  auto& [cause, after, reason] = x;
  v.field("cause", cause);
  v.field("after", after);
  v.sparse("reason", reason);
}

template <class V>
void describe(V& v, Is<engine::Queue> auto& x) {
  auto& [name, priority, pools, paused, fair, stuck_limits, used, used_at] = x;
  v.field("name", name);
  v.sparse("priority", priority);
  v.sparse("pools", pools);
  v.sparse("paused", paused);
  v.sparse("fair", fair);
  v.sparse("stuck_limits", stuck_limits);
  v.sparse("used", used);
  v.sparse("used_at", used_at);
}

template <class V>
void describe(V& v, Is<engine::Record::Candidate> auto& x) {
  auto& [pool, type, market, price, score, rejected] = x;
  v.field("pool", pool);
  v.field("type", type);
  v.field("market", market);
  v.field("price", price);
  v.field("score", score);
  v.sparse("rejected", rejected);
}

// What one of the above is for.
template <class T>
concept Described = requires(struct Probe& probe, T& value) {
  describe(probe, value);
};

}  // namespace buoy::store
