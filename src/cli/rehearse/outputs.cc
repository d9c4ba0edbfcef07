#include "cli/rehearse/outputs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "cli/fetch.h"
#include "cli/rehearse/judge.h"
#include "cli/render/look.h"
#include "net/url.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

constexpr Duration kIdle = std::chrono::seconds{60};
constexpr std::uint64_t kLongestText = 64u << 20;

std::string targetOf(JobId job, const std::string& path) {
  return strCat({"/v1/jobs/", job.toString(), "/outputs/", net::percentEncode(path, true)});
}

struct BytesCompared {
  std::uint64_t differing = 0, compared = 0;
  std::optional<std::uint64_t> first;
};

// The answer's bytes beside those of the file, in constant memory.
Result<BytesCompared> compareBytes(Connection& connection, const std::string& target,
                                   const std::string& path) {
  BUOY_TRY(const os::Fd file, os::openFile(path, O_RDONLY));
  BytesCompared result;
  std::string wanted;
  bool readable = true;
  BUOY_TRY_VOID(connection.stream(target, kIdle, [&](std::string_view chunk) {
    wanted.resize(chunk.size());
    const ssize_t got =
        ::pread(file.get(), wanted.data(), wanted.size(), static_cast<off_t>(result.compared));
    readable = got >= 0;
    if (!readable) return false;
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      if (i < static_cast<std::size_t>(got) && chunk[i] == wanted[i]) continue;
      ++result.differing;
      if (!result.first) result.first = result.compared + i;
    }
    result.compared += chunk.size();
    return true;
  }));
  if (!readable) return fail(ErrorCode::internal, "cannot read " + path);
  return result;
}

std::string tell(const BytesCompared& bytes, std::uint64_t wanted_size) {
  std::string text;
  if (bytes.compared != wanted_size)
    text =
        strCat({"has ", std::to_string(bytes.compared), " bytes rather than ", std::to_string(wanted_size)});
  if (!bytes.first) return text;
  return strCat({text, text.empty() ? "" : "; ", "differs first at byte ", std::to_string(*bytes.first),
                 " of ", std::to_string(wanted_size), ", in ", std::to_string(bytes.differing), " bytes"});
}

}  // namespace

Result<ReferenceOutputs> ReferenceOutputs::fetch(Connection& connection, const RehearsedRun& reference,
                                                 const std::string& directory) {
  ReferenceOutputs outputs;
  outputs.directory_ = directory;
  outputs.outputs_ = reference.outputs;
  for (const api::OutputView& output : outputs.outputs_) {
    BUOY_TRY_VOID(fetchFile(connection, targetOf(reference.id, output.path), directory + "/" + output.path,
                            [](std::uint64_t) {}));
  }
  return outputs;
}

Result<std::vector<Difference>> ReferenceOutputs::compare(Connection& connection, const RehearsedRun& run,
                                                          double tolerance) const {
  std::vector<Difference> differences;
  std::set<std::string> found;
  for (const api::OutputView& output : run.outputs) found.insert(output.path);
  for (const api::OutputView& wanted : outputs_) {
    const std::string name = "output " + cleaned(wanted.path);
    if (found.erase(wanted.path) == 0) {
      differences.push_back({name, "is missing"});
      continue;
    }
    const std::string file = directory_ + "/" + wanted.path, target = targetOf(run.id, wanted.path);
    BUOY_TRY(const BytesCompared bytes, compareBytes(connection, target, file));
    if (bytes.differing == 0 && bytes.compared == wanted.size) continue;
    std::string detail = tell(bytes, wanted.size);
    if (tolerance > 0 && std::max(bytes.compared, wanted.size) <= kLongestText) {
      BUOY_TRY(const std::string reference_text, os::readFile(file, kLongestText));
      BUOY_TRY(const std::string run_text, connection.get(target));
      if (isValidUtf8(reference_text) && isValidUtf8(run_text)) {
        const auto off = compareTexts(reference_text, run_text, tolerance);
        if (!off) continue;
        detail = *off;
      }
    }
    differences.push_back({name, std::move(detail)});
  }
  for (const std::string& extra : found)
    differences.push_back({"output " + cleaned(extra), "is there, and was not"});
  return differences;
}

}  // namespace buoy::cli
