#include "cli/fetch.h"

#include <fcntl.h>

#include <filesystem>

#include "os/files.h"

namespace buoy::cli {

Status fetchFile(Connection& connection, const std::string& target, const std::string& path,
                 const std::function<void(std::uint64_t)>& progress) {
  BUOY_TRY_VOID(os::makeDirectories(std::filesystem::path(path).parent_path().string()));
  const std::string temporary = path + ".part";
  BUOY_TRY(const os::Fd fd, os::openFile(temporary, O_WRONLY | O_CREAT | O_TRUNC));
  Status written;
  const Status status = connection.stream(target, std::chrono::seconds{60}, [&](std::string_view chunk) {
    written = os::writeAll(fd.get(), chunk);
    progress(chunk.size());
    return written.has_value();
  });
  std::error_code error;
  if (!status || !written) {
    std::filesystem::remove(temporary, error);
    return status ? written : status;
  }
  std::filesystem::rename(temporary, path, error);
  if (error) return fail(ErrorCode::internal, path + ": " + error.message());
  return {};
}

}  // namespace buoy::cli
