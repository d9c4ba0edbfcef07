#include "agent/outbox.h"

#include <algorithm>

namespace buoy::agent {
namespace {

Duration age(Time at, Time now) {
  return std::max(now - at, Duration{0});
}

bool same(const Outbox::LogStream& a, const Outbox::LogStream& b) {
  return a.job == b.job && a.attempt == b.attempt && a.rank == b.rank;
}

}  // namespace

void Outbox::begin(const engine::Directive& directive, std::shared_ptr<const LogSpool> spool) {
  job_ = directive.job;
  epoch_ = directive.epoch;
  phases_.clear();
  committed_version_ = 0;
  save_ = {};
  covers_ = Time{};
  result_.reset();
  result_acknowledged_ = true;
  metrics_.clear();
  last_metric_ = 0;
  events_.clear();
  events_from_ = 0;
  ++revision_;
  for (LogStream& stream : logs_) stream.ended = true;
  if (!spool) return;
  const std::uint64_t size = spool->size();
  logs_.push_back({directive.job, directive.attempt, directive.rank, std::move(spool), size, 0, false});
}

void Outbox::phase(engine::MemberPhase phase, Time at) {
  phases_.emplace_back(phase, at);
  ++revision_;
}

void Outbox::committed(std::uint64_t version, Time covers, const engine::SaveMeasure& save) {
  committed_version_ = version;
  covers_ = covers;
  save_ = save;
  ++revision_;
}

void Outbox::metric(const std::string& name, double value, Time at) {
  metrics_.push_back({name, value, at, ++last_metric_});
  if (metrics_.size() > kMaxMetrics) metrics_.pop_front();
  ++revision_;
}

void Outbox::event(std::string sentence) {
  events_.push_back(std::move(sentence));
  if (events_.size() > kMaxEvents) {
    events_.pop_front();
    ++events_from_;
  }
  ++revision_;
}

void Outbox::result(engine::MemberResult result, Time at, Time hold_until) {
  result_ = std::move(result);
  result_at_ = at;
  hold_until_ = hold_until;
  result_acknowledged_ = false;
  if (!logs_.empty() && logs_.back().job == job_) logs_.back().ended = true;
  ++revision_;
}

void Outbox::notice(Time deadline) {
  notice_ = deadline;
  ++revision_;
}

void Outbox::closed(std::vector<api::ReportMessage::Closed> parts) {
  closed_ = std::move(parts);
  ++revision_;
}

void Outbox::logGrew(std::uint64_t size) {
  if (!logs_.empty()) logs_.back().size = size;
}

Outbox::Draft Outbox::draft(Time now) const {
  Draft draft;
  draft.revision = revision_;
  draft.last_metric = last_metric_;
  draft.held_back = heldBack(now);
  api::ReportMessage& message = draft.message;
  message.machine = machine_;
  message.job = job_;
  message.epoch = epoch_;
  for (const auto& [phase, at] : phases_) message.phases.push_back({phase, age(at, now)});
  message.committed_version = committed_version_;
  message.save = save_;
  message.committed_covers_age = committed_version_ == 0 ? Duration{0} : age(covers_, now);
  if (result_ && !draft.held_back) {
    message.result = result_;
    message.phases.push_back({engine::MemberPhase::done, age(result_at_, now)});
  }
  if (notice_) message.notice_in = std::max(*notice_ - now, Duration{0});
  for (const Metric& metric : metrics_) {
    if (message.metrics.size() == kMetricsAReport) break;
    message.metrics.push_back({metric.name, metric.value, age(metric.at, now), metric.seq});
    draft.last_metric = metric.seq;
  }
  message.closed = closed_;
  message.events.assign(events_.begin(), events_.end());
  message.events_from = events_from_;
  draft.events_end = events_from_ + events_.size();
  return draft;
}

void Outbox::acknowledged(const Draft& draft) {
  if (draft.message.job != job_ || draft.message.epoch != epoch_) return;
  while (!metrics_.empty() && metrics_.front().seq <= draft.last_metric) metrics_.pop_front();
  while (!events_.empty() && events_from_ < draft.events_end) {
    events_.pop_front();
    ++events_from_;
  }
  acknowledged_ = draft.revision;
  if (draft.message.result) result_acknowledged_ = true;
}

bool Outbox::reportDue(Time now) const {
  if (!result_acknowledged_ && !heldBack(now)) return true;
  return acknowledged_ < revision_ || !metrics_.empty();
}

bool Outbox::drained() const {
  return result_acknowledged_ && acknowledged_ == revision_ && unshipped() == 0;
}

bool Outbox::heldBack(Time now) const {
  return result_ && now < hold_until_ && unshipped() > 0;
}

std::optional<Outbox::LogStream> Outbox::nextLog() {
  while (!logs_.empty() && logs_.front().ended && logs_.front().acked >= logs_.front().size)
    logs_.pop_front();
  for (const LogStream& stream : logs_) {
    if (stream.acked < stream.size) return stream;
  }
  return std::nullopt;
}

void Outbox::logAcknowledged(const LogStream& stream, std::uint64_t size) {
  for (LogStream& known : logs_) {
    if (same(known, stream)) known.acked = size;
  }
}

void Outbox::logRefused(const LogStream& stream) {
  std::erase_if(logs_, [&](const LogStream& known) { return same(known, stream); });
}

std::uint64_t Outbox::unshipped() const {
  std::uint64_t bytes = 0;
  for (const LogStream& stream : logs_) bytes += stream.size - std::min(stream.acked, stream.size);
  return bytes;
}

}  // namespace buoy::agent
