// What the tests of the local provider start in place of buoy-agent: `host --dir DIR` is the real host of a
// machine, `run --config FILE` executes FILE as a shell script.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "cloud/local/machine_host.h"

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "host") return buoy::cloud::local::runMachineHost(argv[3]);
  if (argc == 4 && std::string_view(argv[1]) == "run") ::execl("/bin/sh", "sh", argv[3], nullptr);
  std::fprintf(stderr, "usage: %s host --dir DIR | run --config FILE\n", argv[0]);
  return 2;
}
