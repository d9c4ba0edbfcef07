#include <algorithm>

#include "base/strings.h"
#include "engine/stepper.h"

// Queues that are shared fairly: what each share uses is counted as its jobs get and give back machines, and
// its buckets are moved to where its level puts them. What has passed since is looked at once a second at
// most; what a share gets is looked at before the next job is chosen.
namespace buoy::engine {
namespace {

constexpr Duration kRankEvery = std::chrono::seconds{1};
// Of past use that is not worth being remembered.
constexpr double kNothing = 1;  // milli-cpus

bool isActive(const ShareSlot& share) {
  return share.use.held > 0 || share.use.past > kNothing || !share.buckets.empty();
}

std::int64_t heldBy(const Job& job) {
  if (isTerminal(job.phase) || (!job.current && !job.next)) return 0;
  return std::int64_t{job.request.resources.milli_cpus} * job.request.machines;
}

}  // namespace

// ---- indices

ShareSlot& State::Impl::shareOf(QueueSlot& queue, std::string_view name) {
  const auto found = queue.shares.find(name);
  if (found != queue.shares.end()) return found->second;
  ShareSlot& made = queue.shares[std::string(name)];
  made.name = name;
  return made;
}

void State::Impl::join(Bucket& bucket, const std::string& share) {
  bucket.share = &shareOf(*bucket.queue, share);
  bucket.share->buckets.push_back(&bucket);
  // How much others may have depends on who wants something.
  bucket.share->changed = bucket.queue->shares_changed = true;
}

void State::Impl::leave(Bucket& bucket) {
  ShareSlot& share = *bucket.share;
  std::erase(share.buckets, &bucket);
  if (!bucket.queue->queue.fair && share.buckets.empty()) {
    bucket.queue->shares.erase(bucket.queue->shares.find(share.name));
  } else {
    share.changed = bucket.queue->shares_changed = true;
  }
  bucket.share = nullptr;
}

void State::Impl::moveByLevel(Bucket& bucket) {
  const std::vector<PoolSlot*> blocked_in = bucket.blocked_in;
  const bool was_open = bucket.open;
  unlink(bucket);
  if (was_open) {
    reopen(bucket);
  } else if (!blocked_in.empty()) {
    block(bucket, blocked_in);
  }
}

void State::Impl::listFair() {
  fair.clear();
  for (auto& [name, slot] : queues) {
    if (slot.queue.fair) fair.push_back(&slot);
  }
}

void State::Impl::countShares() {
  listFair();
  for (QueueSlot* const slot : fair) {
    for (const ShareHistory& each : slot->queue.used) shareOf(*slot, each.share).use.past = each.milli_cpus;
  }
  jobs.forEach([&](std::uint64_t, JobSlot& slot) {
    slot.held = 0;
    if (!slot.queue || !slot.queue->queue.fair) return;
    slot.held = heldBy(slot.job);
    if (slot.held > 0) shareOf(*slot.queue, slot.job.request.share).use.held += slot.held;
  });
  for (QueueSlot* const slot : fair) {
    for (auto& [name, share] : slot->shares) share.use.as_of = slot->queue.used_at;
  }
}

// ---- counting

void Stepper::account(JobSlot& slot) {
  if (!slot.queue || !slot.queue->queue.fair) return;
  const std::int64_t held = heldBy(slot.job);
  if (held == slot.held) return;
  QueueSlot& queue = *slot.queue;
  ShareSlot& share = s_.shareOf(queue, slot.job.request.share);
  settleUse(share.use, queue.queue.fair->decay, now_);
  share.use.held += held - slot.held;
  slot.held = held;
  share.changed = queue.shares_changed = true;
  if (queue.queue.fair->decay > Duration{0} && now_ - queue.queue.used_at >= Queue::kShareSave)
    saveUse(queue);
}

void Stepper::saveUse(QueueSlot& slot) {
  Queue& queue = slot.queue;
  queue.used.clear();
  for (auto& [name, share] : slot.shares) {
    settleUse(share.use, queue.fair->decay, now_);
    if (share.use.past > kNothing) queue.used.push_back({name, share.use.past});
  }
  queue.used_at = now_;
  touch(slot);
}

// A queue has become fair, or is shared by other rules, or not at all any more.
void Stepper::recount(QueueSlot& slot) {
  for (auto& [name, share] : slot.shares) {
    share.use.held = 0;
    share.level = 0;
    if (!slot.queue.fair) share.use = ShareUse{};
  }
  if (!slot.queue.fair)
    std::erase_if(slot.shares, [](const auto& each) { return each.second.buckets.empty(); });
  s_.jobs.forEach([&](std::uint64_t, JobSlot& job) {
    if (job.queue != &slot) return;
    job.held = 0;
    account(job);
  });
  slot.ranked_at = Time{};
  s_.listFair();
}

// ---- order

void Stepper::rankShares(QueueSlot& slot) {
  const FairShare& fair = *slot.queue.fair;
  const bool all = now_ - slot.ranked_at >= kRankEvery || slot.ranked_at == Time{};
  if (!all && !slot.shares_changed) return;
  std::size_t active = 0;
  for (auto it = slot.shares.begin(); it != slot.shares.end();) {
    ShareSlot& share = it->second;
    if (all || share.changed) {
      share.changed = false;
      settleUse(share.use, fair.decay, now_);
      const double level = levelOf(share.use, weightOf(fair, share.name));
      if (level != share.level) {
        share.level = level;
        for (Bucket* const bucket : share.buckets) s_.moveByLevel(*bucket);
      }
    }
    active += isActive(share) ? 1 : 0;
    it = isActive(share) ? std::next(it) : slot.shares.erase(it);
  }
  if (all) slot.ranked_at = now_;
  slot.shares_changed = false;
  if (active == slot.active) return;
  slot.active = active;
  // What is kept free for others is another part now.
  if (fair.reserve > 0) rewake(slot);
}

// Everything that a queue may use is looked at once more, in a pass of its own.
void Stepper::rewake(const QueueSlot& slot) {
  const std::vector<std::string>& names = slot.queue.pools;
  for (PoolSlot* const pool : s_.pools_by_number) {
    const bool used = names.empty() || std::find(names.begin(), names.end(), pool->pool.name) != names.end();
    if (pool->known && used) s_.rewoken.push_back(pool);
  }
}

bool keepReserve(const Bucket& bucket, std::vector<PoolView>& views) {
  const QueueSlot& queue = *bucket.queue;
  if (!queue.queue.fair || bucket.share->use.held == 0) return false;
  bool kept = false;
  for (PoolView& view : views) {
    if (view.pool->max_machines <= 0) continue;
    const bool parts = view.pool->pack && !bucket.alone;  // then these are what is counted
    const std::int32_t all =
        parts ? partsIn(*view.pool, bucket.resources, view.pool->max_machines) : view.pool->max_machines;
    std::int32_t cut = reservedOf(all, queue.queue.fair->reserve, std::max<std::size_t>(queue.active, 1));
    for (std::int32_t* const part : {&view.free, &view.idle_on_demand, &view.idle_spot}) {
      const std::int32_t taken = std::min(cut, *part);
      *part -= taken;
      cut -= taken;
      kept = kept || taken > 0;
    }
  }
  return kept;
}

// ---- why

void Stepper::notePassed(const Bucket& first) {
  const QueueSlot& queue = *first.queue;
  if (!queue.queue.fair || queue.shares.size() < 2) return;
  const Bucket::Entry& chosen = *first.waiting.begin();
  const auto describe = [&](const ShareSlot& share) {
    ShareUse use = share.use;
    settleUse(use, queue.queue.fair->decay, now_);
    return describeUse(share.name, use, weightOf(*queue.queue.fair, share.name));
  };
  for (const auto& [name, share] : queue.shares) {
    if (share.level <= first.share->level) continue;
    for (Bucket* const bucket : share.buckets) {
      const Bucket::Entry& head = *bucket->waiting.begin();
      if (head.job > chosen.job || bucket->passed == head.job) continue;
      bucket->passed = head.job;
      JobSlot& slot = *s_.findJob(head.job);
      slot.job.reason =
          strCat({chosen.job.toString(), " goes first, though it came later: ", describe(*first.share), "; ",
                  describe(share)});
      record("passed", slot.job.reason, slot.job);
      touch(slot);
    }
  }
}

}  // namespace buoy::engine
