#include "gateways/batch/door.h"

#include <array>

#include "base/strings.h"
#include "gateways/batch/operations.h"

namespace buoy::gateways::batch {
namespace {

struct Operation {
  std::string_view name;
  Look look = nullptr;
  Act act = nullptr;
};

constexpr std::array kOperations = {
    Operation{"createcomputeenvironment", nullptr, createComputeEnvironment},
    Operation{"describecomputeenvironments", describeComputeEnvironments},
    Operation{"updatecomputeenvironment", nullptr, updateComputeEnvironment},
    Operation{"deletecomputeenvironment", nullptr, deleteComputeEnvironment},
    Operation{"createjobqueue", nullptr, createJobQueue},
    Operation{"describejobqueues", describeJobQueues},
    Operation{"updatejobqueue", nullptr, updateJobQueue},
    Operation{"deletejobqueue", nullptr, deleteJobQueue},
    Operation{"registerjobdefinition", nullptr, registerJobDefinition},
    Operation{"describejobdefinitions", describeJobDefinitions},
    Operation{"deregisterjobdefinition", nullptr, deregisterJobDefinition},
    Operation{"createschedulingpolicy", nullptr, createSchedulingPolicy},
    Operation{"describeschedulingpolicies", describeSchedulingPolicies},
    Operation{"listschedulingpolicies", listSchedulingPolicies},
    Operation{"updateschedulingpolicy", nullptr, updateSchedulingPolicy},
    Operation{"deleteschedulingpolicy", nullptr, deleteSchedulingPolicy},
    Operation{"submitjob", nullptr, submitJob},
    Operation{"describejobs", describeJobs},
    Operation{"listjobs", listJobs},
    Operation{"canceljob", nullptr, cancelJob},
    Operation{"terminatejob", nullptr, terminateJob},
};
constexpr Operation kTagResource{"POST", nullptr, tagResource};
constexpr Operation kUntagResource{"DELETE", nullptr, untagResource};
constexpr Operation kListTags{"GET", listTags};

const Operation* find(const front::Call& call) {
  if (call.operation == "tags") {
    for (const Operation* tag : {&kTagResource, &kUntagResource, &kListTags}) {
      if (tag->name == call.method) return tag;
    }
    return nullptr;
  }
  for (const Operation& operation : kOperations) {
    if (operation.name == call.operation) return &operation;
  }
  return nullptr;
}

front::Answer answerOf(const Result<std::string>& body) {
  if (!body) return front::errorAnswer(front::Service::batch, body.error());
  front::Answer answer;
  answer.body = *body;
  return answer;
}

}  // namespace

Result<std::unique_ptr<Door>> Door::open(Backend& backend) {
  std::unique_ptr<Door> door(new Door(backend));
  BUOY_TRY(const std::vector<store::Resource> kept, backend.store().resources());
  BUOY_TRY_VOID(door->library_.load(kept));
  return door;
}

bool Door::changes(const front::Call& call) {
  const Operation* const operation = find(call);
  return operation != nullptr && operation->act != nullptr;
}

void Door::handle(const front::Call& call, front::Reply reply) {
  const Operation* const operation = find(call);
  if (operation == nullptr) {
    return reply(
        front::errorAnswer(404, "UnknownOperationException",
                           strCat({"AWS Batch has no operation ", inQuotes(call.operation), " here"})));
  }
  const Desk desk{backend_, library_};
  if (operation->look != nullptr) return reply(answerOf(operation->look(desk, call)));
  auto order = operation->act(desk, call);
  if (!order) return reply(answerOf(fail(order.error())));
  const std::vector<store::Resource> resources = order->change.resources;
  if (order->change.events.empty() && resources.empty()) return reply(answerOf(order->answer({})));
  const auto done = [this, resources, reply = std::move(reply), answer = std::move(order->answer),
                     refused = std::move(order->refused)](const Result<engine::Reply>& outcome) {
    if (!outcome) return reply(answerOf(refused ? refused(outcome.error()) : fail(outcome.error())));
    for (const store::Resource& resource : resources) {
      if (const Status put = library_.put(resource); !put) return reply(answerOf(fail(put.error())));
    }
    reply(answerOf(answer(*outcome)));
  };
  backend_.apply(std::move(order->change), done);
}

}  // namespace buoy::gateways::batch
