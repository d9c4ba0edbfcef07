// The server's own view, errors, and what clients ask.
#include <array>

#include "api/input_source.h"
#include "api/message_codec.h"
#include "api/views.h"

namespace buoy::api {
namespace {

constexpr std::size_t kLongestRequestId = 128;
constexpr std::size_t kMostHashes = 100'000;

constexpr std::array kCodes{
    ErrorCode::invalid_argument,    ErrorCode::not_found,         ErrorCode::already_exists,
    ErrorCode::failed_precondition, ErrorCode::permission_denied, ErrorCode::unauthenticated,
    ErrorCode::resource_exhausted,  ErrorCode::unavailable,       ErrorCode::deadline_exceeded,
    ErrorCode::data_loss,           ErrorCode::cancelled,         ErrorCode::internal};

ErrorCode codeForStatus(int http_status) {
  for (const ErrorCode code : kCodes) {
    if (httpStatus(code) == http_status) return code;
  }
  return http_status >= 400 && http_status < 500 ? ErrorCode::invalid_argument : ErrorCode::internal;
}

bool isRetryable(ErrorCode code) {
  return code == ErrorCode::unavailable || code == ErrorCode::resource_exhausted ||
         code == ErrorCode::deadline_exceeded;
}

void readError(MapReader& reader, ErrorView& error) {
  if (std::string word; reader.get("code", word)) {
    for (const ErrorCode code : kCodes) {
      if (word == toString(code)) error.code = code;  // a code of a newer server stays `internal`
    }
  }
  reader.get("message", error.message);
  readList(reader, "problems", [&](MapReader& item) {
    Problem& problem = error.problems.emplace_back();
    item.get("file", problem.file);
    item.get("line", problem.line);
    item.get("column", problem.column);
    item.get("field", problem.field);
    item.get("message", problem.message);
  });
}

}  // namespace

std::string toJson(const ServerView& server) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("version", server.version).field("pid", server.pid).field("started", server.started);
    writer.field("state_dir", server.state_dir);
    writeTexts(writer, "endpoints", server.endpoints);
    writer.field("cluster", server.cluster).field("store", server.store);
    writer.key("jobs").beginObject();
    writer.field("unfinished", server.unfinished).field("finished", server.finished).endObject();
  });
}

Result<ServerView> parseServer(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    ServerView server;
    reader.get("version", server.version);
    reader.get("pid", server.pid);
    reader.get("started", server.started);
    reader.get("state_dir", server.state_dir);
    reader.get("endpoints", server.endpoints);
    reader.get("cluster", server.cluster);
    reader.get("store", server.store);
    readChild(reader, "jobs", [&](MapReader& child) {
      child.get("unfinished", server.unfinished);
      child.get("finished", server.finished);
    });
    reader.require("version");
    return server;
  });
}

std::string toJson(const ErrorView& error) {
  return writeObject([&](JsonWriter& writer) {
    writer.key("error").beginObject().field("code", toString(error.code)).field("message", error.message);
    if (!error.problems.empty()) {
      writer.key("problems").beginArray();
      for (const Problem& problem : error.problems) {
        writer.beginObject()
            .field("file", problem.file)
            .field("line", problem.line)
            .field("column", problem.column);
        writer.field("field", problem.field).field("message", problem.message).endObject();
      }
      writer.endArray();
    }
    writer.endObject();
  });
}

Result<ErrorView> parseError(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    ErrorView error;
    readChild(reader, "error", [&](MapReader& child) { readError(child, error); });
    reader.require("error");
    return error;
  });
}

ErrorView viewOf(const Error& error) {
  return ErrorView{error.code, error.message, {}};
}

ErrorView viewOf(std::vector<Problem> problems) {
  std::string message = problems.empty() ? "the input is not valid" : problems.front().toString();
  return ErrorView{ErrorCode::invalid_argument, std::move(message), std::move(problems)};
}

int httpStatus(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return 400;
    case ErrorCode::unauthenticated:
      return 401;
    case ErrorCode::permission_denied:
      return 403;
    case ErrorCode::not_found:
      return 404;
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
      return 409;
    case ErrorCode::resource_exhausted:
      return 429;
    case ErrorCode::unavailable:
      return 503;
    case ErrorCode::deadline_exceeded:
      return 504;
    case ErrorCode::data_loss:
    case ErrorCode::cancelled:
    case ErrorCode::internal:
      return 500;
  }
  return 500;
}

Error errorFromAnswer(int http_status, std::string_view body) {
  if (auto view = parseError(body)) {
    return Error{view->code, std::move(view->message), isRetryable(view->code)};
  }
  const ErrorCode code = codeForStatus(http_status);
  return Error{code, "the server answered with HTTP status " + std::to_string(http_status),
               isRetryable(code)};
}

