#include "cli/command_line.h"

#include <algorithm>

#include "base/strings.h"

namespace buoy::cli {
namespace {

// "; did you mean 'submit'?" or nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const auto best = nearest(word, known);
  return best ? "; did you mean '" + *best + "'?" : "";
}

bool isJobFile(std::string_view word) {
  return word.ends_with(".yaml") || word.ends_with(".yml");
}

class Parser {
 public:
  Parser(const Command& root, const std::vector<std::string>& words) : command_(&root), words_(words) {}

  Result<Parsed> run() {
    while (at_ < words_.size()) {
      const std::string& word = words_[at_];
      if (word == "--") {
        BUOY_TRY_VOID(takeRest(at_ + 1));
        break;
      }
      if (word.size() > 1 && word[0] == '-') {
        BUOY_TRY_VOID(word[1] == '-' ? longOption(word) : shortOptions(word));
      } else if (const Command* child = arguments_ == 0 ? command_->findChild(word) : nullptr) {
        command_ = child;
        ++at_;
      } else if (command_->rest != nullptr && beginsRest(word)) {
        BUOY_TRY_VOID(takeRest(at_));
        break;
      } else {
        BUOY_TRY_VOID(argument(word));
      }
    }
    if (!help_) BUOY_TRY_VOID(complete());
    return Parsed{command_, help_};
  }

 private:
  // Words before it fill the command's own arguments; where a job file may be given, only such a one.
  bool beginsRest(const std::string& word) const {
    if (arguments_ == command_->arguments.size()) return true;
    return command_->arguments[arguments_].hint == Hint::file && !isJobFile(word);
  }

  Status argument(const std::string& word) {
    if (arguments_ < command_->arguments.size()) {
      const Argument& argument = command_->arguments[arguments_];
      if (argument.values != nullptr) {
        argument.values->push_back(word);
      } else {
        *argument.value = word;
        ++arguments_;
      }
      ++at_;
      return {};
    }
    if (!command_->children.empty()) {
      return failInvalid("'" + word + "' is not a command of " + command_->path() +
                         suggestion(word, childNames(*command_)) + "\nsee: " + command_->path() + " --help");
    }
    return failInvalid("'" + word + "' is one word too many\nsee: " + command_->path() + " --help");
  }

  Status takeRest(std::size_t from) {
    if (command_->rest == nullptr) {
      for (std::size_t i = from; i < words_.size(); ++i) {
        at_ = i;
        BUOY_TRY_VOID(argument(words_[i]));
      }
      return {};
    }
    command_->rest->assign(words_.begin() + static_cast<std::ptrdiff_t>(from), words_.end());
    if (command_->rest->empty()) return failInvalid("no command follows --");
    return {};
  }

  tl::unexpected<Error> unknown(const std::string& name) const {
    return failInvalid(command_->path() + " has no option " + name +
                       suggestion(name, optionNames(*command_)) + "\nsee: " + command_->path() + " --help");
  }

  Status longOption(const std::string& word) {
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (name == "--help") return helpWanted();
    const Option* option = command_->findOption(name);
    if (option == nullptr) return unknown(name);
    ++at_;
    if (option->value_name.empty()) {
      if (equals != std::string::npos) return failInvalid(name + " takes no value");
      return option->set("");
    }
    if (equals != std::string::npos) return assign(*option, name, word.substr(equals + 1));
    return nextValue(*option, name);
  }

  Status shortOptions(const std::string& word) {
    ++at_;
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string name{'-', word[i]};
      if (name == "-h") {
        --at_;
        return helpWanted();
      }
      const Option* option = command_->findOption(name);
      if (option == nullptr) return unknown(name);
      if (option->value_name.empty()) {
        BUOY_TRY_VOID(option->set(""));
        continue;
      }
      if (i + 1 < word.size())
        return assign(*option, name, word.substr(i + 1 + (word[i + 1] == '=' ? 1 : 0)));
      return nextValue(*option, name);
    }
    return {};
  }

  Status nextValue(const Option& option, const std::string& name) {
    if (at_ >= words_.size() || words_[at_] == "--")
      return failInvalid(name + " needs a value: " + name + " " + option.value_name);
    BUOY_TRY_VOID(assign(option, name, words_[at_++]));
    while (option.many && at_ < words_.size() && !words_[at_].starts_with('-'))
      BUOY_TRY_VOID(assign(option, name, words_[at_++]));
    return {};
  }

  // on_demand is on-demand, as in the API.
  static std::string chosen(const std::vector<std::string>& choices, std::string value) {
    std::string plain = value;
    std::replace(plain.begin(), plain.end(), '_', '-');
    return std::find(choices.begin(), choices.end(), plain) == choices.end() ? value : plain;
  }

