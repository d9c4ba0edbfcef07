#include <algorithm>
#include <tuple>

#include "engine/state_impl.h"

// The ready queues: which waiting job is looked at next. Every operation costs O(log n) of the waiting jobs;
// only changes of queues and pools, which are rare, look at every bucket.
namespace buoy::engine {

BucketKey Bucket::key() const {
  return {queue->queue.name, &pools, &resources, spot, machines, started, image, alone, share->name};
}

bool BucketLess::less(const BucketKey& a, const BucketKey& b) {
  const auto numbers = [](const BucketKey& key) {
    return std::make_tuple(key.machines, key.started, key.image, key.alone, key.spot,
                           key.resources->milli_cpus, key.resources->gpus, key.resources->memory.value,
                           key.queue, key.share);
  };
  const auto left = numbers(a), right = numbers(b);
  return left != right ? left < right : *a.pools < *b.pools;
}

Rank State::Impl::rankOf(const Job& job) const {
  const auto queue = queues.find(job.request.queue);
  return {.queue_priority = queue == queues.end() ? 0 : queue->second.queue.priority,
          .priority = job.request.priority,
          .job = job.id};
}

void State::Impl::enqueue(JobSlot& slot) {
  if (slot.bucket) return;
  const JobRequest& request = slot.job.request;
  const bool started = slot.job.attempts > 0;
  const bool one_pool = isSteered(slot.job) && slot.job.steering->want == Holding::spot;
  const std::vector<std::string> only =
      one_pool ? std::vector<std::string>{slot.job.steering->pool} : std::vector<std::string>();
  const BucketKey key{request.queue,      one_pool ? &only : &request.pools,
                      &request.resources, spotOf(slot.job),
                      request.machines,   started,
                      request.image,      isAlone(request),
                      request.share};
  auto found = buckets.find(key);
  if (found == buckets.end()) {
    auto bucket = std::make_unique<Bucket>();
    bucket->queue = &queueSlot(request.queue);
    bucket->pools = *key.pools;
    bucket->resources = request.resources;
    bucket->spot = key.spot;
    bucket->machines = request.machines;
    bucket->started = started;
    bucket->image = request.image;
    bucket->alone = key.alone;
    join(*bucket, request.share);
    found = buckets.insert(std::move(bucket)).first;
  }
  Bucket& bucket = **found;
  slot.bucket = &bucket;
  const bool first = bucket.waiting.empty();
  const auto entry = bucket.waiting.insert({request.priority, slot.job.id}).first;
  if (entry != bucket.waiting.begin()) return;
  if (first) {
    reopen(bucket);
    return;
  }
  // A new head of the same shape: what was impossible stays impossible, only the rank changes.
  const bool was_open = bucket.open;
  const std::vector<PoolSlot*> blocked_in = bucket.blocked_in;
  unlink(bucket);
  if (was_open) {
    reopen(bucket);
  } else if (!blocked_in.empty()) {
    block(bucket, blocked_in);
  }
}

void State::Impl::dequeue(JobSlot& slot) {
  Bucket* const bucket = slot.bucket;
  if (!bucket) return;
  slot.bucket = nullptr;
  const bool was_head = bucket->waiting.begin()->job == slot.job.id;
  bucket->waiting.erase({slot.job.request.priority, slot.job.id});
  if (!was_head) return;
  const bool was_open = bucket->open;
  const std::vector<PoolSlot*> blocked_in = bucket->blocked_in;
  // What was kept free for it may go to others.
  for (PoolSlot* const pool : blocked_in) {
    if (bucket->machines > 1 || pool->pool.pack) wake(*pool);
  }
  unlink(*bucket);
  if (bucket->waiting.empty()) {
    const auto found = buckets.find(bucket->key());
    leave(*bucket);
    buckets.erase(found);
  } else if (was_open) {
    reopen(*bucket);
  } else if (!blocked_in.empty()) {
    block(*bucket, blocked_in);
  }
}

void State::Impl::unlink(Bucket& bucket) {
  if (bucket.open) open.erase(bucket.rank);
  bucket.open = false;
  for (PoolSlot* const pool : bucket.blocked_in) pool->blocked.erase(bucket.rank);
  bucket.blocked_in.clear();
}

namespace {

void rankByHead(Bucket& bucket) {
  const Bucket::Entry& head = *bucket.waiting.begin();
  bucket.rank = {bucket.queue->queue.priority, bucket.share->level, head.priority, head.job, &bucket};
}

}  // namespace

void State::Impl::reopen(Bucket& bucket) {
  unlink(bucket);
  rankByHead(bucket);
  if (bucket.queue->queue.paused && !bucket.started) return;  // PutQueue opens it again
  bucket.open = true;
  open.insert(bucket.rank);
}

void State::Impl::block(Bucket& bucket, const std::vector<PoolSlot*>& in) {
  unlink(bucket);
  rankByHead(bucket);
  bucket.blocked_in = in;
  for (PoolSlot* const pool : in) pool->blocked.insert(bucket.rank);
}

void State::Impl::reopenAll() {
  for (const std::unique_ptr<Bucket>& bucket : buckets) reopen(*bucket);
}

std::vector<PoolSlot*> State::Impl::poolsOf(const JobRequest& request) const {
  std::vector<PoolSlot*> result;
  const auto add = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const auto found = pools.find(name);
      if (found == pools.end() || !found->second.known) continue;
      PoolSlot* const slot = pools_by_number[found->second.timer.id];
      if (std::find(result.begin(), result.end(), slot) == result.end()) result.push_back(slot);
    }
  };
  add(request.pools);
  if (!request.pools.empty()) return result;
  if (const auto queue = queues.find(request.queue); queue != queues.end()) {
    add(queue->second.queue.pools);
    if (!queue->second.queue.pools.empty()) return result;
  }
  for (const auto& [name, slot] : pools) {
    if (slot.known) result.push_back(pools_by_number[slot.timer.id]);
  }
  return result;
}

std::vector<PoolSlot*> State::Impl::poolsOf(const Job& job) const {
  if (!isSteered(job) || job.steering->want != Holding::spot) return poolsOf(job.request);
  const auto found = pools.find(job.steering->pool);
  if (found == pools.end() || !found->second.known) return {};
  return {pools_by_number[found->second.timer.id]};
}

void State::Impl::ask(JobSlot& slot) {
  if (slot.asked || !isSteered(slot.job)) return;
  slot.asked = true;
  asked.push_back(slot.job.id);
}

void State::Impl::askWaiting() {
  for (const JobId id : steered) {
    JobSlot& slot = *findJob(id);
    if (!slot.job.current && !slot.bucket) ask(slot);
  }
}

void State::Impl::askAll(PoolSlot& pool) {
  for (const JobId id : steered) {
    JobSlot& slot = *findJob(id);
    const std::vector<PoolSlot*> own = poolsOf(slot.job.request);
    if (std::find(own.begin(), own.end(), &pool) != own.end()) ask(slot);
  }
}

void State::Impl::wake(PoolSlot& pool) {
  if (pool.woken) return;
  pool.woken = true;
  pool.cursor.reset();
  woken.push_back(&pool);
  if (!steered.empty()) askWaiting();
}

}  // namespace buoy::engine
