// A driver for fuzz targets that needs no special compiler:
//
//   some_fuzz [--runs N] [--seed S] [CORPUS_DIRECTORY | FILE]...
//
// Replays each file of the corpus in name order, then runs N mutated inputs; the same seed and corpus give
// the same inputs. An input lies in a mapped file of the temporary directory before the target sees it, so
// that after a crash (or a hang of over a minute) the file whose path is printed is the input that did it.
// Under libFuzzer (clang -fsanitize=fuzzer -DBUOY_LIBFUZZER) this file is empty.
#ifndef BUOY_LIBFUZZER

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// Present in sanitizer builds: called when one of them ends the process, which may happen without a signal.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

constexpr std::size_t kMaxInput = std::size_t{1} << 20;
constexpr unsigned kHangSeconds = 60;

// What the crash handlers need; they may only touch plain globals.
struct CrashRecord {
  int fd = -1;
  char path[256] = {};
  char* mapping = nullptr;
  volatile std::size_t size = 0;
  volatile std::uint64_t runs = 0;
  std::uint64_t runs_at_last_alarm = 0;
};
CrashRecord g_crash;

void printRaw(const char* text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void reportInput(const char* what) {
  if (g_crash.fd < 0) return;
  [[maybe_unused]] const int status = ::ftruncate(g_crash.fd, static_cast<off_t>(g_crash.size));
  g_crash.fd = -1;  // report once
  printRaw(what);
  printRaw(g_crash.path);
  printRaw("\n");
}

void onSanitizerDeath() {
  reportInput("fuzz: failing input saved in ");
}

void onCrash(int signal) {
  reportInput("fuzz: crashing input saved in ");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void onAlarm(int) {
  if (g_crash.runs == g_crash.runs_at_last_alarm) {
    reportInput("fuzz: input that does not end saved in ");
    ::_exit(1);
  }
  g_crash.runs_at_last_alarm = g_crash.runs;
  ::alarm(kHangSeconds);
}

void prepareCrashRecord(const std::string& program) {
  const char* directory = std::getenv("TMPDIR");
  const std::string path = std::string(directory != nullptr ? directory : "/tmp") + "/" +
                           std::filesystem::path(program).filename().string() + "-XXXXXX";
  if (path.size() >= sizeof g_crash.path) {
    std::fprintf(stderr, "fuzz: the temporary directory's path is too long\n");
    std::exit(2);
  }
  std::memcpy(g_crash.path, path.c_str(), path.size() + 1);
  g_crash.fd = ::mkostemp(g_crash.path, O_CLOEXEC);
  void* mapping = MAP_FAILED;
  if (g_crash.fd >= 0 && ::ftruncate(g_crash.fd, static_cast<off_t>(kMaxInput)) == 0) {
    mapping = ::mmap(nullptr, kMaxInput, PROT_READ | PROT_WRITE, MAP_SHARED, g_crash.fd, 0);
  }
  if (mapping == MAP_FAILED) {
    std::perror("fuzz: cannot make the file for the current input");
    std::exit(2);
  }
  g_crash.mapping = static_cast<char*>(mapping);

  std::vector<int> signals = {SIGABRT, SIGILL, SIGFPE};
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(
        onSanitizerDeath);  // the sanitizer reports SIGSEGV and SIGBUS better itself
  } else {
    signals.insert(signals.end(), {SIGSEGV, SIGBUS});
  }
  for (const int signal : signals) std::signal(signal, onCrash);
  std::signal(SIGALRM, onAlarm);
  ::alarm(kHangSeconds);
}

void runOne(std::string_view input) {
  const std::size_t size = std::min(input.size(), kMaxInput);
  if (size > 0) std::memcpy(g_crash.mapping, input.data(), size);
  g_crash.size = size;
  // The target gets an allocation of exactly this size, so that a sanitizer sees a read past its end.
  const std::vector<std::uint8_t> exact(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  g_crash.runs = g_crash.runs + 1;
}

// Boundary values and pieces of the formats that Buoy reads.
constexpr std::array<std::string_view, 48> kTokens = {"0",
                                                      "-1",
                                                      "1",
                                                      "255",
                                                      "65536",
                                                      "2147483648",
                                                      "4294967296",
                                                      "9223372036854775807",
                                                      "18446744073709551616",
                                                      "1e309",
                                                      "-0.0",
                                                      "NaN",
                                                      "Infinity",
                                                      "true",
                                                      "null",
                                                      "~",
                                                      "{",
                                                      "}",
                                                      "[",
                                                      "]",
                                                      "{}",
                                                      "[]",
                                                      ":",
                                                      ": ",
                                                      "- ",
                                                      "\n",
                                                      "\r\n",
                                                      "\r\n\r\n",
                                                      "\t",
                                                      "\"",
                                                      "'",
                                                      "\\",
                                                      "\\u0000",
                                                      "%",
                                                      "%00",
                                                      "%2F",
                                                      "..",
                                                      "../",
                                                      "/",
                                                      "&a *a",
                                                      "<<: *a",
                                                      "!!",
                                                      "\xff",
                                                      "\xc0\x80",
                                                      "\xef\xbb\xbf",
                                                      "99999999h",
                                                      "1EiB",
                                                      "{\"a\":"};

class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<std::string>& corpus) : random_(seed), corpus_(corpus) {}

  std::string next() {
    std::string input = corpus_.empty() ? std::string() : corpus_[below(corpus_.size())];
    for (std::size_t count = 1 + below(6); count > 0; --count) mutate(input);
    if (input.size() > kMaxInput) input.resize(kMaxInput);
    return input;
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  char anyByte() { return static_cast<char>(below(256)); }

  void mutate(std::string& input) {
    const std::size_t at = below(input.size() + 1);
    const bool inside = at < input.size();
    switch (below(9)) {
      case 0:
        if (inside) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 1:
        if (inside) input[at] = anyByte();
        break;
      case 2:
        input.insert(at, 1 + below(4), anyByte());
        break;
      case 3:
        input.insert(at, kTokens[below(kTokens.size())]);
        break;
      case 4:
        if (inside) input.erase(at, 1 + below(16));
        break;
      case 5:
        if (below(4) == 0) input.resize(at);
        break;  // rarely: a truncation loses most of an input
      case 6:
        if (inside) input.insert(below(input.size() + 1), input.substr(at, 1 + below(32)));
        break;
      case 7:
        if (inside) input.replace(at, 1 + below(8), kTokens[below(kTokens.size())]);
        break;
      case 8:
        splice(input, at);
        break;
    }
  }

  // The head of one input and the tail of another.
  void splice(std::string& input, std::size_t at) {
    if (corpus_.empty()) return;
    const std::string& other = corpus_[below(corpus_.size())];
    input.replace(at, std::string::npos, other, below(other.size() + 1), std::string::npos);
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& corpus_;
};

std::vector<std::string> readCorpus(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else if (std::filesystem::is_regular_file(path, error)) {
      files.emplace_back(path);
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    if (corpus.back().size() > kMaxInput) corpus.back().resize(kMaxInput);
  }
  return corpus;
}

std::uint64_t parseNumber(const char* option, const char* text) {
  char* end = nullptr;
  const std::uint64_t value = text == nullptr ? 0 : std::strtoull(text, &end, 10);
  if (text == nullptr || end == text || *end != '\0') {
    std::fprintf(stderr, "fuzz: %s needs a number\n", option);
    std::exit(2);
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 0;
  std::uint64_t seed = 1;
  std::vector<std::string> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--runs") {
      runs = parseNumber("--runs", argv[++i]);
    } else if (argument == "--seed") {
      seed = parseNumber("--seed", argv[++i]);
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "usage: %s [--runs N] [--seed S] [CORPUS_DIRECTORY | FILE]...\n", argv[0]);
      return 2;
    } else {
      paths.emplace_back(argument);
    }
  }
  const auto start = std::chrono::steady_clock::now();
  const std::vector<std::string> corpus = readCorpus(paths);
  prepareCrashRecord(argv[0]);
  runOne({});
  for (const std::string& input : corpus) runOne(input);
  Mutator mutator(seed, corpus);
  for (std::uint64_t run = 0; run < runs; ++run) runOne(mutator.next());

  ::alarm(0);
  ::unlink(g_crash.path);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("fuzz: %zu corpus files and %llu mutated inputs passed in %.1f s (seed %llu)\n", corpus.size(),
              static_cast<unsigned long long>(runs), seconds.count(), static_cast<unsigned long long>(seed));
  return 0;
}

#endif  // BUOY_LIBFUZZER
