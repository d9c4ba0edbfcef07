#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/completion.h"
#include "cli/context.h"
#include "cli/help.h"
#include "cli/tree.h"

namespace buoy::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Parsing : public ::testing::Test {
 protected:
  Parsing() : root_("buoy", "a test") {
    root_.option("--server", "URL", server_, "where");
    Command& run = root_.add("run", "run");
    run.optionalArgument("FILE", file_, "the file", Hint::file);
    run.rest = &words_;
    run.option("--name,-n", "NAME", name_, "name");
    run.option("--env,-e", "K=V", env_, "env");
    run.flag("--detach,-d", detach_, "detach");
    run.choice("--spot", {"prefer", "only"}, spot_, "spot");
    Command& show = root_.add("show", "show");
    show.argument("JOB", file_, "the job");
    Command& server = root_.add("server", "server");
    server.add("start", "start").flag("--now", detach_, "now");
  }
  std::string error(const std::vector<std::string>& words) {
    const auto parsed = parse(root_, words);
    return parsed ? "" : parsed.error().message;
  }

  Command root_;
  std::string server_, file_, name_, spot_;
  std::vector<std::string> env_, words_;
  bool detach_ = false;
};

TEST_F(Parsing, OptionsBeforeAndAfterTheFile) {
  ASSERT_EQ(error({"run", "-n", "x", "job.yaml", "--env", "A=1", "-eB=2", "--server=unix:/s", "-d"}), "");
  EXPECT_EQ(file_, "job.yaml");
  EXPECT_EQ(name_, "x");
  EXPECT_THAT(env_, ElementsAre("A=1", "B=2"));
  EXPECT_EQ(server_, "unix:/s");
  EXPECT_TRUE(detach_);
  EXPECT_THAT(words_, IsEmpty());
}

TEST_F(Parsing, ACommandBeginsAtTheFirstOtherWord) {
  ASSERT_EQ(error({"run", "--name", "x", "python3", "train.py", "--name", "y", "-d"}), "");
  EXPECT_THAT(words_, ElementsAre("python3", "train.py", "--name", "y", "-d"));
  EXPECT_EQ(name_, "x");
  EXPECT_FALSE(detach_);
}

TEST_F(Parsing, ACommandAfterDashesWithAFile) {
  ASSERT_EQ(error({"run", "job.yaml", "--", "b.yaml", "--", "-d"}), "");
  EXPECT_EQ(file_, "job.yaml");
  EXPECT_THAT(words_, ElementsAre("b.yaml", "--", "-d"));
}

TEST_F(Parsing, ValuesMayLookLikeAnything) {
  ASSERT_EQ(error({"run", "--name", "-1", "--env=", "--env", "--x"}), "");
  EXPECT_EQ(name_, "-1");
  EXPECT_THAT(env_, ElementsAre("", "--x"));
}

TEST_F(Parsing, MistakesAreNamedWithWhatWasPerhapsMeant) {
  EXPECT_THAT(error({"rnu"}), HasSubstr("did you mean 'run'?"));
  EXPECT_THAT(error({"run", "--nmae", "x"}), HasSubstr("has no option --nmae; did you mean '--name'?"));
  EXPECT_THAT(error({"server", "strat"}), HasSubstr("did you mean 'start'?"));
  EXPECT_THAT(error({"run", "--spot", "onyl"}),
              HasSubstr("'onyl' is none of prefer, only; did you mean 'only'?"));
  EXPECT_THAT(error({"run", "--name"}), HasSubstr("--name needs a value"));
  EXPECT_THAT(error({"run", "--detach=yes"}), HasSubstr("takes no value"));
  EXPECT_THAT(error({"run", "--"}), HasSubstr("no command follows --"));
  EXPECT_THAT(error({"show"}), HasSubstr("needs JOB"));
  EXPECT_THAT(error({"show", "a", "b"}), HasSubstr("'b' is one word too many"));
}

TEST_F(Parsing, HelpWinsOverWhatIsMissing) {
  const auto parsed = parse(root_, {"show", "--help"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->help);
  EXPECT_EQ(parsed->command->name, "show");
  EXPECT_TRUE(parse(root_, {"-h"})->help);
}

TEST_F(Parsing, HelpOfACommandsOwnWordsIsTheCommands) {
  const auto parsed = parse(root_, {"run", "python3", "--help"});
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->help);
  EXPECT_THAT(words_, ElementsAre("python3", "--help"));
}

// ---- the real tree

class Tree : public ::testing::Test {
 protected:
  Tree() : root_("buoy", "a test") {
    addGlobalOptions(root_, context_, version_);
    addCommands(root_);
  }
  template <class Visit>
  void forEach(const Command& command, const Visit& visit) {
    visit(command);
    for (const auto& child : command.children) forEach(*child, visit);
  }

  Context context_;
  bool version_ = false;
  Command root_;
};

TEST_F(Tree, EveryCommandIsDescribedAndRuns) {
  forEach(root_, [](const Command& command) {
    EXPECT_FALSE(command.summary.empty()) << command.path();
    EXPECT_NE(command.summary.back(), '.') << command.path();
    EXPECT_TRUE(command.action || !command.children.empty()) << command.path();
    for (const Option& option : command.options) {
      EXPECT_TRUE(option.name.starts_with("--")) << command.path() << " " << option.name;
      EXPECT_FALSE(option.help.empty()) << command.path() << " " << option.name;
    }
  });
}

TEST_F(Tree, NoOptionHidesAnother) {
  forEach(root_, [](const Command& command) {
    std::vector<std::string> names = {"--help", "-h"};
    for (const Command* level = &command; level != nullptr; level = level->parent) {
      for (const Option& option : level->options) {
        // Told again by a command below, for its help: there it must mean the same.
        const Option* told = command.findOption(option.name);
        if (told != &option && told->help == option.help && told->letter == option.letter) continue;
        names.push_back(option.name);
        if (option.letter != 0) names.push_back({'-', option.letter});
      }
    }
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end()) << command.path();
  });
}

TEST_F(Tree, HelpFitsTheTerminal) {
  const Look look{false, true, 80};
  forEach(root_, [&](const Command& command) {
    const std::string help = renderHelp(look, command);
    for (std::size_t begin = 0; begin < help.size();) {
      const std::size_t end = std::min(help.find('\n', begin), help.size());
      const std::string_view line = std::string_view(help).substr(begin, end - begin);
      EXPECT_LE(displayWidth(line), 110) << command.path() << ": " << line;
      EXPECT_FALSE(line.ends_with(' ')) << command.path() << ": " << line;
      begin = end + 1;
    }
  });
}

TEST_F(Tree, CompletionsAndManualKnowEveryCommandAndOption) {
  const std::string manual = renderManual(root_);
  for (const std::string_view shell : kShells) {
    const auto script = completionScript(root_, shell);
    ASSERT_TRUE(script);
    forEach(root_, [&](const Command& command) {
      if (command.isHidden()) return;
      EXPECT_THAT(*script, HasSubstr(command.name)) << shell;
      if (command.parent != nullptr) {
        EXPECT_THAT(manual, HasSubstr("`" + command.path() + "`"));
      }
      for (const Option& option : command.options)
        EXPECT_THAT(*script, HasSubstr(option.name.substr(2))) << shell;
    });
  }
  EXPECT_FALSE(completionScript(root_, "csh"));
  const Command other("spotty", "under another name");
  for (const std::string_view shell : kShells) {
    const auto script = completionScript(other, shell);
    ASSERT_TRUE(script);
    EXPECT_EQ(script->find("buoy"), std::string::npos) << *script;
  }
}

}  // namespace
}  // namespace buoy::cli
