#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "objstore/checkpoint_keys.h"
#include "objstore/checkpoint_path.h"
#include "objstore/manifest.h"
#include "objstore/object_store.h"

using namespace buoy::objstore;

namespace {

// What is accepted can be trusted by restore, and reading what we write of it gives the same again.
void check(std::string_view content) {
  const auto slot = decodeSlot(content);
  if (!slot) return;
  for (const CheckpointFile& file : slot->manifest.files) {
    if (!validatePath(file.path)) std::abort();
    if (file.kind == CheckpointFile::Kind::symlink && !validateLink(file.path, file.target)) std::abort();
    if (file.kind == CheckpointFile::Kind::file && !validateKey(objectKey(file.stored_by, file.sha256)))
      std::abort();
  }
  const std::string encoded = encodeSlot(*slot);
  const auto again = decodeSlot(encoded);
  if (!again || encodeSlot(*again) != encoded) std::abort();
}

}  // namespace

// The corpus holds first lines; a right hash is added, so that mutated JSON gets past it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check(input);
  const std::string line(input.substr(0, input.find('\n')));
  check(line + "\n" + sha256Hex(line) + "\n");
  return 0;
}
