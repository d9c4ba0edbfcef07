#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

// What the doors that AWS's own clients knock at have in common: one port for all of them, their errors.
namespace buoy::gateways::front {

enum class Service { batch, logs };

// A request on its way through a door.
struct Call {
  Service service = Service::batch;
  std::string operation;                                   // "submitjob", "tags", "GetLogEvents"
  std::string method;                                      // where the operation does not say it: tags
  std::string resource;                                    // tags: the ARN
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  std::string body;
  std::string region = "us-east-1";  // of the credential, for the ARNs of the answer
  std::string invocation;            // the same when a client tries a call again; empty: it does not say
};

struct Answer {
  int status = 200;
  std::string body;        // JSON
  std::string error_type;  // "ClientException"; empty: it is none
};
using Reply = std::function<void(Answer)>;

// Which service a request is for, by target header, path and the scope of its credential, with `operation`,
// `method`, `resource`, `query` filled in; an unknown operation is kept as it is. nullopt: it is not for AWS.
// `path` as sent. Pure.
struct Arrival {
  std::string_view method, path, target, authorization;
  const std::vector<std::pair<std::string, std::string>>* query = nullptr;
};
std::optional<Call> recognise(const Arrival& arrival);

Answer errorAnswer(int status, std::string_view type, std::string_view message);
// As the service names it: ClientException 400, TooManyRequestsException 429, ServerException 500; for logs
// InvalidParameterException, ResourceNotFoundException, ServiceUnavailableException.
Answer errorAnswer(Service service, const Error& error);
std::string_view contentType(Service service);

}  // namespace buoy::gateways::front
