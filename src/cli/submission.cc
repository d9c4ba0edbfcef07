#include "cli/submission.h"

#include <filesystem>
#include <random>

#include "api/views.h"
#include "base/strings.h"
#include "cli/exit_codes.h"
#include "cli/render/progress.h"
#include "cli/upload.h"

namespace buoy::cli {
namespace {

// So that a submit whose answer was lost can be repeated without making a second job.
std::string freshRequestId() {
  std::random_device random;
  std::string id = "cli-";
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t word = random();
    const unsigned char bytes[] = {static_cast<unsigned char>(word >> 24),
                                   static_cast<unsigned char>(word >> 16),
                                   static_cast<unsigned char>(word >> 8), static_cast<unsigned char>(word)};
    id += toHex(bytes);
  }
  return id;
}

JobInputOptions inputOptions(bool server_is_here) {
  JobInputOptions options;
  std::error_code error;
  options.directory = std::filesystem::current_path(error).string();
  options.home = environment("HOME").value_or("");
  options.inputs_are_here = server_is_here;
  options.environment = [](const std::string& name) { return environment(name.c_str()); };
  return options;
}

// Asks twice: a server that was just killed may have committed without being able to say so.
Result<net::Response> postJob(Connection& connection, const std::string& body) {
  auto response = connection.send("POST", "/v1/jobs", body);
  if (response || response.error().code != ErrorCode::unavailable || !response.error().retryable)
    return response;
  return connection.send("POST", "/v1/jobs", body);
}

}  // namespace

tl::expected<std::unique_ptr<Connection>, int> connect(const Context& context, Connection::Start start) {
  auto address = serverAddress(context.server);
  if (!address) return tl::unexpected(context.fail(address.error()));
  return std::make_unique<Connection>(std::move(*address), start);
}

tl::expected<JobInput, int> readInput(const Context& context, const JobFlags& flags, bool server_is_here) {
  auto input = readJob(flags, inputOptions(server_is_here));
  if (!input) {
    context.note(renderProblems(context.err, input.error()));
    return tl::unexpected(static_cast<int>(ExitCode::usage));
  }
  for (const std::string& note : input->notes)
    context.note(paint(context.err, Color::dim, "note: " + note) + "\n");
  if (context.err_terminal) {
    for (const std::string& hint : input->hints)
      context.note(paint(context.err, Color::dim, "hint: " + hint) + "\n");
  }
  return std::move(*input);
}

Result<std::string> upload(const Context& context, Connection& connection, const SourceTree& source) {
  UploadStats stats;
  const bool live = context.err_terminal;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    if (live) context.note("\r\033[2K" + progressLine(context.err, "uploading", done, total));
  };
  auto sha256 = uploadSource(connection, source, progress, stats);
  if (live && stats.new_blobs > 0) context.note("\r\033[2K");
  if (!sha256) return fail(sha256.error().wrap("upload"));
  if (stats.new_blobs > 0) {
    const std::string line =
        "uploaded " + counted(stats.new_blobs, "file") + " (" + formatByteCount({stats.new_bytes}) + ")";
    context.note(paint(context.err, Color::dim, line) + "\n");
  }
  return sha256;
}

tl::expected<Submitted, int> submit(const Context& context, Connection& connection, const JobFlags& flags) {
  const auto refused = [&](const std::vector<api::Problem>& problems) {
    context.note(renderProblems(context.err, problems));
    return tl::unexpected(static_cast<int>(ExitCode::usage));
  };
  auto input =
      readInput(context, flags, connection.address().endpoint.kind == net::Endpoint::Kind::unix_socket);
  if (!input) return tl::unexpected(input.error());
  api::SubmitRequest request;
  request.spec = input->spec;
  request.request_id = flags.request_id.empty() ? freshRequestId() : flags.request_id;
  if (!input->source.files.empty()) {
    auto sha256 = upload(context, connection, input->source);
    if (!sha256) return tl::unexpected(context.fail(sha256.error()));
    request.spec.source = std::move(*sha256);
  }
  auto response = postJob(connection, api::toJson(request));
  if (!response) return tl::unexpected(context.fail(response.error()));
  if (response->status / 100 != 2) {
    if (auto error = api::parseError(response->body); error && !error->problems.empty()) {
      std::vector<api::Problem> problems;
      for (api::Problem& problem : error->problems) {
        // The request's own wrapping is no concern of the user.
        if (problem.field.starts_with("spec.")) problem.field.erase(0, 5);
        problems.push_back(placed(flags, *input, std::move(problem)));
      }
      return refused(problems);
    }
    return tl::unexpected(context.fail(api::errorFromAnswer(response->status, response->body)));
  }
  auto answer = api::parseSubmitAnswer(response->body);
  if (!answer) return tl::unexpected(context.fail(answer.error().wrap("the server's answer")));
  return Submitted{answer->job, answer->name, std::move(response->body)};
}

}  // namespace buoy::cli