std::string toJson(const SubmitRequest& request) {
  return writeObject([&](JsonWriter& writer) {
    writer.key("spec").raw(toJson(request.spec));
    if (!request.request_id.empty()) writer.field("request_id", request.request_id);
  });
}

Parsed<SubmitRequest> parseSubmitRequest(std::string_view json) {
  auto root = parseJsonTree(json, kSpecJsonLimits);
  if (!root) return tl::unexpected(std::move(root).error());
  Problems problems{{}};
  MapReader reader(problems, *root, {});
  SubmitRequest request;
  reader.require("spec");
  if (const Node* spec = reader.find("spec")) {
    request.spec = readJob(problems, *spec, {}, {});
    for (const auto& [name, input] : request.spec.inputs) {
      const auto source = parseInputSource(input.from);
      const bool relative =
          source && source->kind == InputSource::Kind::path && !source->path.starts_with('/');
      if (relative && !problems.has("inputs." + name)) {
        problems.add(spec->mark, "inputs." + name,
                     "must be an absolute path on the control plane's host, not " + inQuotes(input.from));
      }
    }
  }
  if (reader.get("request_id", request.request_id) && request.request_id.size() > kLongestRequestId) {
    reader.wrong("request_id", "must be at most " + std::to_string(kLongestRequestId) + " characters");
  }
  reader.refuseUnknown();
  if (!problems.empty()) return tl::unexpected(problems.take());
  return request;
}

std::string toJson(const SubmitAnswer& answer) {
  return writeObject([&](JsonWriter& writer) { writer.field("job", answer.job).field("name", answer.name); });
}

Result<SubmitAnswer> parseSubmitAnswer(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    SubmitAnswer answer;
    reader.get("job", answer.job);
    reader.get("name", answer.name);
    reader.require("job");
    return answer;
  });
}

std::string toJson(const OpenMachineRequest& request) {
  return writeObject([&](JsonWriter& writer) {
    writer.field("pool", request.pool)
        .field("market", toString(request.market))
        .key("resources")
        .beginObject();
    writeResourceFields(writer, request.resources);
    writer.endObject().field("holder", request.holder);
  });
}

Result<OpenMachineRequest> parseOpenMachineRequest(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    OpenMachineRequest request;
    reader.get("pool", request.pool);
    reader.choice("market", request.market, {engine::Market::spot, engine::Market::on_demand});
    readResources(reader, request.resources);
    reader.get("holder", request.holder);
    reader.require("pool");
    if (request.resources.milli_cpus < 1) reader.wrong("resources", "cpus must be more than 0");
    if (request.resources.gpus < 0) reader.wrong("resources", "gpus must not be negative");
    if (request.holder.empty() || request.holder.size() > kLongestRequestId) {
      reader.wrong("holder", "must name who holds the machine, in at most 128 characters");
    }
    reader.refuseUnknown();
    return request;
  });
}

std::string toJson(const ReclaimRequest& request) {
  return writeObject([&](JsonWriter& writer) {
    writer.key("notice");
    request.notice ? writer.value(*request.notice) : writer.null();
  });
}

Result<ReclaimRequest> parseReclaimRequest(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    ReclaimRequest request;
    reader.get("notice", request.notice);
    reader.refuseUnknown();
    return request;
  });
}

std::string toJson(const ResumeRequest& request) {
  return writeObject([&](JsonWriter& writer) {
    if (request.budget != Money{}) writer.field("budget", request.budget);
  });
}

Result<ResumeRequest> parseResumeRequest(std::string_view json) {
  return parseObject(json, [](MapReader& reader) {
    ResumeRequest request;
    readScalar(reader, "budget", request.budget, parseBudget);
    reader.refuseUnknown();
    return request;
  });
}

std::string hashesToJson(std::string_view key, std::span<const std::string> hashes) {
  return writeList(key, hashes, [](JsonWriter& writer, const std::string& hash) { writer.value(hash); });
}

Result<std::vector<std::string>> parseHashes(std::string_view key, std::string_view json) {
  return parseObject(json, [&](MapReader& reader) {
    std::vector<std::string> hashes;
    reader.require(key);
    if (reader.list(key) != nullptr) reader.get(key, hashes);
    if (hashes.size() > kMostHashes) reader.wrong(key, "has more than 100,000 entries");
    for (const std::string& hash : hashes) {
      if (isSha256(hash)) continue;
      reader.wrong(key, "must be SHA-256 hashes of 64 lower-case hexadecimal digits, not " + inQuotes(hash));
      break;
    }
    return hashes;
  });
}

}  // namespace buoy::api
