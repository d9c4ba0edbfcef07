#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/agent_protocol.h"
#include "base/clock.h"
#include "os/event_loop.h"
#include "schedule/checkpoint_interval.h"

namespace buoy::agent {

// Tells the job when to save, in a small file that is replaced whenever something in it changes
// (docs/formats/save-control.md): its counter grows when a save is due, was asked for, or must be now. The
// interval is found anew when something was saved, when the machine has passed an age, and when a save is
// due; nothing of that needs the control plane. Loop thread only.
class SaveControl {
 public:
  struct Options {
    std::string file;
    std::optional<Duration> fixed;  // the interval; nullopt: found out
    api::DirectiveMessage::Saving saving;
    std::uint64_t requests = 0;  // how many were asked for before this attempt
  };
  struct Callbacks {
    std::function<bool()>
        saves_at_notice;           // asked whenever the interval is found; the job runs then, or not yet
    std::function<void()> on_due;  // the counter has grown, and the job is not being stopped
  };

  SaveControl(os::EventLoop& loop, const Clock& clock, Options options, Callbacks callbacks);
  ~SaveControl();
  SaveControl(const SaveControl&) = delete;
  SaveControl& operator=(const SaveControl&) = delete;

  // Writes the file for the first time.
  Status begin();
  Duration interval() const { return chosen_.interval; }
  // A version is committed that holds what was complete at `covers`.
  void saved(const engine::SaveMeasure& measure, Time covers);
  // So many saves were asked for by now.
  void requested(std::uint64_t requests);
  // The machine is likelier to be reclaimed than it was.
  void atRisk();
  // The job is told to save and end: the last growth.
  void stopping();

 private:
  enum class Reason { start, interval, request, risk, stop };
  static std::string_view wordFor(Reason reason);
  void choose();
  void raise(Reason reason);
  void evaluate();
  void wait();
  void write();
  Time due() const { return last_ + chosen_.interval; }
  Duration age() const { return options_.saving.machine_age + (clock_.now() - began_); }

  os::EventLoop& loop_;
  const Clock& clock_;
  Options options_;
  Callbacks callbacks_;
  schedule::CheckpointInterval chosen_;
  Time began_{};
  Time last_{};  // the last save, or the last time that one was due
  std::uint64_t count_ = 0;
  Reason reason_ = Reason::start;
  bool stopping_ = false;
  std::string written_;
  os::EventLoop::TimerId timer_ = 0;
};

}  // namespace buoy::agent
