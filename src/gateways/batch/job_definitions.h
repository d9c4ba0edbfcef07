#pragma once

#include <string>
#include <string_view>

#include "gateways/batch/operations.h"

namespace buoy::gateways::batch {

// One revision of a job definition, as it was registered.
struct Definition {
  std::string name;
  std::uint32_t revision = 0;
  Library::Document document;  // the request that registered it, and "status"
  bool active() const;
  std::string nameAndRevision() const { return name + ":" + std::to_string(revision); }
};
// By "name" (the newest that is active), "name:revision" or ARN. not_found.
Result<Definition> findDefinition(const Desk& desk, std::string_view reference);

}  // namespace buoy::gateways::batch
