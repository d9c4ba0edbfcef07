#include "agent/save_control.h"

#include <algorithm>

#include "agent/workspace.h"
#include "api/json_writer.h"
#include "os/log.h"

namespace buoy::agent {
namespace {

// A timer for longer than this may as well look again then.
constexpr Duration kLongestWait = std::chrono::hours{1};

}  // namespace

SaveControl::SaveControl(os::EventLoop& loop, const Clock& clock, Options options, Callbacks callbacks)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      began_(clock.now()),
      last_(began_) {
  choose();
}

SaveControl::~SaveControl() {
  loop_.cancel(timer_);
}

std::string_view SaveControl::wordFor(Reason reason) {
  switch (reason) {
    case Reason::start:
      return "start";
    case Reason::interval:
      return "interval";
    case Reason::request:
      return "request";
    case Reason::risk:
      return "risk";
    case Reason::stop:
      return "stop";
  }
  return "start";
}

Status SaveControl::begin() {
  written_.clear();
  write();
  wait();
  if (written_.empty()) return fail(ErrorCode::unavailable, "cannot write " + options_.file);
  return {};
}

void SaveControl::saved(const engine::SaveMeasure& measure, Time covers) {
  options_.saving.last = measure;
  last_ = std::max(last_, covers);
  choose();
  write();
  wait();
}

void SaveControl::requested(std::uint64_t requests) {
  if (requests <= options_.requests) return;
  options_.requests = requests;
  raise(Reason::request);
}

void SaveControl::atRisk() {
  if (!stopping_) raise(Reason::risk);
}

void SaveControl::stopping() {
  if (stopping_) return;
  stopping_ = true;
  raise(Reason::stop);
}

void SaveControl::choose() {
  chosen_ = schedule::chooseInterval({.hazard = options_.saving.hazard,
                                      .age = age(),
                                      .save = options_.saving.last,
                                      .saves_at_notice = callbacks_.saves_at_notice()});
  if (options_.fixed) chosen_.interval = *options_.fixed;
}

void SaveControl::raise(Reason reason) {
  ++count_;
  reason_ = reason;
  last_ = clock_.now();
  choose();
  write();
  wait();
  if (!stopping_) callbacks_.on_due();
}

void SaveControl::evaluate() {
  choose();
  if (clock_.now() >= due()) return raise(Reason::interval);
  write();
  wait();
}

void SaveControl::wait() {
  loop_.cancel(timer_);
  timer_ = 0;
  if (stopping_) return;
  const Time now = clock_.now();
  const Duration next_step = options_.fixed ? Duration::max() : options_.saving.hazard.nextStep(age());
  Duration delay = std::min(due() - now, kLongestWait);
  if (next_step != Duration::max()) delay = std::min(delay, next_step - age());
  timer_ = loop_.after(std::max(delay, Duration{0}), [this] { evaluate(); });
}

void SaveControl::write() {
  std::string text;
  api::JsonWriter writer(text);
  writer.beginObject().field("version", 1).field("save_now", count_).field("reason", wordFor(reason_));
  writer.field("interval_seconds", chosen_.interval);
  writer.field("save_by", due().time_since_epoch());
  writer.field("auto", !options_.fixed).field("save_cost_seconds", chosen_.cost);
  writer.field("losses_per_hour", chosen_.losses_per_hour).field("notice_covers", chosen_.notice_covers);
  writer.endObject();
  text += '\n';
  if (text == written_) return;
  if (const Status replaced = replaceFile(options_.file, text); !replaced) {
    // The job goes on by what it read last.
    os::log(os::LogLevel::warn, "save_control_not_written", {{"error", replaced.error().message}});
    return;
  }
  written_ = std::move(text);
}

}  // namespace buoy::agent
