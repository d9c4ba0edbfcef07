#include "cli/job_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/exit_codes.h"
#include "os/files.h"

namespace buoy::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class JobInputTest : public ::testing::Test {
 protected:
  JobInputTest() : directory_(std::move(*os::TempDir::create("cli-input-"))) {
    options_.directory = directory_.path();
    options_.home = "/home/somebody";
    options_.environment = [](const std::string& name) -> std::optional<std::string> {
      if (name == "SEED") return "7";
      return std::nullopt;
    };
    write("train.py", "print(1)");
  }
  void write(const std::string& name, const std::string& text) {
    const fs::path path = fs::path(directory_.path()) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  api::Parsed<JobInput> read() { return readJob(flags_, options_); }
  // The only problem, as it is printed.
  std::string problem() {
    const auto input = read();
    if (input) return "no problem";
    return input.error().size() == 1 ? input.error()[0].toString() : "many problems";
  }

  os::TempDir directory_;
  JobFlags flags_;
  JobInputOptions options_;
};

TEST_F(JobInputTest, FlagsMakeAJob) {
  flags_.command = {"python3", "train.py", "--note", "two words"};
  flags_.cpus = "0.5";
  flags_.memory = "2GiB";
  flags_.machines = "3";
  flags_.spot = "only";
  flags_.pools = {"a", "b"};
  flags_.checkpoint = "ckpt";
  flags_.keep = "5";
  flags_.save_signal = "SIGUSR1";
  flags_.outputs = {"model.pt"};
  flags_.metrics = {"loss=loss=([0-9.]+)"};
  flags_.env = {"A=b=c", "SEED"};
  flags_.max_run = "2h";
  flags_.retries = "2";
  flags_.priority = "-3";
  const auto input = read();
  ASSERT_TRUE(input) << renderProblems({}, input.error());
  const api::JobSpec& spec = input->spec;
  EXPECT_EQ(spec.name, "train");
  EXPECT_EQ(spec.run, "python3 train.py --note 'two words'");
  EXPECT_EQ(spec.resources.milli_cpus, 500);
  EXPECT_EQ(spec.resources.memory.value, std::uint64_t{2} << 30);
  EXPECT_EQ(spec.machines, 3);
  EXPECT_EQ(spec.spot, engine::SpotPreference::only);
  EXPECT_THAT(spec.pools, ElementsAre("a", "b"));
  EXPECT_EQ(spec.checkpoint->dir, "ckpt");
  EXPECT_EQ(spec.checkpoint->keep, 5);
  EXPECT_EQ(spec.checkpoint->save_signal, "SIGUSR1");
  EXPECT_THAT(spec.metrics, ElementsAre(Pair("loss", "loss=([0-9.]+)")));
  EXPECT_THAT(spec.env, ElementsAre(Pair("A", "b=c"), Pair("SEED", "7")));
  EXPECT_EQ(spec.max_run, std::chrono::hours{2});
  EXPECT_EQ(spec.retry_failures, 2);
  EXPECT_EQ(spec.priority, -3);
  ASSERT_EQ(input->source.files.size(), 1u);
  EXPECT_EQ(input->source.files[0].path, "train.py");
}

TEST_F(JobInputTest, FlagsPromiseADeadlineAndABudget) {
  flags_.command = {"python3", "train.py"};
  flags_.deadline = "36h";
  flags_.work = "8h";
  flags_.budget = "$12.50";
  flags_.policy = "uniform-progress";
  const auto input = read();
  ASSERT_TRUE(input) << renderProblems({}, input.error());
  EXPECT_EQ(input->spec.deadline, (api::Deadline{.in = std::chrono::hours{36}, .at = {}}));
  EXPECT_EQ(input->spec.work, std::chrono::hours{8});
  EXPECT_EQ(input->spec.budget, Money{12'500'000'000});
  EXPECT_EQ(input->spec.policy, engine::SpotRule::uniform_progress);
  flags_.budget = "much";
  EXPECT_THAT(problem(), HasSubstr("--budget: must be USD above 0"));
  flags_.budget.clear();
  flags_.deadline = "tomorrow";
  EXPECT_THAT(problem(), HasSubstr("--deadline: must be a time from the submit"));
}

TEST_F(JobInputTest, ADeadlineWithoutACheckpointIsNoted) {
  flags_.command = {"python3", "train.py"};
  flags_.deadline = "10h";
  flags_.work = "8h";
  EXPECT_THAT(read()->notes, Contains(HasSubstr("keeps no checkpoint")));
  flags_.deadline = "17h";
  EXPECT_THAT(read()->notes, IsEmpty()) << "there is time to do it twice";
  flags_.deadline = "2999-12-31T00:00:00Z";
  EXPECT_THAT(read()->notes, IsEmpty()) << "and so there is until then";
  flags_.deadline = "10h";
  flags_.checkpoint = "checkpoints";
  EXPECT_THAT(read()->notes, IsEmpty());
}

TEST_F(JobInputTest, APythonScriptAloneIsRunByPython) {
  flags_.command = {"train.py", "--epochs", "3"};
  EXPECT_EQ(read()->spec.run, "python3 train.py --epochs 3");
}

TEST_F(JobInputTest, FlagsWinOverTheFile) {
  write("buoy.yaml",
        "name: digits\nrun: python3 train.py\nenv: {A: '1', B: '2'}\noutputs: [x]\nmachines: 2\n");
  flags_.env = {"B=3"};
  flags_.env_files = {"vars"};
  flags_.outputs = {"y"};
  flags_.name = "other";
  write("vars", "# c\nexport C=4\nD=\"five six\"\n");
  const auto input = read();
  ASSERT_TRUE(input) << renderProblems({}, input.error());
  EXPECT_EQ(input->spec.name, "other");
  EXPECT_EQ(input->spec.machines, 2);
  EXPECT_THAT(input->spec.env,
              ElementsAre(Pair("A", "1"), Pair("B", "3"), Pair("C", "4"), Pair("D", "five six")));
  EXPECT_THAT(input->spec.outputs, ElementsAre("y"));
}

TEST_F(JobInputTest, AProblemOfAFlagNamesTheFlag) {
  write("buoy.yaml", "run: python3 train.py\n");
  flags_.machines = "-1";
  EXPECT_EQ(problem(), "--machines: must be at least 1, not -1");
  flags_.machines = "many";
  EXPECT_EQ(problem(), "--machines: must be a whole number, not 'many'");
  flags_.machines.clear();
  flags_.env = {"NOT_SET"};
  EXPECT_THAT(problem(), HasSubstr("--env: NOT_SET is not set here"));
  flags_.env.clear();
  flags_.env_files = {"vars"};
  write("vars", "A=1\noops\n");
  EXPECT_EQ(problem(), "vars:2: env: a line must be NAME=VALUE");
}

TEST_F(JobInputTest, AMissingScriptIsNamedWithItsPlace) {
  write("buoy.yaml", "name: x\nrun: python3 -u trian.py --epochs 3\n");
  EXPECT_THAT(problem(), HasSubstr("buoy.yaml:2:"));
  EXPECT_THAT(problem(), HasSubstr("'trian.py' is not in the project"));
  EXPECT_THAT(problem(), HasSubstr("did you mean 'train.py'?"));
  for (const char* run : {"python3 -m trian.py", "python3 -c trian.py", "echo trian.py", "python3 $SCRIPT",
                          "cd sub && python3 trian.py", "python3 /abs/trian.py"}) {
    write("buoy.yaml", std::string("name: x\nrun: ") + run + "\n");
    EXPECT_TRUE(read()) << run;
  }
  write("buoy.yaml", "name: x\nrun: ${PYTHON:-python3} -u trian.py\n");
  EXPECT_THAT(problem(), HasSubstr("trian.py"));
  flags_.no_source = true;
  EXPECT_TRUE(read());
}

TEST_F(JobInputTest, AScriptThatIsIgnoredIsExplained) {
  write("buoy.yaml", "name: x\nrun: python3 train.py\n");
  write(".buoyignore", "train.py\n");
  EXPECT_THAT(problem(), HasSubstr("'train.py' is not uploaded: left out by .buoyignore"));
}

TEST_F(JobInputTest, InputsMustBeThereAndLeadSomewhere) {
  fs::create_symlink("loop", fs::path(directory_.path()) / "loop");
  write("buoy.yaml", "name: x\nrun: python3 train.py\ninputs: {data: ./nowhere}\n");
  EXPECT_THAT(problem(), HasSubstr("buoy.yaml:3:"));
  EXPECT_THAT(problem(), HasSubstr("inputs.data: "));
  EXPECT_THAT(problem(), HasSubstr("nowhere' does not exist"));
  write("buoy.yaml", "name: x\nrun: python3 train.py\ninputs: {data: ./loop}\n");
  EXPECT_THAT(problem(), HasSubstr("leads back to itself"));
  write("buoy.yaml", "name: x\nrun: python3 train.py\ninputs: {data: .}\n");
  EXPECT_THAT(problem(), HasSubstr("contains the project itself"));
  options_.inputs_are_here = false;
  EXPECT_TRUE(read()) << "what another host has cannot be seen from here";
}

TEST_F(JobInputTest, RelativeInputsAreMeantFromTheFileOrFromHere) {
  write("sub/buoy.yaml", "name: x\nrun: echo\ninputs: {a: ./d, far: 's3://bucket/x'}\n");
  write("sub/d/f", "");
  write("e/f", "");
  flags_.file = "sub/buoy.yaml";
  flags_.inputs = {"b=./e", "base=job:pretrain/model"};
  const auto input = read();
  ASSERT_TRUE(input) << renderProblems({}, input.error());
  EXPECT_EQ(input->spec.inputs.at("a").from, directory_.path() + "/sub/d");
  EXPECT_EQ(input->spec.inputs.at("b").from, directory_.path() + "/e");
  EXPECT_EQ(input->spec.inputs.at("far").from, "s3://bucket/x");
  EXPECT_EQ(input->spec.inputs.at("base").from, "job:pretrain/model");
  EXPECT_EQ(input->source.root, directory_.path() + "/sub");
}

TEST_F(JobInputTest, NothingToRun) {
  EXPECT_THAT(problem(), HasSubstr("there is no buoy.yaml here, and no command was given"));
  flags_.file = "nothere.yaml";
  EXPECT_EQ(problem(), "nothere.yaml: there is no such file");
  flags_.file.clear();
  flags_.command = {"echo hello"};
  EXPECT_THAT(problem(), HasSubstr("sh -c 'echo hello'"));
}

TEST_F(JobInputTest, AHomeDirectoryIsNoProject) {
  options_.home = directory_.path();
  flags_.command = {"echo", "hello"};
  const auto input = read();
  ASSERT_TRUE(input);
  EXPECT_TRUE(input->source.root.empty());
  EXPECT_EQ(input->notes.size(), 1u);
}

TEST(NameForCommand, IsTheScriptsOrTheProgramsName) {
  EXPECT_EQ(nameForCommand({"python3", "-u", "src/train.py"}), "train");
  EXPECT_EQ(nameForCommand({"/bin/sleep", "5"}), "sleep");
  EXPECT_EQ(nameForCommand({"sh", "-c", "exit 3"}), "sh");
}

TEST(ExitCodes, AreTheJobsOwnOrSayWhatBecameOfIt) {
  using engine::JobPhase;
  EXPECT_EQ(exitCodeOf(JobPhase::succeeded, 0), 0);
  EXPECT_EQ(exitCodeOf(JobPhase::failed, 7), 7);
  EXPECT_EQ(exitCodeOf(JobPhase::failed, 137), 137);
  EXPECT_EQ(exitCodeOf(JobPhase::failed, std::nullopt), 1);
  EXPECT_EQ(exitCodeOf(JobPhase::timed_out, 143), 124);
  EXPECT_EQ(exitCodeOf(JobPhase::cancelled, 0), 130);
  EXPECT_EQ(exitCodeOf(ErrorCode::invalid_argument), 2);
  EXPECT_EQ(exitCodeOf(ErrorCode::not_found), 3);
  EXPECT_EQ(exitCodeOf(ErrorCode::unavailable), 4);
  EXPECT_EQ(exitCodeOf(ErrorCode::already_exists), 5);
}

}  // namespace
}  // namespace buoy::cli
