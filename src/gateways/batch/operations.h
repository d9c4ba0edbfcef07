#pragma once

#include <string>

#include "api/json_writer.h"
#include "gateways/backend.h"
#include "gateways/batch/library.h"
#include "gateways/batch/names.h"
#include "gateways/front/body.h"
#include "gateways/front/call.h"

// The operations, one function each, by what they are about; and what these functions share. Private to this
// folder.
namespace buoy::gateways::batch {

struct Desk {
  Backend& backend;
  Library& library;
};

// What an operation that only looks answers: JSON.
using Look = Result<std::string> (*)(const Desk& desk, const front::Call& call);
Result<std::string> describeComputeEnvironments(const Desk& desk, const front::Call& call);
Result<std::string> describeJobQueues(const Desk& desk, const front::Call& call);
Result<std::string> describeJobDefinitions(const Desk& desk, const front::Call& call);
Result<std::string> describeSchedulingPolicies(const Desk& desk, const front::Call& call);
Result<std::string> listSchedulingPolicies(const Desk& desk, const front::Call& call);
Result<std::string> describeJobs(const Desk& desk, const front::Call& call);
Result<std::string> listJobs(const Desk& desk, const front::Call& call);
Result<std::string> listTags(const Desk& desk, const front::Call& call);

// What an operation that changes something wants done, and what it answers when that is durable.
struct Order {
  Change change;
  std::function<std::string(const engine::Reply& reply)> answer;
  // What some refusals of the engine mean here; null: what they say.
  std::function<Result<std::string>(const Error& error)> refused;
};
using Act = Result<Order> (*)(const Desk& desk, const front::Call& call);
Result<Order> createComputeEnvironment(const Desk& desk, const front::Call& call);
Result<Order> updateComputeEnvironment(const Desk& desk, const front::Call& call);
Result<Order> deleteComputeEnvironment(const Desk& desk, const front::Call& call);
Result<Order> createJobQueue(const Desk& desk, const front::Call& call);
Result<Order> updateJobQueue(const Desk& desk, const front::Call& call);
Result<Order> deleteJobQueue(const Desk& desk, const front::Call& call);
Result<Order> registerJobDefinition(const Desk& desk, const front::Call& call);
Result<Order> deregisterJobDefinition(const Desk& desk, const front::Call& call);
Result<Order> createSchedulingPolicy(const Desk& desk, const front::Call& call);
Result<Order> updateSchedulingPolicy(const Desk& desk, const front::Call& call);
Result<Order> deleteSchedulingPolicy(const Desk& desk, const front::Call& call);
Result<Order> submitJob(const Desk& desk, const front::Call& call);
Result<Order> cancelJob(const Desk& desk, const front::Call& call);
Result<Order> terminateJob(const Desk& desk, const front::Call& call);
Result<Order> tagResource(const Desk& desk, const front::Call& call);
Result<Order> untagResource(const Desk& desk, const front::Call& call);

// ---- shared

std::int64_t epochMillis(Time time);
// {"NAMEKey": "…", "ARNKey": "arn:…"} as every create and update answers.
std::string namesAnswer(std::string_view region, Thing thing, std::string_view name,
                        std::string_view name_key, std::string_view arn_key);
// At most 50 tags of at most 128 and 256 characters.
Status checkTags(const api::Node* tags);
// Appends the document of a thing's tags, if the request has any.
Status addTags(Change& change, Thing thing, const std::string& name, const api::Node* tags);
store::Resource tagsOf(Thing thing, const std::string& name, std::string body);
void writeTags(api::JsonWriter& writer, const Desk& desk, Thing thing, const std::string& name);

// A scheduling policy as the engine knows it; the document was checked when it was taken.
engine::FairShare fairShareOf(const api::Node& policy);
// jobStateTimeLimitActions: a list of {reason, state, maxTimeSeconds, action}.
Result<std::vector<engine::StuckLimit>> stuckLimitsOf(front::Body& body, const api::Node* list);
// schedulingPriority and the like; invalid_argument: not from 0 to 9999.
Status readSchedulingPriority(front::Body& body, const api::Node& map, std::string_view key, int& priority);

// maxResults (1 to `most`, default `most`) and nextToken, which is the last name of the page before.
struct Page {
  std::size_t most = 100;
  std::string after;
};
Result<Page> readPage(front::Body& body, std::size_t most = 100);

}  // namespace buoy::gateways::batch
