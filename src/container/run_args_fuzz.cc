#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/strings.h"
#include "container/run_args.h"

// Each line is a word of `runtime_args`; the first is a volume, a port and a limit as well.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy;
  std::vector<std::string> words;
  for (const std::string_view line : split(std::string_view(reinterpret_cast<const char*>(data), size), '\n'))
    words.emplace_back(line);
  (void)container::parseRunArgs(words);
  (void)container::parseVolume(words.front());
  (void)container::parsePort(words.front());
  (void)container::parseUlimit(words.front());
  (void)container::expandVariables(words.front(), {{"A", "b"}});
  return 0;
}
