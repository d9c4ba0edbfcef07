#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/transfer/args.h"
#include "cli/transfer/place.h"
#include "cli/transfer/report.h"
#include "objstore/transfer/sync_plan.h"
#include "objstore/transfer/transfer.h"

namespace buoy::cli {

// Begins what a plan asks for and reports how it ends; with dry_run it only reports. One thread calls.
class Mover {
 public:
  Mover(const Route& route, std::shared_ptr<objstore::s3::Client> client, objstore::TransferOptions options,
        Report& report, std::stop_token stop, bool dry_run);
  ~Mover();  // waits
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  void transfer(objstore::TreeEntry entry);
  // Of what the destination has and the source has not.
  void remove(const std::string& relative);
  // Everything begun has ended.
  void wait();

 private:
  // Why the file cannot be begun at all.
  Status check(const objstore::TreeEntry& entry);
  void begin(objstore::TreeEntry entry, Outcome outcome);
  void removeKeys();

  const Route& route_;
  const std::shared_ptr<objstore::s3::Client> client_;
  Report& report_;
  const bool dry_run_;
  std::vector<std::string> keys_;                         // to be removed by one request
  const std::shared_ptr<objstore::Transfers> transfers_;  // the report looks at its progress
};

// Removes keys, up to 1,000 in one request, and reports each. `report` must outlive the transfers.
void removeObjects(objstore::Transfers& transfers, const std::shared_ptr<objstore::s3::Client>& client,
                   const std::string& bucket, std::vector<std::string> keys, Report& report);
inline constexpr std::size_t kKeysAtOnce = 1000;

}  // namespace buoy::cli
