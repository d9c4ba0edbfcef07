// buoy help: commands and topics.
#include "cli/help.h"

#include <memory>

#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/exit_codes.h"

namespace buoy::cli {
namespace {

int runHelp(const Context& context, const std::string& topic, const std::string& below) {
  if (topic == "exit-codes") {
    context.print(renderExitCodes(context.out));
    return 0;
  }
  if (topic == "manual") {
    context.print(renderManual(*context.root));
    return 0;
  }
  const Command* command = context.root;
  for (const std::string& word : {topic, below}) {
    if (word.empty()) break;
    const Command* child = command->findChild(word);
    if (child == nullptr) {
      std::vector<std::string> known = childNames(*command);
      known.insert(known.end(), {"exit-codes", "manual"});
      const auto close = nearest(word, known);
      return context.fail(
          {ErrorCode::invalid_argument,
           "there is no help on '" + word + "'" + (close ? "; did you mean '" + *close + "'?" : ""), false});
    }
    command = child;
  }
  context.print(renderHelp(context.out, *command));
  return 0;
}

}  // namespace

void addHelp(Command& root) {
  struct Topic {
    std::string topic, below;
  };
  auto topic = std::make_shared<Topic>();
  Command& command = root.add("help", "Explain a command, or: exit-codes, manual");
  command.optionalArgument("TOPIC", topic->topic,
                           "a command, exit-codes, or manual (everything, as Markdown)");
  command.optionalArgument("COMMAND", topic->below, "one of its commands");
  command.action = [topic](Context& context) { return runHelp(context, topic->topic, topic->below); };
}

}  // namespace buoy::cli
