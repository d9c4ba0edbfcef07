#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"
#include "objstore/s3/client.h"
#include "objstore/transfer/filters.h"
#include "objstore/transfer/transfer.h"
#include "os/system_clock.h"

// The options that cp, sync, ls and rm share, and what is made from them.
namespace buoy::cli {

// The server and who asks it.
struct StoreFlags {
  std::string endpoint, region, profile;
  std::string encryption, kms_key;  // --sse, --sse-kms-key-id
  os::SystemClock clock;            // of the client
};

// How much may be used, and what is said.
struct TransferFlags {
  StoreFlags store;
  objstore::Filters filters;
  bool dry_run = false, follow_links = true;
  bool quiet = false, only_errors = false, json = false, no_progress = false;
  std::string bandwidth, concurrency, part_size;
};

void addStoreOptions(Command& command, StoreFlags& flags);
void addEncryptionOptions(Command& command, StoreFlags& flags);
// --include and --exclude, in the order in which they are given.
void addFilterOptions(Command& command, objstore::Filters& filters);
void addLinkOptions(Command& command, TransferFlags& flags);
void addOutputOptions(Command& command, TransferFlags& flags);
void addSpeedOptions(Command& command, TransferFlags& flags);
// All that cp and sync have in common. `dry_run`: the help of --dry-run.
void addTransferOptions(Command& command, TransferFlags& flags, const std::string& dry_run);

// Reads the environment and the AWS files; asks nobody yet. `flags` must outlive the client.
Result<std::shared_ptr<objstore::s3::Client>> openStore(const StoreFlags& flags);
// invalid_argument names the option.
Result<objstore::TransferOptions> transferOptions(const TransferFlags& flags);

}  // namespace buoy::cli
