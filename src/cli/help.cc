#include "cli/help.h"

#include <algorithm>

#include "base/strings.h"
#include "cli/exit_codes.h"

namespace buoy::cli {
namespace {

constexpr int kWidestLabel = 26;

struct Entry {
  std::string label, help;
};
struct Section {
  std::string heading;
  std::vector<Entry> entries;
};

Section& sectionOf(std::vector<Section>& sections, const std::string& heading) {
  for (Section& section : sections) {
    if (section.heading == heading) return section;
  }
  sections.push_back({heading, {}});
  return sections.back();
}

std::string labelOf(const Option& option) {
  std::string label = option.letter != 0 ? strCat({"-", std::string(1, option.letter), ", "}) : "    ";
  label += option.name;
  if (!option.value_name.empty()) label += " " + option.value_name;
  return label;
}

std::string synopsis(const Command& command) {
  std::string text = command.path();
  if (!command.children.empty() && !command.action) text += " COMMAND";
  for (const Argument& argument : command.arguments) {
    text += argument.required ? " " + argument.name : " [" + argument.name + "]";
    if (argument.values != nullptr) text += "...";
  }
  if (!command.options.empty()) text += " [OPTIONS]";
  if (command.rest != nullptr) text += " [-- COMMAND...]";
  return text;
}

std::vector<Section> sectionsOf(const Command& command) {
  std::vector<Section> sections;
  for (const auto& child : command.children) {
    if (child->isHidden()) continue;
    sectionOf(sections, child->heading.empty() ? "Commands" : child->heading)
        .entries.push_back({child->name, child->summary});
  }
  for (const Argument& argument : command.arguments) {
    sectionOf(sections, "Arguments").entries.push_back({argument.name, argument.help});
  }
  const Command* level = &command;
  for (const Option& option : level->options) {
    sectionOf(sections, option.group.empty() ? "Options" : option.group)
        .entries.push_back({labelOf(option), option.help});
  }
  while (level->parent != nullptr) level = level->parent;
  if (level != &command) {
    for (const Option& option : level->options)
      sectionOf(sections, "Everywhere").entries.push_back({labelOf(option), option.help});
  }
  sectionOf(sections, level == &command ? "Options" : "Everywhere")
      .entries.push_back({"-h, --help", "show this help"});
  return sections;
}

void appendSection(std::string& out, const Look& look, const Section& section) {
  out += "\n" + paint(look, Color::bold, section.heading) + "\n";
  int width = 0;
  for (const Entry& entry : section.entries) {
    if (displayWidth(entry.label) <= kWidestLabel) width = std::max(width, displayWidth(entry.label));
  }
  const int room = look.width > 0 ? std::max(look.width - width - 4, 20) : 0;
  const std::string indent = repeat(" ", width + 4);
  for (const Entry& entry : section.entries) {
    const bool long_label = displayWidth(entry.label) > width;
    out += "  " + paint(look, Color::cyan, entry.label);
    out += long_label ? "\n" + indent : repeat(" ", width - displayWidth(entry.label) + 2);
    out += wrap(entry.help, room, indent) + "\n";
  }
}

// A pipe would end the cell of a Markdown table.
std::string withoutPipes(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void appendManual(std::string& out, const Command& command) {
  out += "\n### `" + command.path() + "`\n\n" + command.summary + ".\n\n    " + synopsis(command) + "\n";
  if (!command.arguments.empty() || !command.options.empty()) out += "\n| | |\n| --- | --- |\n";
  const auto row = [&out](std::string_view label, std::string_view help) {
    out += "| `" + withoutPipes(trim(label)) + "` | " + withoutPipes(help) + " |\n";
  };
  for (const Argument& argument : command.arguments) row(argument.name, argument.help);
  for (const Option& option : command.options) row(labelOf(option), option.help);
  for (const auto& child : command.children) {
    if (!child->isHidden()) appendManual(out, *child);
  }
}

}  // namespace

std::string renderHelp(const Look& look, const Command& command) {
  std::string out = command.summary + ".\n\n" + paint(look, Color::dim, "usage: ") + synopsis(command) + "\n";
  for (const Section& section : sectionsOf(command)) appendSection(out, look, section);
  if (!command.details.empty()) out += "\n" + command.details + "\n";
  return out;
}

std::string renderManual(const Command& root) {
  std::string out;
  for (const auto& child : root.children) {
    if (!child->isHidden()) appendManual(out, *child);
  }
  return out;
}

std::string renderExitCodes(const Look& look) {
  std::string out = "What buoy ends with.\n\n";
  for (const ExitCodeMeaning& entry : kExitCodes) {
    out += "  " + paint(look, Color::cyan, pad(entry.code, 4, Align::right)) + "  " + entry.meaning + "\n";
  }
  return out;
}

}  // namespace buoy::cli
