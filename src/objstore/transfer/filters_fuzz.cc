#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "objstore/transfer/filters.h"

using namespace buoy::objstore;

// A pattern, a line end, and a path. Nothing may crash or take long, and an --exclude undoes its --include.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 4096));
  const auto line_end = input.find('\n');
  const std::string_view pattern = input.substr(0, line_end);
  const std::string_view path = line_end == std::string_view::npos ? "" : input.substr(line_end + 1);
  const bool matches = Glob(pattern).matches(path);
  if (Glob("*" + std::string(pattern) + "*").matches(path) < matches) std::abort();
  Filters filters;
  filters.add(false, pattern);
  filters.setRoots("/root", "bucket");
  const std::string whole = "bucket/" + std::string(path);
  if (!pattern.starts_with('/') && filters.admits(whole) == matches) std::abort();
  filters.add(true, pattern);
  if (!filters.admits(whole)) std::abort();
  return 0;
}
