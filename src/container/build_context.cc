#include "container/build_context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>

#include "base/strings.h"
#include "os/files.h"

namespace buoy::container {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kLongestIgnoreFile = 1 << 20;
constexpr std::uint64_t kLargestInHeader = 077777777777;  // 8 GiB less one

// How much of `pattern`, which begins with anything but '*', stands for the character `c`; zero: it does not.
std::size_t matchesOne(std::string_view pattern, char c) {
  if (pattern.front() == '?') return 1;
  if (pattern.front() == '\\' && pattern.size() > 1) return pattern[1] == c ? 2 : 0;
  const auto end = pattern.front() == '[' ? pattern.find(']', 1) : std::string_view::npos;
  if (end == std::string_view::npos) return pattern.front() == c ? 1 : 0;
  std::string_view set = pattern.substr(1, end - 1);
  const bool negated = set.starts_with('^');
  if (negated) set.remove_prefix(1);
  bool in_set = false;
  for (std::size_t i = 0; i < set.size(); ++i) {
    const bool range = i + 2 < set.size() && set[i + 1] == '-';
    in_set |= range ? c >= set[i] && c <= set[i + 2] : c == set[i];
    if (range) i += 2;
  }
  return in_set != negated ? end + 1 : 0;
}

// One component against a pattern with *, ? and [a-z]. Only the last '*' is ever tried again, so that no
// pattern takes long.
bool matchesPart(std::string_view pattern, std::string_view text) {
  std::size_t at = 0, in_text = 0, after_star = std::string_view::npos, star_text = 0;
  while (in_text < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      after_star = ++at;
      star_text = in_text;
    } else if (const std::size_t length =
                   at < pattern.size() ? matchesOne(pattern.substr(at), text[in_text]) : 0;
               length > 0) {
      at += length;
      ++in_text;
    } else if (after_star != std::string_view::npos) {
      at = after_star;
      in_text = ++star_text;
    } else {
      return false;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

// A pattern that matches a directory matches everything below it. As above with "**".
bool matchesParts(std::span<const std::string_view> pattern, std::span<const std::string_view> path) {
  std::size_t at = 0, in_path = 0, after_star = 0, star_path = 0;
  while (at < pattern.size()) {
    if (pattern[at] == "**") {
      if (at + 1 == pattern.size()) return in_path < path.size();
      after_star = ++at;
      star_path = in_path;
    } else if (in_path < path.size() && matchesPart(pattern[at], path[in_path])) {
      ++at;
      ++in_path;
    } else if (after_star > 0 && star_path < path.size()) {
      at = after_star;
      in_path = ++star_path;
    } else {
      return false;
    }
  }
  return true;
}

// ---- the archive: ustar, long names and large files by GNU's extensions

class TarWriter {
 public:
  explicit TarWriter(int fd) : fd_(fd) {}

  struct Entry {
    std::string name, link;
    char type = '0';
    struct stat info {};
    std::uint64_t size = 0;
  };

  Status add(const Entry& entry) {
    if (entry.name.size() > 100) BUOY_TRY_VOID(longName('L', entry.name));
    if (entry.link.size() > 100) BUOY_TRY_VOID(longName('K', entry.link));
    return header(entry.name, entry.link, entry.type, entry.info, entry.size);
  }

  // Exactly `size` bytes, as the header said: a file that was shortened meanwhile ends in zeros.
  Status content(int file, std::uint64_t size) {
    std::array<char, 256 * 1024> buffer;
    std::uint64_t left = size;
    while (left > 0) {
      const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size()));
      ssize_t got = ::read(file, buffer.data(), want);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failErrno(errno, "read a file of the build's context");
      if (got == 0) {
        std::memset(buffer.data(), 0, want);
        got = static_cast<ssize_t>(want);
      }
      BUOY_TRY_VOID(write({buffer.data(), static_cast<std::size_t>(got)}));
      left -= static_cast<std::uint64_t>(got);
    }
    return pad(size);
  }

  Status finish() { return write(std::string(2 * kBlock, '\0')); }
  std::uint64_t written() const { return written_; }

 private:
  Status write(std::string_view bytes) {
    written_ += bytes.size();
    return os::writeAll(fd_, bytes);
  }

  Status pad(std::uint64_t size) {
    const std::size_t rest = static_cast<std::size_t>(size % kBlock);
    return rest == 0 ? Status() : write(std::string(kBlock - rest, '\0'));
  }

  Status longName(char type, const std::string& name) {
    struct stat info {};
    BUOY_TRY_VOID(header("././@LongLink", "", type, info, name.size() + 1));
    BUOY_TRY_VOID(write(name + '\0'));
    return pad(name.size() + 1);
  }

  // Fields of POSIX ustar; the names that do not fit are cut, and stand in full before.
  Status header(const std::string& name, const std::string& link, char type, const struct stat& info,
                std::uint64_t size) {
    std::array<char, kBlock> block{};
    // Digits to the field's end but one, which stays zero.
    const auto octal = [&](std::size_t at, std::size_t width, std::uint64_t value) {
      for (std::size_t i = at + width - 1; i-- > at; value >>= 3)
        block[i] = static_cast<char>('0' + (value & 7));
    };
    std::memcpy(block.data(), name.data(), std::min<std::size_t>(name.size(), 100));
    octal(100, 8, info.st_mode & 07777u);
    octal(108, 8, 0);
    octal(116, 8, 0);
    if (size <= kLargestInHeader) {
      octal(124, 12, size);
    } else {
      block[124] = static_cast<char>(0x80);
      for (std::size_t i = 0; i < 8; ++i) block[135 - i] = static_cast<char>(size >> (8 * i));
    }
    octal(136, 12, static_cast<std::uint64_t>(std::max<std::int64_t>(info.st_mtime, 0)));
    block[156] = type;
    std::memcpy(block.data() + 157, link.data(), std::min<std::size_t>(link.size(), 100));
    std::memcpy(block.data() + 257,
                "ustar\0"
                "00",
                8);
    std::memset(block.data() + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    octal(148, 7, sum);
    block[154] = '\0';
    return write({block.data(), block.size()});
  }

  int fd_;
  std::uint64_t written_ = 0;
};

class Archiver {
 public:
  Archiver(std::string root, std::string dockerfile, IgnoreRules rules, int fd)
      : root_(std::move(root)), dockerfile_(std::move(dockerfile)), rules_(std::move(rules)), tar_(fd) {}

  Status run() {
    BUOY_TRY_VOID(directory(""));
    return tar_.finish();
  }
  std::uint64_t written() const { return tar_.written(); }
  std::uint64_t files() const { return files_; }

 private:
  bool wanted(const std::string& path) const {
    return path == dockerfile_ || path == ".dockerignore" || !rules_.ignores(path);
  }

  Status directory(const std::string& below) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root_ + "/" + below, error))
      names.push_back(entry.path().filename().string());
    if (error) return fail(ErrorCode::internal, strCat({"read ", root_, "/", below, ": ", error.message()}));
    // The same content makes the same archive, which the engine's cache of layers knows again.
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
      BUOY_TRY_VOID(one(below.empty() ? name : strCat({below, "/", name})));
    return {};
  }

  Status one(const std::string& path) {
    const std::string full = strCat({root_, "/", path});
    TarWriter::Entry entry;
    entry.name = path;
    if (::lstat(full.c_str(), &entry.info) != 0)
      return errno == ENOENT ? Status() : Status(failErrno(errno, full));
    const bool is_wanted = wanted(path);
    if (S_ISDIR(entry.info.st_mode)) {
      entry.name += '/';
      entry.type = '5';
      if (is_wanted) BUOY_TRY_VOID(tar_.add(entry));
      const bool inside = is_wanted || rules_.hasExceptions() || dockerfile_.starts_with(path + "/");
      return inside ? directory(path) : Status();
    }
    if (!is_wanted) return {};
    if (S_ISLNK(entry.info.st_mode)) {
      std::error_code error;
      entry.link = fs::read_symlink(full, error).string();
      entry.type = '2';
      return error ? Status() : tar_.add(entry);
    }
    return S_ISREG(entry.info.st_mode) ? file(full, std::move(entry)) : Status();
  }

  Status file(const std::string& full, TarWriter::Entry entry) {
    BUOY_TRY(const os::Fd fd, os::openFile(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    entry.size = static_cast<std::uint64_t>(entry.info.st_size);
    ++files_;
    BUOY_TRY_VOID(tar_.add(entry));
    return tar_.content(fd.get(), entry.size);
  }

  const std::string root_, dockerfile_;
  const IgnoreRules rules_;
  TarWriter tar_;
  std::uint64_t files_ = 0;
};

std::string_view withoutDot(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return path == "." ? std::string_view() : path;
}

}  // namespace

