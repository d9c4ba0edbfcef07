#include "cli/exit_codes.h"

namespace buoy::cli {
namespace {

ExitCode meaningOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return ExitCode::usage;
    case ErrorCode::not_found:
      return ExitCode::not_found;
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
      return ExitCode::unreachable;
    case ErrorCode::already_exists:
    case ErrorCode::failed_precondition:
    case ErrorCode::permission_denied:
    case ErrorCode::unauthenticated:
    case ErrorCode::resource_exhausted:
      return ExitCode::refused;
    case ErrorCode::cancelled:
      return ExitCode::cancelled;
    case ErrorCode::data_loss:
    case ErrorCode::internal:
      return ExitCode::failure;
  }
  return ExitCode::failure;
}

}  // namespace

int exitCodeOf(ErrorCode code) {
  return static_cast<int>(meaningOf(code));
}

int exitCodeOf(engine::JobPhase phase, std::optional<std::int32_t> exit_code) {
  switch (phase) {
    case engine::JobPhase::succeeded:
      return 0;
    case engine::JobPhase::failed:
      return exit_code.value_or(0) != 0 ? *exit_code : static_cast<int>(ExitCode::failure);
    case engine::JobPhase::cancelled:
      return static_cast<int>(ExitCode::cancelled);
    case engine::JobPhase::timed_out:
      return static_cast<int>(ExitCode::timed_out);
    case engine::JobPhase::queued:
    case engine::JobPhase::starting:
    case engine::JobPhase::running:
    case engine::JobPhase::recovering:
    case engine::JobPhase::stopping:
    case engine::JobPhase::paused:
      return 0;  // detached: the job goes on
  }
  return static_cast<int>(ExitCode::failure);
}

}  // namespace buoy::cli
