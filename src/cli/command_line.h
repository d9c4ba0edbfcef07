#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// The tree of commands and their options: what the parser, the help and the shell completions are all made
// from. No library: CLI11 has no place for the words of another command, for suggestions and for what
// completions need to know, and costs milliseconds at every start.
namespace buoy::cli {

struct Context;
using Action = std::function<int(Context&)>;

// What a value is, for shell completion.
enum class Hint : std::uint8_t { none, file, directory, job, machine, pool };

struct Option {
  std::string name;        // "--name"
  char letter = 0;         // 'n' for "-n"
  std::string value_name;  // "NAME"; empty: a flag
  std::string help;
  std::string group;  // heading in the help; empty: "Options"
  Hint hint = Hint::none;
  std::vector<std::string> choices;               // the only values allowed, if any
  bool many = false;                              // takes all words up to the next option
  std::function<Status(const std::string&)> set;  // a flag gets ""; called once for every value
};

struct Argument {
  std::string name;  // "JOB"
  std::string help;
  bool required = false;
  Hint hint = Hint::none;
  std::string* value = nullptr;
  std::vector<std::string>* values =
      nullptr;  // instead: takes every word that is left; the last argument only
};

// One command. Values given to flag(), option() and argument() must live until the command has run.
class Command {
 public:
  Command(std::string command_name, std::string command_summary)
      : name(std::move(command_name)), summary(std::move(command_summary)) {}

  Command& add(std::string command_name, std::string command_summary);
  Command& under(std::string heading);  // options added from now on stand under this heading
  Command& flag(std::string_view names, bool& value, std::string help_text);
  Command& option(std::string_view names, std::string value_name, std::string& value, std::string help_text,
                  Hint hint = Hint::none);
  Command& option(std::string_view names, std::string value_name, std::vector<std::string>& values,
                  std::string help_text, Hint hint = Hint::none);
  // May be given several times, and takes several values each time.
  Command& listOption(std::string_view names, std::string value_name, std::vector<std::string>& values,
                      std::string help_text, Hint hint = Hint::none);
  Command& choice(std::string_view names, std::vector<std::string> values, std::string& value,
                  std::string help_text);
  Command& argument(std::string argument_name, std::string& value, std::string help_text,
                    Hint hint = Hint::none);
  Command& listArgument(std::string argument_name, std::vector<std::string>& values, std::string help_text,
                        Hint hint = Hint::none);  // at least one
  Command& optionalArgument(std::string argument_name, std::string& value, std::string help_text,
                            Hint hint = Hint::none);

  const Option* findOption(std::string_view option_name) const;  // also of the commands above; null: unknown
  const Command* findChild(std::string_view child_name) const;
  std::string path() const;  // "buoy server start"

  std::string name, summary;
  static constexpr const char* kHidden = "hidden";
  std::string heading;  // under which the help of the parent lists it; kHidden: nowhere
  bool isHidden() const { return heading == kHidden; }
  std::string details;  // end of the help: examples
  std::vector<Option> options;
  std::vector<Argument> arguments;
  std::vector<std::unique_ptr<Command>> children;
  const Command* parent = nullptr;
  Action action;  // none: prints its help
  // If set: what follows "--", or begins at the first word that is neither an option, its value, nor a file
  // that ends in .yaml or .yml, is the words of another command and left alone.
  std::vector<std::string>* rest = nullptr;

 private:
  Option& addOption(std::string_view names, std::string value_name, std::string help_text);
  std::string current_heading_;
};

struct Parsed {
  const Command* command = nullptr;
  bool help = false;  // -h or --help was among the words
};
// Finds the command and stores the values of its options. invalid_argument says what is wrong and what was
// perhaps meant. Words of options are not looked for behind "--".
Result<Parsed> parse(const Command& root, const std::vector<std::string>& words);

// Names of the children (or options) to choose from when a word is not known.
std::vector<std::string> childNames(const Command& command);
std::vector<std::string> optionNames(const Command& command);

}  // namespace buoy::cli
