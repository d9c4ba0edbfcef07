#include <cstdint>
#include <string>
#include <string_view>

#include "gateways/spotty/project.h"
#include "gateways/spotty/script_template.h"

// The text before the first NUL is a spotty.yaml, what follows it the override.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace spotty = buoy::gateways::spotty;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const spotty::SourceText main{"spotty.yaml", std::string(input.substr(0, end))};
  spotty::SourceText over;
  if (end != std::string_view::npos) over = {"spotty.override.yaml", std::string(input.substr(end + 1))};
  const auto project = spotty::parseProject(main, over);
  if (!project) return 0;
  for (const spotty::Instance& instance : project->instances)
    (void)spotty::readParameters(*project, instance, main, over);
  for (const auto& [name, script] : project->scripts)
    (void)spotty::renderScript(script, {{"NAME", "a && b"}});
  return 0;
}
