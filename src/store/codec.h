#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/events.h"
#include "engine/types.h"

// How the engine's values are kept in the database: JSON objects with the keys of docs/formats/state.md.
// Exact: times and durations are integer microseconds, money integer nano-dollars. Text that is not UTF-8 is
// kept with U+FFFD in place of the bad bytes.
//
// decode… gives data_loss when the text is no such object, and failed_precondition when a newer program wrote
// it. Unknown fields are ignored; missing ones keep their default. All functions are pure.
namespace buoy::store {

std::string encodeJob(const engine::Job& job);
Result<engine::Job> decodeJob(std::string_view text);
std::string encodeMachine(const engine::Machine& machine);
Result<engine::Machine> decodeMachine(std::string_view text);
std::string encodePool(const engine::Pool& pool);
Result<engine::Pool> decodePool(std::string_view text);
std::string encodeQueue(const engine::Queue& queue);
Result<engine::Queue> decodeQueue(std::string_view text);
std::string encodeDecision(const engine::Record::Decision& decision);
Result<engine::Record::Decision> decodeDecision(std::string_view text);
std::string encodeCandidates(const std::vector<engine::Record::Candidate>& candidates);
Result<std::vector<engine::Record::Candidate>> decodeCandidates(std::string_view text);

}  // namespace buoy::store
