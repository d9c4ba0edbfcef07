#include <cstdint>
#include <string_view>

#include "api/agent_protocol.h"
#include "api/views.h"
#include "base/result.h"

namespace {

// What is taken can be written and taken again, and is then the same text. Only texts with a word of the
// message are tried: each parser would spend the same time to refuse the others.
template <class Parse>
void check(std::string_view text, std::string_view word, Parse parse) {
  if (text.find(word) == std::string_view::npos) return;
  const auto value = parse(text);
  if (!value) return;
  const std::string json = buoy::api::toJson(*value);
  const auto again = parse(json);
  BUOY_CHECK(again && buoy::api::toJson(*again) == json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, "cluster", parseAgentConfig);
  check(text, "version", parseHello);
  check(text, "directive", parseDirectiveMessage);
  check(text, "phases", parseReportMessage);
  check(text, "phase", parseJob);
  check(text, "market", parseMachine);
  check(text, "seq", parseRecord);
  check(text, "cursor", parseLogLine);
  check(text, "points", parseMetricSeries);
  check(text, "error", parseError);
  return 0;
}
