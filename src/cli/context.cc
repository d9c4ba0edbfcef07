#include "cli/context.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/strings.h"
#include "cli/exit_codes.h"
#include "os/files.h"
#include "os/terminal.h"

namespace buoy::cli {
namespace {

bool localeIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    auto value = environment(name);
    if (!value) continue;
    std::string lower = *value;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

bool wantsColor(const std::string& choice, bool terminal) {
  if (choice == "always") return true;
  if (choice == "never") return false;
  if (environment("NO_COLOR")) return false;
  if (const auto force = environment("CLICOLOR_FORCE"); force && *force != "0") return true;
  return terminal && environment("TERM").value_or("dumb") != "dumb";
}

// Of the terminal; at least 40, so that nothing becomes unreadable.
int widthOf(int fd, bool terminal) {
  if (!terminal) return 0;
  const int columns = os::terminalColumns(fd);
  return columns > 0 ? std::max(columns, 40) : 80;
}

}  // namespace

void Context::print(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Context::note(std::string_view text) const {
  std::fflush(stdout);  // in the order in which it happened
  std::fwrite(text.data(), 1, text.size(), stderr);
}

int Context::fail(const Error& error) const {
  note(paint(err, Color::red, "error:") + " " + error.message + "\n");
  return exitCodeOf(error.code);
}

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

void decideLooks(Context& context) {
  context.out_terminal = os::isTerminal(1);
  context.err_terminal = os::isTerminal(2);
  const bool unicode = localeIsUtf8();
  context.out = {wantsColor(context.color, context.out_terminal), unicode, widthOf(1, context.out_terminal)};
  context.err = {wantsColor(context.color, context.err_terminal), unicode, widthOf(2, context.err_terminal)};
}

std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  const std::string number = std::to_string(count);
  if (count == 1) return strCat({number, " ", one});
  return many.empty() ? strCat({number, " ", one, "s"}) : strCat({number, " ", many});
}

std::string age(Time since, Time now) {
  const Duration whole = std::chrono::floor<std::chrono::seconds>(now - since);
  return whole > Duration{} ? formatDuration(whole) : "0s";
}

Time wallClock() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

}  // namespace buoy::cli
