#include "container/init_program.h"

// BUOY_INIT_PROGRAM is the path of the built executable.
__asm__(
    ".section .rodata\n"
    "buoy_init_begin:\n"
    ".incbin \"" BUOY_INIT_PROGRAM
    "\"\n"
    "buoy_init_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const char init_begin[] __asm__("buoy_init_begin");
extern const char init_end[] __asm__("buoy_init_end");
}

namespace buoy::container {

std::string_view initProgram() {
  return {init_begin, static_cast<std::size_t>(init_end - init_begin)};
}

}  // namespace buoy::container
