#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace buoy::sim {

// What the control plane's store keeps. An interface, so that the real store's encoding can stand behind it:
// src/store is above this folder.
class Persistence {
 public:
  virtual ~Persistence() = default;
  // Durable when it returns. The ids in `changes` are looked up in `state`.
  virtual void commit(const engine::State& state, const engine::Changes& changes) = 0;
  // Everything unfinished, and the next ids, into an empty state.
  virtual void load(engine::State& state) const = 0;
};

// Copies of the engine's values.
class MemoryStore final : public Persistence {
 public:
  void commit(const engine::State& state, const engine::Changes& changes) override;
  void load(engine::State& state) const override;

 private:
  std::map<std::uint64_t, engine::Job> jobs_;          // unfinished
  std::map<std::uint64_t, engine::Machine> machines_;  // not gone
  std::map<std::string, engine::Pool> pools_;
  std::map<std::string, engine::Queue> queues_;
  std::uint64_t next_job_ = 1, next_machine_ = 1;
};

// Keeps nothing: for runs in which the control plane never crashes.
class NoStore final : public Persistence {
 public:
  void commit(const engine::State&, const engine::Changes&) override {}
  void load(engine::State&) const override {}
};

}  // namespace buoy::sim
