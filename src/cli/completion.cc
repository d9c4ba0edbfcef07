#include "cli/completion.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/quoting.h"

namespace buoy::cli {
namespace {

std::string_view kindOf(Hint hint) {
  switch (hint) {
    case Hint::job:
      return "jobs";
    case Hint::machine:
      return "machines";
    case Hint::pool:
      return "pools";
    case Hint::none:
    case Hint::file:
    case Hint::directory:
      return "";
  }
  return "";
}

void forEach(const Command& command, const std::function<void(const Command&)>& visit) {
  visit(command);
  for (const auto& child : command.children) forEach(*child, visit);
}

std::vector<const Option*> optionsOf(const Command& command) {
  std::vector<const Option*> options;
  for (const Command* level = &command; level != nullptr; level = level->parent) {
    for (const Option& option : level->options) options.push_back(&option);
  }
  return options;
}

Hint argumentHint(const Command& command) {
  return command.arguments.empty() ? (command.rest != nullptr ? Hint::file : Hint::none)
                                   : command.arguments.front().hint;
}

// ---- bash

std::string bashValues(Hint hint, const std::vector<std::string>& choices) {
  if (!choices.empty()) return "COMPREPLY=($(compgen -W " + shellQuote(join(choices, " ")) + " -- \"$cur\"))";
  switch (hint) {
    case Hint::file:
      return "COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames 2>/dev/null";
    case Hint::directory:
      return "COMPREPLY=($(compgen -d -- \"$cur\")); compopt -o filenames 2>/dev/null";
    case Hint::job:
    case Hint::machine:
    case Hint::pool:
      return strCat(
          {"COMPREPLY=($(compgen -W \"$(buoy complete ", kindOf(hint), " 2>/dev/null)\" -- \"$cur\"))"});
    case Hint::none:
      return "COMPREPLY=()";
  }
  return "COMPREPLY=()";
}

std::string bashScript(const Command& root) {
  std::string children, values, words;
  forEach(root, [&](const Command& command) {
    const std::string path = command.path();
    std::string candidates = "--help";
    for (const auto& child : command.children) {
      children += "      " + shellQuote(path + " " + child->name) + ") path=\"$path $word\" ;;\n";
      if (!child->isHidden()) candidates += " " + child->name;
    }
    for (const Option* option : optionsOf(command)) {
      candidates += " " + option->name;
      if (option->value_name.empty()) continue;
      std::string pattern = shellQuote(path + " " + option->name);
      if (option->letter != 0)
        pattern += "|" + shellQuote(strCat({path, " -", std::string(1, option->letter)}));
      values += "    " + pattern + ") " + bashValues(option->hint, option->choices) + "; return ;;\n";
    }
    words += "    " + shellQuote(path) + ")\n      if [[ $cur == -* || " +
             (command.children.empty() ? "1 == 0" : "1 == 1") + " ]]; then COMPREPLY=($(compgen -W " +
             shellQuote(candidates) + " -- \"$cur\")); else " + bashValues(argumentHint(command), {}) +
             "; fi ;;\n";
  });
  const std::string& name = root.name;
  return strCat({"# bash completion of ", name, "\n_", name,
                 "() {\n  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path=", name,
                 " word\n"}) +
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    [[ $word == -- ]] && { COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames "
         "2>/dev/null; return; }\n"
         "    case \"$path $word\" in\n" +
         children + "    esac\n  done\n  case \"$path $prev\" in\n" + values + "  esac\n  case $path in\n" +
         words + strCat({"  esac\n}\ncomplete -F _", name, " ", name, "\n"});
}

// ---- zsh

// Inside a single-quoted argument of _arguments, where ':' and brackets have a meaning too.
std::string zshText(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    if (c == '\'') {
      escaped += "'\\''";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string zshValues(Hint hint, const std::vector<std::string>& choices) {
  if (!choices.empty()) return "(" + join(choices, " ") + ")";
  switch (hint) {
    case Hint::file:
      return "_files";
    case Hint::directory:
      return "_files -/";
    case Hint::job:
    case Hint::machine:
    case Hint::pool:
      return strCat({"{_values value ${(f)\"$(buoy complete ", kindOf(hint), " 2>/dev/null)\"}}"});
    case Hint::none:
      return " ";
  }
  return " ";
}

std::string zshFunctionName(const Command& command) {
  std::string name = "_" + command.path();
  std::replace(name.begin(), name.end(), ' ', '_');
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string zshFunction(const Command& command) {
  std::string out = zshFunctionName(command) + "() {\n  local state line\n  _arguments -C -S \\\n";
  for (const Option* option : optionsOf(command)) {
    const std::string tail = "[" + zshText(option->help) + "]" +
                             (option->value_name.empty() ? ""
                                                         : ":" + zshText(option->value_name) + ":" +
                                                               zshValues(option->hint, option->choices));
    const std::string equals = option->value_name.empty() ? "" : "=";
    out += "    '*" + option->name + equals + tail + "' \\\n";
    if (option->letter != 0)
      out += strCat(
          {"    '*-", std::string(1, option->letter), option->value_name.empty() ? "" : "+", tail, "' \\\n"});
  }
  out += "    '(-h --help)'{-h,--help}'[show this help]' \\\n";
  if (command.children.empty()) {
    if (const Hint hint = argumentHint(command); hint != Hint::none) {
      const std::string name = command.arguments.empty() ? "word" : command.arguments.front().name;
      out += "    '1:" + zshText(name) + ":" + zshValues(hint, {}) + "' \\\n";
    }
    return out + (command.rest != nullptr ? "    '*::command:_normal'\n}\n" : "    '*: :_files'\n}\n");
  }
  out += "    '1: :->command' '*:: :->rest'\n  case $state in\n    command) local -a commands; commands=(\n";
  for (const auto& child : command.children) {
    if (!child->isHidden()) out += "      '" + zshText(child->name) + ":" + zshText(child->summary) + "'\n";
  }
  out += "    ); _describe command commands ;;\n    rest) case $line[1] in\n";
  for (const auto& child : command.children) {
    if (!child->isHidden()) out += "      " + child->name + ") " + zshFunctionName(*child) + " ;;\n";
  }
  return out + "    esac ;;\n  esac\n}\n";
}

std::string zshScript(const Command& root) {
  const std::string& name = root.name;
  std::string out = strCat({"#compdef ", name, "\n"});
  forEach(root, [&out](const Command& command) {
    if (!command.isHidden()) out += zshFunction(command);
  });
  return out + strCat({"if [ \"$funcstack[1]\" = _", name, " ]; then _", name, " \"$@\"; else compdef _",
                       name, " ", name, "; fi\n"});
}

// ---- fish

std::string fishQuote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string fishValues(Hint hint, const std::vector<std::string>& choices) {
  if (!choices.empty()) return " -x -a " + fishQuote(join(choices, " "));
  switch (hint) {
    case Hint::file:
      return " -r -F";
    case Hint::directory:
      return " -x -a '(__fish_complete_directories)'";
    case Hint::job:
    case Hint::machine:
    case Hint::pool:
      return strCat({" -x -a '(buoy complete ", kindOf(hint), " 2>/dev/null)'"});
    case Hint::none:
      return " -x";
  }
  return " -x";
}

std::string fishScript(const Command& root) {
  const std::string complete = "complete -c " + root.name;
  std::string out = strCat({"# fish completion of ", root.name, "\n", complete, " -f\n"});
  forEach(root, [&](const Command& command) {
    if (command.isHidden()) return;
    // True when the words so far name this command and none of its children.
    std::string condition;
    for (const Command* level = &command; level->parent != nullptr; level = level->parent) {
      condition =
          "__fish_seen_subcommand_from " + level->name + (condition.empty() ? "" : "; and " + condition);
    }
    const std::vector<std::string> names = childNames(command);
    if (!names.empty()) {
      condition +=
          strCat({condition.empty() ? "" : "; and ", "not __fish_seen_subcommand_from ", join(names, " ")});
    }
    const std::string prefix = strCat({complete, " -n ", fishQuote(condition)});
    for (const auto& child : command.children) {
      if (!child->isHidden())
        out += prefix + " -a " + fishQuote(child->name) + " -d " + fishQuote(child->summary) + "\n";
    }
    for (const Option* option : optionsOf(command)) {
      out += prefix + " -l " + option->name.substr(2);
      if (option->letter != 0) out += strCat({" -s ", std::string(1, option->letter)});
      if (!option->value_name.empty()) out += fishValues(option->hint, option->choices);
      out += " -d " + fishQuote(option->help) + "\n";
    }
    if (const Hint hint = argumentHint(command); hint != Hint::none) {
      out += prefix + (hint == Hint::file ? " -F" : fishValues(hint, {})) + "\n";
    }
  });
  return out;
}

}  // namespace

Result<std::string> completionScript(const Command& root, std::string_view shell) {
  if (shell == "bash") return bashScript(root);
  if (shell == "zsh") return zshScript(root);
  if (shell == "fish") return fishScript(root);
  return fail(ErrorCode::invalid_argument,
              "no completion for '" + std::string(shell) + "': use bash, zsh or fish");
}

}  // namespace buoy::cli
