// buoy download: fetch what a job left.
#include <filesystem>
#include <memory>

#include "api/job_spec.h"
#include "api/views.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/fetch.h"
#include "cli/job_feed.h"
#include "cli/render/progress.h"
#include "cli/source.h"
#include "cli/submission.h"
#include "net/url.h"
#include "objstore/newest_version.h"
#include "objstore/restore.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

struct DownloadFlags {
  std::string job, directory;
  bool checkpoint = false, list = false, json = false;
};

// A project's next job is not to be given what an earlier one left.
Status keepOutOfSource(const std::string& directory) {
  return os::writeFileAtomic(directory + "/" + kIgnoreFile, "*\n", 0644);
}

// What was there before is the user's, and stays as it is.
Status makeDownloadDirectory(const std::string& directory) {
  std::error_code ignored;
  if (std::filesystem::exists(directory, ignored) || ignored) return {};
  BUOY_TRY_VOID(os::makeDirectories(directory));
  return keepOutOfSource(directory);
}

// From the store itself, which this machine must reach: the server hands out outputs only.
int runCheckpoint(const Context& context, Connection& connection, const api::JobView& job,
                  const DownloadFlags& flags) {
  const std::string directory = flags.directory.empty() ? job.request.name + "-checkpoint" : flags.directory;
  std::error_code ignored;
  const bool is_new = !std::filesystem::exists(directory, ignored);
  if (!flags.list && !std::filesystem::is_empty(directory, ignored) && !ignored)
    return context.fail({ErrorCode::failed_precondition,
                         directory + " is not empty, and a checkpoint would replace what is there: name "
                                     "another directory"});
  const auto described = connection.get("/v1/server");
  if (!described) return context.fail(described.error());
  const auto server = api::parseServer(*described);
  if (!server) return context.fail(server.error());
  if (!connection.address().own && server->store.starts_with("file://"))
    return context.fail(
        {ErrorCode::failed_precondition,
         strCat({"the checkpoints are in ", server->store, " on the server's machine: download there"})});
  auto store = objstore::openStore(server->store);
  if (!store) return context.fail(store.error().wrap("the store " + server->store));
  const std::string prefix = strCat({server->cluster, "/", job.id.toString(), "/checkpoints"});
  std::string done;
  const Status used = objstore::useNewestVersion(**store, prefix, [&](objstore::Manifest& version) -> Status {
    done.clear();
    if (flags.list) {
      for (const objstore::CheckpointFile& file : version.files)
        if (file.kind != objstore::CheckpointFile::Kind::directory) done += file.path + "\n";
      return {};
    }
    if (auto restored = objstore::restoreVersion(**store, prefix + "/", version, directory); !restored) {
      if (is_new) (void)os::removeTree(directory);
      return fail(std::move(restored).error());
    }
    if (is_new) BUOY_TRY_VOID(keepOutOfSource(directory));
    done = strCat({directory, " (version ", std::to_string(version.version), ")\n"});
    return {};
  });
  if (!used && used.error().code == ErrorCode::not_found)
    return context.fail({ErrorCode::not_found, job.id.toString() + " has committed no checkpoint"});
  if (!used) return context.fail(used.error());
  context.print(done);
  return 0;
}

int runDownload(const Context& context, const DownloadFlags& flags) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto job = fetchJob(**connection, flags.job);
  if (!job) return context.fail(job.error());
  if (flags.checkpoint && flags.json)
    return context.fail(
        {ErrorCode::invalid_argument, "--json lists outputs; it has nothing to say of --checkpoint"});
  if (flags.checkpoint) return runCheckpoint(context, **connection, *job, flags);
  const std::string base = "/v1/jobs/" + job->id.toString() + "/outputs";
  auto body = (*connection)->get(base);
  if (!body) return context.fail(body.error());
  if (flags.json) {
    context.print(*body + "\n");
    return 0;
  }
  auto outputs = api::parseOutputs(*body);
  if (!outputs) return context.fail(outputs.error());
  if (outputs->empty()) {
    const bool ended = engine::isTerminal(job->phase);
    return context.fail({ErrorCode::not_found,
                         job->id.toString() + (ended ? " has left no outputs"
                                                     : " has no outputs yet: it is " +
                                                           std::string(engine::toString(job->phase))),
                         false});
  }
  const std::string directory = flags.directory.empty() ? job->request.name : flags.directory;
  if (!flags.list)
    if (const Status made = makeDownloadDirectory(directory); !made) return context.fail(made.error());
  std::uint64_t total = 0, done = 0;
  for (const api::OutputView& output : *outputs) total += output.size;
  const bool live = context.err_terminal;
  for (const api::OutputView& output : *outputs) {
    // The server is another machine's: its paths must not lead out of the directory.
    if (!api::isRelativePath(output.path))
      return context.fail(
          {ErrorCode::data_loss, "the server offers an unsafe path: " + cleaned(output.path), false});
    if (flags.list) {
      context.print(output.path + "\n");
      continue;
    }
    const auto progress = [&](std::uint64_t bytes) {
      done += bytes;
      if (live) context.note("\r\033[2K" + progressLine(context.err, "downloading", done, total));
    };
    const Status status = fetchFile(**connection, base + "/" + net::percentEncode(output.path, true),
                                    directory + "/" + output.path, progress);
    if (live) context.note("\r\033[2K");
    if (!status) return context.fail(status.error().wrap(output.path));
    context.print(directory + "/" + output.path + "\n");
  }
  return 0;
}

}  // namespace

void addDownload(Command& root) {
  auto flags = std::make_shared<DownloadFlags>();
  Command& command = root.add("download", "Fetch a job's outputs, or its newest checkpoint");
  command.argument("JOB", flags->job, "a job's id or name", Hint::job);
  command.optionalArgument("DIR", flags->directory,
                           "where to (a directory with the job's name, or NAME-checkpoint)", Hint::directory);
  command.flag("--checkpoint,-c", flags->checkpoint,
               "the newest checkpoint, also of a job that failed or still runs");
  command.flag("--list,-l", flags->list, "only list them");
  command.flag("--json", flags->json, "print the server's list");
  command.action = [flags](Context& context) { return runDownload(context, *flags); };
}

}  // namespace buoy::cli
