// stamp FILE: appends the wall clock in nanoseconds as the first thing it does: "the job's first
// instruction".
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (argc != 2) return 2;
  char line[64];
  const int length = std::snprintf(line, sizeof line, "%lld\n",
                                   static_cast<long long>(now.tv_sec) * 1'000'000'000 + now.tv_nsec);
  const int fd = ::open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  return fd >= 0 && ::write(fd, line, static_cast<std::size_t>(length)) == length ? 0 : 1;
}
