// buoy_measure REPORT COMMAND…: runs COMMAND and writes to REPORT, as JSON, its wall time and CPU time in
// seconds, its peak resident memory in bytes, and its exit status. A program of its own, because a child's
// peak memory begins with that of the process it was forked from: an interpreter's would hide that of a small
// client.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    ::execvp(argv[2], argv + 2);
    std::perror(argv[2]);
    ::_exit(127);
  }
  int status = 0;
  rusage used{};
  if (child < 0 || ::wait4(child, &status, 0, &used) != child) return 1;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  std::FILE* report = std::fopen(argv[1], "w");
  if (report == nullptr) return 1;
  std::fprintf(report, "{\"wall\": %.6f, \"cpu\": %.6f, \"memory\": %lld, \"status\": %d}\n", wall.count(),
               seconds(used.ru_utime) + seconds(used.ru_stime), static_cast<long long>(used.ru_maxrss) * 1024,
               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return std::fclose(report) == 0 ? 0 : 1;
}
