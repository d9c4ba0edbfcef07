#include "control/dispatcher.h"

#include <algorithm>
#include <set>

#include "api/job_spec.h"
#include "base/strings.h"
#include "os/log.h"

namespace buoy::control {

namespace {

bool doesAsWell(const engine::MachineType& other, const engine::MachineType& wanted) {
  return other.resources.milli_cpus >= wanted.resources.milli_cpus &&
         other.resources.gpus >= wanted.resources.gpus && other.resources.memory >= wanted.resources.memory;
}

// Few jobs have any: nothing is parsed for the others.
cloud::Storage storageIn(const std::string& spec) {
  const bool may_have =
      spec.find("\"volumes\"") != std::string::npos || spec.find("\"file_systems\"") != std::string::npos;
  auto parsed = may_have ? api::parseJobJson(spec) : api::Parsed<api::JobSpec>();
  return parsed ? std::move(parsed->storage) : cloud::Storage{};
}

}  // namespace

void Dispatcher::carryOut(const engine::State& state, const store::Batch& batch,
                          const std::vector<engine::Action>& actions) {
  // Parts first: their agents begin, and ask, as soon as their host's knows of them.
  for (const bool parts : {true, false}) {
    for (const MachineId id : batch.changes->machines) {
      const engine::Machine* const machine = state.machine(id);
      if ((machine != nullptr && machine->host) != parts) continue;
      if (machine != nullptr) hazards_.note(*machine);
      direct(state, id);
    }
  }
  for (const engine::Action& action : actions) act(state, action);
  for (const JobId id : batch.changes->jobs) {
    const engine::Job* job = state.job(id);
    if (job != nullptr && engine::isTerminal(job->phase)) releaseStorage(id);
  }
  if (!batch.changes->pools.empty() || !batch.changes->queues.empty()) refreshCatalog();
  notify(state, batch);
}

Status Dispatcher::adopt(const engine::State& state) {
  BUOY_TRY(std::vector<engine::Pool> pools, context_.store.pools());
  BUOY_TRY(std::vector<engine::Queue> queues, context_.store.queues());
  offer(pools);
  context_.catalog.replace({std::move(pools), std::move(queues)});
  BUOY_TRY_VOID(hazards_.load(context_.store));
  state.forEachMachine([&](const engine::Machine& machine) { direct(state, machine.id); });
  return {};
}

bool Dispatcher::reap(const engine::State& state) {
  bool all = true;
  const std::vector<Orphan> machines = listed(Reach::here, {}, &all);
  endOrphans(state, machines);
  return all;
}

std::vector<JobId> Dispatcher::storageJobs(const std::stop_token& stop) {
  std::vector<JobId> found;
  for (const auto& [name, provider] : context_.providers) {
    const auto jobs = provider->storageJobs(stop);
    if (jobs) {
      found.insert(found.end(), jobs->begin(), jobs->end());
    } else {
      os::log(os::LogLevel::error, "provider_storage_failed",
              {{"provider", name}, {"error", jobs.error().message}});
    }
  }
  return found;
}

void Dispatcher::releaseEnded(const engine::State& state, const std::vector<JobId>& jobs) {
  for (const JobId id : jobs) {
    // The state has forgotten jobs that ended long ago.
    const engine::Job* job = state.job(id);
    if (job == nullptr || engine::isTerminal(job->phase)) releaseStorage(id);
  }
}

void Dispatcher::releaseStorage(JobId job) {
  for (const auto& [name, provider] : context_.providers) {
    if (provider->hasStorage())
      context_.workers.post(job.value, [p = provider.get(), job] { p->releaseStorage(job); });
  }
}

// Again after every restart of the control plane: the provider knows what was done.
void Dispatcher::provideStorage(const engine::State& state, MachineId id,
                                const api::DirectiveMessage& message) {
  cloud::Provider* provider = providerOf(state, id);
  const engine::Machine* machine = state.machine(id);
  const engine::Job* job = state.job(message.directive.job);
  if (provider == nullptr || !provider->hasStorage() || machine == nullptr || job == nullptr) return;
  const cloud::Storage storage = storageIn(message.spec);
  if (storage.empty()) return;
  const engine::Pool* pool = state.pool(machine->pool);
  cloud::StorageRequest request{
      .machine = id,
      .provider_config = pool == nullptr ? "" : pool->provider_config,
      .job = job->id,
      .epoch = message.directive.epoch,
      .job_prefix = message.store_prefix,
      .storage = cloud::storageOf(storage, job->request.machines, message.directive.rank)};
  context_.workers.post(id.value,
                        [provider, request = std::move(request)] { provider->provideStorage(request); });
}

std::vector<Orphan> Dispatcher::listed(Reach reach, const std::stop_token& stop, bool* all) {
  std::vector<Orphan> found;
  *all = true;
  for (const auto& [name, provider] : context_.providers) {
    if (reach == Reach::here && provider->remote()) {
      *all = false;
      continue;
    }
    const auto machines = provider->list(stop);
    if (!machines) {
      *all = false;
      os::log(os::LogLevel::error, "provider_list_failed",
              {{"provider", name}, {"error", machines.error().message}});
      continue;
    }
    for (const cloud::ListedMachine& each : *machines) found.push_back({provider.get(), name, each.machine});
  }
  return found;
}

void Dispatcher::endOrphans(const engine::State& state, const std::vector<Orphan>& listed) {
  for (const Orphan& each : listed) {
    if (state.machine(each.machine) != nullptr) continue;
    os::log(os::LogLevel::warn, "orphan_machine",
            {{"provider", each.provider_name}, {"machine", each.machine.toString()}});
    context_.workers.post(each.machine.value, [p = each.provider, id = each.machine] { p->terminate(id); });
  }
}

void Dispatcher::direct(const engine::State& state, MachineId machine) {
  const engine::Machine* found = state.machine(machine);
  if (found == nullptr || found->phase == engine::MachinePhase::gone) return context_.hub.forget(machine);
  tell(state, machine, engine::directiveFor(state, machine));
}

api::DirectiveMessage::Saving Dispatcher::savingOf(const engine::State& state, MachineId machine, JobId job) {
  api::DirectiveMessage::Saving saving;
  const Time now = context_.clock.now();
  const engine::Machine* found = state.machine(machine);
  // A part is taken with its machine.
  if (found != nullptr && found->host) found = state.machine(found->host);
  if (found != nullptr) {
    saving.hazard = hazards_.hazardOf(*found, now);
    if (found->billed_from != Time{}) saving.machine_age = std::max(now - found->billed_from, Duration{0});
  }
  if (const engine::Job* saved = state.job(job)) saving.last = saved->last_save;
  return saving;
}

void Dispatcher::tell(const engine::State& state, MachineId machine, const engine::Directive& directive) {
  if (context_.hub.says(machine, directive)) return;
  api::DirectiveMessage message;
  message.directive = directive;
  if (directive.kind == engine::Directive::Kind::run) {
    auto stored = context_.store.jobSpec(directive.job);
    // Told again at the next change; the lease keeps the machine until then.
    if (!stored) {
      os::log(os::LogLevel::error, "spec_unreadable",
              {{"job", directive.job.toString()}, {"error", stored.error().message}});
      return;
    }
    message.spec = std::move(*stored);
    message.saving = savingOf(state, machine, directive.job);
    if (const engine::Machine* found = state.machine(machine))
      if (const engine::Pool* pool = state.pool(found->pool)) message.isolation = pool->isolation;
  }
  for (const engine::Directive::Part& part : directive.parts)
    message.tokens.push_back(context_.access.machineToken(part.machine));
  if (directive.job) message.store_prefix = strCat({context_.cluster, "/", directive.job.toString()});
  if (directive.kind == engine::Directive::Kind::run) provideStorage(state, machine, message);
  context_.hub.direct(machine, std::move(message));
}

cloud::Provider* Dispatcher::providerOf(const engine::State& state, MachineId machine) {
  const engine::Machine* found = state.machine(machine);
  const engine::Pool* pool = found == nullptr ? nullptr : state.pool(found->pool);
  const auto provider = pool == nullptr ? context_.providers.end() : context_.providers.find(pool->provider);
  return provider == context_.providers.end() ? nullptr : provider->second.get();
}

std::vector<cloud::Provider*> Dispatcher::providersFor(const engine::State& state, MachineId machine) {
  std::vector<cloud::Provider*> providers;
  if (state.machine(machine) != nullptr) {
    if (cloud::Provider* provider = providerOf(state, machine)) providers.push_back(provider);
    return providers;
  }
  for (const auto& [name, provider] : context_.providers) providers.push_back(provider.get());
  return providers;
}

void Dispatcher::launch(const engine::State& state, MachineId id) {
  const auto refuse = [&](std::string why) {
    context_.emit(engine::LaunchFailed{id, engine::LaunchError::invalid, std::move(why)});
  };
  const engine::Machine* machine = state.machine(id);
  if (machine == nullptr) return;
  const engine::Pool* pool = state.pool(machine->pool);
  cloud::Provider* provider = providerOf(state, id);
  if (pool == nullptr || provider == nullptr) {
    return refuse(strCat(
        {"pool '", machine->pool, "' has no provider here", pool ? ": '" + pool->provider + "'" : ""}));
  }
  const auto type = std::find_if(pool->types.begin(), pool->types.end(),
                                 [&](const engine::MachineType& each) { return each.name == machine->type; });
  if (type == pool->types.end())
    return refuse(strCat({"pool '", pool->name, "' has no type '", machine->type, "' any more"}));
  api::AgentConfig agent = context_.agent;
  agent.machine = id;
  agent.token = context_.access.machineToken(id);
  if (provider->remote()) {
    api::RemoteEndpoint remote = context_.remote();
    if (remote.server.empty()) {
      return refuse(strCat(
          {"machines of pool '", pool->name,
           "' cannot reach this control plane: set `advertise: https://HOST:PORT` in its configuration "
           "and start it with --listen"}));
    }
    agent.server = std::move(remote.server);
    agent.server_fingerprint = std::move(remote.fingerprint);
  }
  cloud::LaunchRequest request{.machine = id,
                               .pool = pool->name,
                               .provider_config = pool->provider_config,
                               .type = *type,
                               .market = machine->market,
                               .agent_config = api::toJson(agent)};
  for (const engine::MachineType& other : pool->types) {
    if (other.name != type->name && doesAsWell(other, *type)) request.alternatives.push_back(other);
  }
  const engine::Job* job = state.job(machine->job);
  if (job != nullptr && job->request.machines > 1) request.group = job->id.toString();
  if (job != nullptr && provider->hasStorage()) {
    request.job = job->id;
    if (const auto spec = context_.store.jobSpec(job->id))
      request.storage = cloud::storageOf(storageIn(*spec), job->request.machines, machine->rank);
  }
  context_.workers.post(id.value, [provider, request = std::move(request)] { provider->launch(request); });
}

void Dispatcher::solve(const engine::SolvePlan& wanted) {
  const bool taken = context_.planner.post(0, [this, wanted] {
    context_.emit(engine::PlanSolved{wanted.job, engine::planFor(context_.policy, *wanted.question)});
  });
  if (!taken) context_.emit(engine::PlanSolved{wanted.job, nullptr});
}

void Dispatcher::act(const engine::State& state, const engine::Action& action) {
  if (const auto* launched = std::get_if<engine::LaunchMachine>(&action))
    return launch(state, launched->machine);
  if (const auto* wanted = std::get_if<engine::SolvePlan>(&action)) return solve(*wanted);
  if (const auto* directed = std::get_if<engine::DirectAgent>(&action)) {
    if (state.machine(directed->machine) != nullptr) direct(state, directed->machine);
    return;
  }
  const auto on_provider = [&](MachineId machine, auto call) {
    const std::vector<cloud::Provider*> providers = providersFor(state, machine);
    if (providers.empty()) {
      // Its pool names a provider that this program does not have: nobody can say anything about the machine.
      os::log(os::LogLevel::error, "no_provider", {{"machine", machine.toString()}});
    }
    for (cloud::Provider* provider : providers)
      context_.workers.post(machine.value, [provider, machine, call] { call(*provider, machine); });
  };
  if (const auto* ended = std::get_if<engine::TerminateMachine>(&action)) {
    on_provider(ended->machine, [](cloud::Provider& p, MachineId id) { p.terminate(id); });
  } else if (const auto* asked = std::get_if<engine::QueryMachine>(&action)) {
    on_provider(asked->machine, [](cloud::Provider& p, MachineId id) { p.query(id); });
  } else if (const auto* taken = std::get_if<engine::RequestReclaim>(&action)) {
    on_provider(taken->machine,
                [notice = taken->notice](cloud::Provider& p, MachineId id) { p.reclaim(id, notice); });
  }
}

void Dispatcher::refreshCatalog() {
  auto pools = context_.store.pools();
  auto queues = context_.store.queues();
  if (!pools || !queues) {
    os::log(os::LogLevel::error, "catalog_unreadable",
            {{"error", (pools ? queues.error() : pools.error()).message}});
    return;
  }
  offer(*pools);
  context_.catalog.replace({std::move(*pools), std::move(*queues)});
}

void Dispatcher::offer(const std::vector<engine::Pool>& pools) {
  for (const auto& [name, provider] : context_.providers) provider->offers(pools);
}

void Dispatcher::notify(const engine::State& state, const store::Batch& batch) {
  std::set<JobId> concerned(batch.changes->jobs.begin(), batch.changes->jobs.end());
  for (const engine::Record& record : batch.changes->records) concerned.insert(record.job);
  for (const store::AgentRecord& told : batch.agent_records) concerned.insert(told.record.job);
  for (const JobId id : concerned) {
    if (!id) continue;
    const engine::Job* job = state.job(id);
    context_.feed.notify(id, job != nullptr && engine::isTerminal(job->phase));
  }
}

}  // namespace buoy::control
