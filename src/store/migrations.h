#pragma once

#include <span>

#include "base/result.h"
#include "store/database.h"

namespace buoy::store {

// Step N brings a database from user_version N to N + 1. Only ever append: a step that was released never
// changes.
std::span<const char* const> migrations();

// Brings the database to the newest version, each step in one transaction. failed_precondition when it was
// made by a newer program.
Status migrate(Database& db);

}  // namespace buoy::store
