#pragma once

#include <string>

#include "api/views.h"
#include "cli/render/look.h"

namespace buoy::cli {

// How much of a job's history is told: everything, or what somebody who watches the job wants to know.
enum class Telling : std::uint8_t { brief, full };

// "$0.30/h".
std::string formatHourly(PricePerHour price);
// One line for a record: sign, time of day, sentence. Empty if this telling leaves it out.
std::string renderRecord(const Look& look, const api::RecordView& record, Telling telling,
                         std::string_view time);
// What was known when a decision was made, a line a pool, indented; empty if it is not recorded.
std::string renderKnown(const Look& look, const api::RecordView& record);
// Of a decision about a job with a deadline: what its policy was shown, indented.
std::string renderSteered(const Look& look, const engine::Record::Steered& steered);
// The candidates of a decision as a table, indented; empty if there are none.
std::string renderCandidates(const Look& look, const api::RecordView& record);

}  // namespace buoy::cli