IgnoreRules IgnoreRules::parse(std::string_view text) {
  IgnoreRules rules;
  for (std::string_view line : split(text, '\n')) {
    if (line.starts_with('#')) continue;
    line = trim(line);
    Rule rule;
    rule.taken_back = line.starts_with('!');
    if (rule.taken_back) line = trim(line.substr(1));
    line = withoutDot(line);
    if (line.empty()) continue;
    rule.pattern = line;
    rules.has_exceptions_ |= rule.taken_back;
    rules.rules_.push_back(std::move(rule));
  }
  return rules;
}

bool IgnoreRules::ignores(std::string_view path) const {
  const std::vector<std::string_view> parts = split(path, '/');
  bool ignored = false;
  for (const Rule& rule : rules_) {
    if (ignored != rule.taken_back) continue;
    const std::vector<std::string_view> pattern = split(rule.pattern, '/');
    if (matchesParts(pattern, parts)) ignored = !rule.taken_back;
  }
  return ignored;
}

Result<ContextArchive> archiveContext(const std::string& context, const std::string& dockerfile,
                                      const std::string& scratch) {
  const std::string name(withoutDot(dockerfile));
  struct stat info {};
  if (::stat(context.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return fail(ErrorCode::not_found, "there is no directory " + context);
  if (::stat(strCat({context, "/", name}).c_str(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(ErrorCode::not_found, strCat({"there is no Dockerfile ", name, " in ", context}));
  std::string rules;
  if (auto text = os::readFile(context + "/.dockerignore", kLongestIgnoreFile)) rules = std::move(*text);
  ContextArchive archive;
  BUOY_TRY(archive.file, os::openFile(scratch, O_TMPFILE | O_RDWR, 0600));
  Archiver archiver(context, name, IgnoreRules::parse(rules), archive.file.get());
  BUOY_TRY_VOID(archiver.run());
  archive.size = archiver.written();
  archive.files = archiver.files();
  return archive;
}

}  // namespace buoy::container
