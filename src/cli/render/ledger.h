#pragma once

#include <string>

#include "api/views.h"
#include "cli/render/look.h"

namespace buoy::cli {

// Where every second and dollar of a job went, what that makes, and what on-demand machines would have cost.
std::string renderLedger(const Look& look, const api::LedgerView& ledger);

}  // namespace buoy::cli