  static Status assign(const Option& option, const std::string& name, const std::string& given) {
    const auto& choices = option.choices;
    const std::string value = chosen(choices, given);
    if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end()) {
      return failInvalid(name + ": '" + value + "' is none of " + join(choices, ", ") +
                         suggestion(value, choices));
    }
    if (auto set = option.set(value); !set) return fail(set.error().wrap(name));
    return {};
  }

  Status helpWanted() {
    help_ = true;
    ++at_;
    return {};
  }

  Status complete() const {
    for (std::size_t i = arguments_; i < command_->arguments.size(); ++i) {
      const Argument& argument = command_->arguments[i];
      if (!argument.required || (argument.values != nullptr && !argument.values->empty())) break;
      return failInvalid(command_->path() + " needs " + argument.name + ": " + argument.help +
                         "\nsee: " + command_->path() + " --help");
    }
    return {};
  }

  const Command* command_;
  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
  std::size_t arguments_ = 0;  // taken so far
  bool help_ = false;
};

}  // namespace

Command& Command::add(std::string command_name, std::string command_summary) {
  children.push_back(std::make_unique<Command>(std::move(command_name), std::move(command_summary)));
  children.back()->parent = this;
  return *children.back();
}

Command& Command::under(std::string heading_text) {
  current_heading_ = std::move(heading_text);
  return *this;
}

Option& Command::addOption(std::string_view names, std::string value_name, std::string help_text) {
  Option option;
  for (const std::string_view part : split(names, ',')) {
    if (part.starts_with("--")) {
      option.name = part;
    } else {
      option.letter = part[1];
    }
  }
  option.value_name = std::move(value_name);
  option.help = std::move(help_text);
  option.group = current_heading_;
  options.push_back(std::move(option));
  return options.back();
}

Command& Command::flag(std::string_view names, bool& value, std::string help_text) {
  addOption(names, "", std::move(help_text)).set = [&value](const std::string&) -> Status {
    value = true;
    return {};
  };
  return *this;
}

Command& Command::option(std::string_view names, std::string value_name, std::string& value,
                         std::string help_text, Hint hint) {
  Option& option = addOption(names, std::move(value_name), std::move(help_text));
  option.hint = hint;
  option.set = [&value](const std::string& given) -> Status {
    value = given;
    return {};
  };
  return *this;
}

Command& Command::option(std::string_view names, std::string value_name, std::vector<std::string>& values,
                         std::string help_text, Hint hint) {
  Option& option = addOption(names, std::move(value_name), std::move(help_text));
  option.hint = hint;
  option.set = [&values](const std::string& given) -> Status {
    values.push_back(given);
    return {};
  };
  return *this;
}

Command& Command::listOption(std::string_view names, std::string value_name, std::vector<std::string>& values,
                             std::string help_text, Hint hint) {
  option(names, std::move(value_name), values, std::move(help_text), hint);
  options.back().many = true;
  return *this;
}

Command& Command::choice(std::string_view names, std::vector<std::string> values, std::string& value,
                         std::string help_text) {
  option(names, join(values, "|"), value, std::move(help_text));
  options.back().choices = std::move(values);
  return *this;
}

Command& Command::argument(std::string argument_name, std::string& value, std::string help_text, Hint hint) {
  arguments.push_back(Argument{std::move(argument_name), std::move(help_text), true, hint, &value, nullptr});
  return *this;
}

Command& Command::listArgument(std::string argument_name, std::vector<std::string>& values,
                               std::string help_text, Hint hint) {
  arguments.push_back(Argument{std::move(argument_name), std::move(help_text), true, hint, nullptr, &values});
  return *this;
}

Command& Command::optionalArgument(std::string argument_name, std::string& value, std::string help_text,
                                   Hint hint) {
  arguments.push_back(Argument{std::move(argument_name), std::move(help_text), false, hint, &value, nullptr});
  return *this;
}

const Option* Command::findOption(std::string_view option_name) const {
  const auto matches = [option_name](const Option& option) {
    return option_name == option.name ||
           (option.letter != 0 && option_name == std::string{'-', option.letter});
  };
  for (const Command* command = this; command != nullptr; command = command->parent) {
    const auto found = std::find_if(command->options.begin(), command->options.end(), matches);
    if (found != command->options.end()) return &*found;
  }
  return nullptr;
}

const Command* Command::findChild(std::string_view child_name) const {
  for (const auto& child : children) {
    if (child->name == child_name) return child.get();
  }
  return nullptr;
}

std::string Command::path() const {
  return parent == nullptr ? name : parent->path() + " " + name;
}

Result<Parsed> parse(const Command& root, const std::vector<std::string>& words) {
  return Parser(root, words).run();
}

std::vector<std::string> childNames(const Command& command) {
  std::vector<std::string> names;
  for (const auto& child : command.children) names.push_back(child->name);
  return names;
}

std::vector<std::string> optionNames(const Command& command) {
  std::vector<std::string> names;
  for (const Command* level = &command; level != nullptr; level = level->parent) {
    for (const Option& option : level->options) names.push_back(option.name);
  }
  names.push_back("--help");
  return names;
}

}  // namespace buoy::cli
