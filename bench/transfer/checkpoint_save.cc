// Commits a directory to a store as an agent does, and prints what each commit cost, as JSON lines.
//   buoy_checkpoint_save STORE DIRECTORY              once; then once more for each line on standard input
//   buoy_checkpoint_save STORE DIRECTORY --endless    again and again, each time with other bytes, until it
//   is killed
// The store's settings come from the environment, as AWS's tools find them. The endless saves run at the
// priority that an agent gives them beside a job.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>

#include "objstore/checkpoint.h"
#include "objstore/object_store.h"
#include "objstore/transfer/pool.h"

namespace {

constexpr int kBesideTheJob = 19;

int complain(const buoy::Error& error) {
  std::fprintf(stderr, "buoy_checkpoint_save: %s\n", error.message.c_str());
  return 1;
}

// Other bytes in every page of every file, so that all of it must be sent.
void changeAll(const std::string& directory, std::uint64_t round) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const int fd = ::open(entry.path().c_str(), O_WRONLY | O_CLOEXEC);
    for (std::uintmax_t at = 0; at + sizeof round <= entry.file_size(); at += 64u << 10)
      (void)!::pwrite(fd, &round, sizeof round, static_cast<off_t>(at));
    ::close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool endless = argc == 4 && std::strcmp(argv[3], "--endless") == 0;
  if (argc != 3 && !endless) {
    std::fputs("usage: buoy_checkpoint_save STORE DIRECTORY [--endless]\n", stderr);
    return 2;
  }
  auto store = buoy::objstore::openStore(argv[1]);
  if (!store) return complain(store.error());
  if (endless && (*store)->pool() != nullptr) (*store)->pool()->setNice(kBesideTheJob);
  const std::string prefix = "bench-" + std::to_string(std::random_device{}());
  buoy::objstore::CheckpointRepository repository(**store, prefix, 1, 1);
  std::string line;
  for (std::uint64_t round = 1;; ++round) {
    const auto stats = repository.commit(argv[2], {}, {});
    if (!stats) return complain(stats.error());
    if (const auto kept = repository.retain(1); !kept) return complain(kept.error());
    std::printf("{\"seconds\": %.4f, \"bytes\": %llu, \"sent\": %llu}\n",
                std::chrono::duration<double>(stats->took).count(),
                static_cast<unsigned long long>(stats->bytes),
                static_cast<unsigned long long>(stats->new_bytes));
    std::fflush(stdout);
    if (endless) {
      changeAll(argv[2], round);
    } else if (!std::getline(std::cin, line)) {
      return 0;
    }
  }
}
