#include <cstddef>
#include <cstdint>
#include <string_view>

#include "container/engine.h"
#include "container/progress.h"
#include "container/registry_auth.h"

// Cut in two at the place that the first byte says: the pieces of an answer end anywhere.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace buoy::container;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  Progress progress([](std::string_view) {});
  const std::size_t cut = text.empty() ? 0 : data[0] % text.size();
  if (progress.take(text.substr(0, cut)) && progress.take(text.substr(cut))) (void)progress.finish();
  (void)credentialsIn(text, "ghcr.io");
  (void)parseReference(text);
  (void)registryOf(text);
  return 0;
}
