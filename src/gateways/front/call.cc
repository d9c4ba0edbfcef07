#include "gateways/front/call.h"

#include <optional>

#include "api/json_writer.h"
#include "aws/sigv4_verify.h"
#include "base/strings.h"

namespace buoy::gateways::front {
namespace {

constexpr std::string_view kLogsTarget = "Logs_20140328.";
constexpr std::string_view kTags = "/v1/tags/";
constexpr std::string_view kVersion = "/v1/";

// "submitjob", "describecomputeenvironments": one lower-case word, as no route of Buoy's own with POST is.
bool isBatchOperation(std::string_view word) {
  for (const std::string_view verb : {"create", "update", "delete", "describe", "register", "deregister",
                                      "submit", "list", "cancel", "terminate"}) {
    if (!word.starts_with(verb)) continue;
    for (const std::string_view noun : {"computeenvironment", "jobqueue", "job", "schedulingpolic"}) {
      if (word.substr(verb.size()).starts_with(noun)) return word.find('/') == std::string_view::npos;
    }
  }
  return false;
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool whole = text[i] == '%' && i + 2 < text.size();
    const int high = whole ? hexDigit(text[i + 1]) : -1, low = whole ? hexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<Service> serviceNamed(std::string_view name) {
  if (name == "batch") return Service::batch;
  if (name == "logs") return Service::logs;
  return std::nullopt;
}

}  // namespace

std::optional<Call> recognise(const Arrival& arrival) {
  Call call;
  call.method = arrival.method;
  if (arrival.query != nullptr) call.query = *arrival.query;
  const auto claim = aws::parseAuthorization(arrival.authorization);
  if (claim) call.region = claim->region;
  if (arrival.target.starts_with(kLogsTarget)) {
    call.service = Service::logs;
    call.operation = arrival.target.substr(kLogsTarget.size());
    return call;
  }
  if (arrival.path.starts_with(kTags)) {
    call.operation = "tags";
    call.resource = decoded(arrival.path.substr(kTags.size()));
    return call;
  }
  const std::string_view word =
      arrival.path.starts_with(kVersion) ? arrival.path.substr(kVersion.size()) : std::string_view();
  if (arrival.method == "POST" && isBatchOperation(word)) {
    call.operation = word;
    return call;
  }
  if (!aws::isSigned(arrival.authorization)) return std::nullopt;
  call.service = claim ? serviceNamed(claim->service).value_or(Service::batch) : Service::batch;
  return call;
}

Answer errorAnswer(int status, std::string_view type, std::string_view message) {
  Answer answer;
  answer.status = status;
  answer.error_type = type;
  api::JsonWriter writer(answer.body);
  writer.beginObject().field("__type", type).field("message", message).endObject();
  return answer;
}

Answer errorAnswer(Service service, const Error& error) {
  const bool batch = service == Service::batch;
  switch (error.code) {
    case ErrorCode::not_found:
      return errorAnswer(400, batch ? "ClientException" : "ResourceNotFoundException", error.message);
    case ErrorCode::invalid_argument:
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::permission_denied:
    case ErrorCode::unauthenticated:
    case ErrorCode::cancelled:
      return errorAnswer(400, batch ? "ClientException" : "InvalidParameterException", error.message);
    case ErrorCode::resource_exhausted:
      return errorAnswer(429, "TooManyRequestsException", error.message);
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      return errorAnswer(500, batch ? "ServerException" : "ServiceUnavailableException", error.message);
  }
  return errorAnswer(500, "ServerException", error.message);
}

std::string_view contentType(Service service) {
  return service == Service::logs ? "application/x-amz-json-1.1" : "application/json";
}

}  // namespace buoy::gateways::front
