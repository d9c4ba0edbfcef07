#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/job_spec.h"
#include "base/result.h"
#include "net/http.h"

// The shapes of every answer of the API.
namespace buoy::control {

void sendJson(net::Responder& responder, int status, std::string json);
net::Response errorResponse(const Error& error);  // the status of its code; Retry-After where that helps
void sendError(net::Responder& responder, const Error& error);
void sendProblems(net::Responder& responder, std::vector<api::Problem> problems);  // 400

// A query parameter as a number from `low` to `high`, or `fallback` if it is not given; invalid_argument
// naming it.
Result<std::int64_t> numberParameter(const net::Request& request, std::string_view name,
                                     std::int64_t fallback, std::int64_t low, std::int64_t high);
// 1, true, yes or an empty value; 0, false, no; nullopt if it is not given.
Result<std::optional<bool>> flagParameter(const net::Request& request, std::string_view name);

}  // namespace buoy::control
