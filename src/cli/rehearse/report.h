#pragma once

#include <string>

#include "cli/rehearse/rehearsal.h"
#include "cli/render/look.h"

// What a rehearsal found, for people and for programs. Pure.
namespace buoy::cli {

struct RehearsalReport {
  std::string name;
  RehearsalOutcome outcome;
  RehearsalCost cost;
  std::string hazard_source;  // "recorded spot markets", "312 machines of this server"
};

std::string renderRehearsal(const Look& look, const RehearsalReport& report);
// docs/rehearse.md.
std::string toJson(const RehearsalReport& report);
Color colorOf(Verdict verdict);

}  // namespace buoy::cli
