#include "api/job_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <csignal>

#include "api/input_source.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kGood = "name: x\nrun: 'true'\n";

JobSpec good(std::string_view text) {
  const auto spec = parseJobYaml(text, "buoy.yaml");
  if (spec) return *spec;
  for (const Problem& problem : spec.error()) ADD_FAILURE() << problem.toString();
  return {};
}

// Every problem of a text, one a line.
std::string problems(std::string_view text) {
  const auto spec = parseJobYaml(text, "buoy.yaml");
  if (spec) return "none";
  std::string all;
  for (const Problem& problem : spec.error()) all += problem.toString() + "\n";
  return all;
}

// The one problem of kGood with `more` after it.
std::string problemOf(const std::string& more) {
  const auto spec = parseJobYaml(kGood + more, "buoy.yaml");
  if (spec) return "none";
  EXPECT_EQ(spec.error().size(), 1u) << problems(kGood + more);
  return spec.error().front().toString();
}

TEST(JobYaml, ReadsEveryKey) {
  const JobSpec spec = good(R"(
name: digits
run: python3 train.py --epochs 30
machines: 1
resources: {cpus: 1, memory: 1GiB}
pools: [local]
spot: prefer            # prefer | only | never
checkpoint: {dir: checkpoints, keep: 3, signal: SIGTERM}
inputs: {data: ./data}
outputs: [model.pt]
metrics: {loss: 'loss=([0-9.]+)'}
max_run: 2h
max_wait: 6h
retry: {failures: 2}
env: {SEED: "7"}
)");
  EXPECT_EQ(spec.name, "digits");
  EXPECT_EQ(spec.run, "python3 train.py --epochs 30");
  EXPECT_EQ(spec.machines, 1);
  EXPECT_EQ(spec.resources.milli_cpus, 1000);
  EXPECT_EQ(spec.resources.memory, ByteCount{1u << 30});
  EXPECT_EQ(spec.pools, std::vector<std::string>{"local"});
  EXPECT_EQ(spec.spot, engine::SpotPreference::prefer);
  ASSERT_TRUE(spec.checkpoint);
  EXPECT_EQ(*spec.checkpoint, (CheckpointSpec{"checkpoints", 3, "SIGTERM", 200ms}));
  EXPECT_EQ(spec.inputs.at("data").from, "./data");
  EXPECT_EQ(spec.outputs, std::vector<std::string>{"model.pt"});
  EXPECT_EQ(spec.metrics.at("loss"), "loss=([0-9.]+)");
  EXPECT_EQ(spec.max_run, 2h);
  EXPECT_EQ(spec.max_wait, 6h);
  EXPECT_EQ(spec.retry_failures, 2);
  EXPECT_EQ(spec.env.at("SEED"), "7");
}

TEST(JobYaml, ADeadlineIsATimeFromTheSubmitOrAnInstant) {
  const JobSpec from =
      good("name: x\nrun: 'true'\ndeadline: 36h\nwork: 8h\nbudget: 20\npolicy: uniform-progress\n");
  EXPECT_EQ(from.deadline, (Deadline{.in = 36h, .at = {}}));
  EXPECT_EQ(from.work, 8h);
  EXPECT_EQ(from.budget, Money{20'000'000'000});
  EXPECT_EQ(from.policy, engine::SpotRule::uniform_progress);
  const JobSpec until =
      good("name: x\nrun: 'true'\ndeadline: 2026-11-30T18:00:00+01:00\nwork: 8h\nbudget: $12.50\n");
  EXPECT_EQ(until.deadline, (Deadline{.in = {}, .at = *parseTime("2026-11-30T17:00:00Z")}));
  EXPECT_EQ(until.budget, Money{12'500'000'000});
  const engine::JobRequest request = toRequest(until);
  EXPECT_EQ(request.deadline_at, until.deadline->at);
  EXPECT_EQ(request.deadline_in, Duration{});
  EXPECT_EQ(request.policy, engine::SpotRule::buoy) << "the default where there is a deadline";
  EXPECT_EQ(toRequest(from).deadline_in, 36h);
  EXPECT_TRUE(request.begins_again) << "it keeps no checkpoint";
  EXPECT_FALSE(toRequest(good("name: x\nrun: 'true'\ncheckpoint: ckpt\n")).begins_again);
  EXPECT_EQ(toRequest(good(kGood)).policy, engine::SpotRule::none);
  EXPECT_EQ(toRequest(good(strCat({kGood, "deadline: 2h\nwork: 1h\nspot: never\n"}))).policy,
            engine::SpotRule::on_demand);
  EXPECT_EQ(good(strCat({kGood, "deadline: 2h\nwork: 1h\npolicy: on_demand\n"})).policy,
            engine::SpotRule::on_demand)
      << "as well as on-demand";
}

TEST(JobYaml, WhatCannotBePromisedIsRefused) {
  EXPECT_THAT(problemOf("deadline: 8h\n"), HasSubstr("work: is required with a deadline"));
  EXPECT_THAT(problemOf("deadline: soon\nwork: 1h\n"),
              HasSubstr("buoy.yaml:3:11: deadline: must be a time from the submit, such as 36h"));
  EXPECT_THAT(problemOf("deadline: 0\nwork: 1h\n"), HasSubstr("deadline: must be a time"));
  EXPECT_THAT(problemOf("deadline: [1]\nwork: 1h\n"), HasSubstr("deadline: must be a time"));
  EXPECT_THAT(problemOf("deadline: 400d\nwork: 1h\n"), HasSubstr("deadline: must be at most 365d"));
  EXPECT_THAT(problemOf("deadline: 8h\nwork: 1h\nspot: only\n"),
              HasSubstr("spot: 'only' cannot keep a deadline"));
  EXPECT_THAT(problemOf("deadline: 8h\nwork: 1h\nspot: never\npolicy: buoy\n"),
              HasSubstr("policy: 'buoy' uses"));
  EXPECT_THAT(problemOf("deadline: 8h\nwork: 1h\npolicy: cheapest\n"), HasSubstr("policy"));
  EXPECT_THAT(problemOf("policy: buoy\n"), HasSubstr("policy: says how a deadline is met"));
  for (const char* budget : {"0", "-1", "much", "1e30", "[1]"}) {
    EXPECT_THAT(problemOf(strCat({"budget: ", budget, "\n"})), HasSubstr("budget: must be USD above 0"))
        << budget;
  }
}

TEST(JobYaml, TakesShortForms) {
  const JobSpec spec = good(R"(
name: 123
run: true
checkpoint: {signal: usr1, settle: 1}
pools: local
outputs: model.pt
resources: {cpus: 0.5, gpus: 2, memory: 1073741824}
env: {SEED: 7, RATE: 1e-3, DEBUG: true, EMPTY: }
retry:
spot: never
)");
  EXPECT_EQ(spec.name, "123");
  EXPECT_EQ(spec.run, "true");
  EXPECT_EQ(spec.checkpoint->signal, "SIGUSR1");
  EXPECT_EQ(spec.checkpoint->settle, 1s);
  EXPECT_EQ(spec.pools, std::vector<std::string>{"local"});
  EXPECT_EQ(spec.resources.milli_cpus, 500);
  EXPECT_EQ(spec.resources.gpus, 2);
  EXPECT_EQ(spec.env, (std::map<std::string, std::string>{
                          {"SEED", "7"}, {"RATE", "1e-3"}, {"DEBUG", "true"}, {"EMPTY", ""}}));
  EXPECT_EQ(spec.spot, engine::SpotPreference::never);
  EXPECT_EQ(good("name: x\nrun: a\ncheckpoint: state\n").checkpoint->dir, "state");
}

TEST(JobYaml, TakesACheckpointIntervalOrFindsIt) {
  const auto of = [](const std::string& checkpoint) {
    return *good("name: x\nrun: a\ncheckpoint: {" + checkpoint + "}\n").checkpoint;
  };
  EXPECT_EQ(of("interval: auto").interval, std::nullopt);
  EXPECT_EQ(of("keep: 2").interval, std::nullopt);
  EXPECT_EQ(of("interval: 5m").interval, 5min);
  EXPECT_EQ(of("interval: 2.5").interval, 2500ms);
  EXPECT_EQ(of("save_signal: usr1").save_signal, "SIGUSR1");
  JobSpec spec = good("name: x\nrun: a\ncheckpoint: {interval: 90s, save_signal: USR2}\n");
  EXPECT_EQ(*parseJobJson(toJson(spec)), spec);
  spec.checkpoint->interval.reset();
  EXPECT_EQ(*parseJobJson(toJson(spec)), spec);
}

TEST(JobYaml, ResolvesAnchorsAndMerges) {
  const JobSpec spec = good(R"(
name: x
run: a
env: &base {A: "1", B: "2"}
inputs: {<<: *base, B: /own}
)");
  EXPECT_EQ(spec.inputs, (std::map<std::string, InputSpec>{{"A", {.from = "1"}}, {"B", {.from = "/own"}}}));
}

TEST(JobYaml, DefaultsTheName) {
  EXPECT_EQ(parseJobYaml("run: a", "buoy.yaml", "my project!")->name, "my-project");
  EXPECT_EQ(parseJobYaml("run: a", "buoy.yaml", "j7")->name, "job-j7");
  EXPECT_THAT(problems("run: a"), HasSubstr("name: is required"));
  EXPECT_EQ(jobNameFrom("../.."), "");
  EXPECT_EQ(jobNameFrom("train.py"), "train.py");
  EXPECT_TRUE(isName(jobNameFrom(std::string(300, 'x'))));
  EXPECT_TRUE(isName(jobNameFrom("j" + std::string(10, '1'))));
}

TEST(JobYaml, NamesFileLineColumnAndField) {
  EXPECT_THAT(problemOf("checkpoint:\n  keep: 0\n"),
              HasSubstr("buoy.yaml:4:9: checkpoint.keep: must be at least 1, not 0"));
  EXPECT_THAT(problemOf("outputs: [a,\n  ../b]\n"), HasSubstr("buoy.yaml:4:3: outputs[1]: "));
  EXPECT_THAT(problemOf("metrics: {a.b: 'x'}\n"), HasSubstr("buoy.yaml:3:16: metrics.a.b: "));
  EXPECT_THAT(problems("name: x\n"), HasSubstr("buoy.yaml:1:1: run: is required"));
}

TEST(JobYaml, ReportsEveryMistakeNotOnlyTheFirst) {
  const auto spec = parseJobYaml("nam: x\nmachines: zero\nspot: maybe\nretry: {failures: -1}\n", "buoy.yaml");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().size(), 6u) << "nam, machines, spot, retry.failures, and name and run are missing";
}

TEST(JobYaml, SuggestsTheNearestKnownKey) {
  EXPECT_THAT(problemOf("machnies: 2\n"),
              AllOf(HasSubstr("buoy.yaml:3:1: machnies: "), HasSubstr("did you mean 'machines'?")));
  EXPECT_THAT(problemOf("checkpoint: {kep: 2}\n"),
              HasSubstr("checkpoint.kep: unknown key 'kep'; did you mean 'keep'?"));
  EXPECT_THAT(problemOf("spot: nevr\n"), HasSubstr("did you mean 'never'?"));
  EXPECT_THAT(problemOf("colour: red\n"), AllOf(HasSubstr("unknown key 'colour'"), HasSubstr("machines")));
}

struct Case {
  const char* text;
  const char* field;
  const char* message;
};
class BadInput : public testing::TestWithParam<Case> {};

TEST_P(BadInput, IsOneClearProblem) {
  const std::string problem = problemOf(GetParam().text);
  EXPECT_THAT(problem, HasSubstr("buoy.yaml:3:"));
  EXPECT_THAT(problem, HasSubstr(std::string(" ") + GetParam().field + ": "));
  EXPECT_THAT(problem, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    JobYaml, BadInput,
    testing::Values(
        Case{"machines: [1]", "machines", "must be a whole number, not a list"},
        Case{"machines: '1'", "machines", "must be a whole number, not the text '1'"},
        Case{"machines: 1.5", "machines", "must be a whole number, not the number 1.5"},
        Case{"machines: -1", "machines", "must be at least 1, not -1"},
        Case{"machines: 1000000000", "machines", "must be at most 10000"},
        Case{"machines: 99999999999999999999", "machines", "is too large"},
        Case{"main_decides: true", "main_decides", "is for gangs only"},
        Case{"main_decides: 1", "main_decides", "must be true or false"},
        Case{"priority: 9000000", "priority", "must be at most 1000000"},
        Case{"resources: {memory: -1GiB}", "resources.memory", "is negative"},
        Case{"resources: {memory: 99999999999TiB}", "resources.memory", "more than 1 EiB"},
        Case{"resources: {memory: 512PiB}", "resources.memory", "must be at most 1.0 PiB"},
        Case{"resources: {memory: 4}", "resources.memory", "is a unit missing"},
        Case{"resources: {memory: [1]}", "resources.memory", "must be a size"},
        Case{"resources: {cpus: 0}", "resources.cpus", "must be more than 0"},
        Case{"resources: {cpus: 0.0001}", "resources.cpus", "at least 0.001"},
        Case{"resources: {cpus: -2}", "resources.cpus", "must be more than 0"},
        Case{"resources: {cpus: 1e300}", "resources.cpus", "is too large"},
        Case{"resources: {cpus: many}", "resources.cpus", "must be a number"},
        Case{"resources: {gpus: -1}", "resources.gpus", "must be at least 0"},
        Case{"resources: 4", "resources", "must be a map of keys to values, not the number 4"},
        Case{"max_run: -5", "max_run", "is negative"},
        Case{"max_run: 2 fortnights", "max_run", "no known unit"},
        Case{"max_run: 100000d", "max_run", "longer than ten years"},
        Case{"max_wait: {a: 1}", "max_wait", "must be a duration"},
        Case{"stop_grace: 2d", "stop_grace", "must be at most 1d"},
        Case{"retry: {failures: -1}", "retry.failures", "must be at least 0"},
        Case{"retry: 3", "retry", "must be a map"},
        Case{"spot: maybe", "spot", "must be one of prefer, only, never; not 'maybe'"},
        Case{"queue: 'a b'", "queue", "letters, digits"},
        Case{"pools: [local, '']", "pools[1]", "letters, digits"},
        Case{"pools: [[local]]", "pools[0]", "must be text, not a list"},
        Case{"pools: {a: b}", "pools", "must be a list of texts, not a map"},
        Case{"checkpoint: {dir: ../../etc}", "checkpoint.dir", "without '..'"},
        Case{"checkpoint: {dir: /etc}", "checkpoint.dir", "must be relative"},
        Case{"checkpoint: {dir: ''}", "checkpoint.dir", "must be a path below"},
        Case{"checkpoint: {keep: 0}", "checkpoint.keep", "must be at least 1"},
        Case{"checkpoint: {keep: 1001}", "checkpoint.keep", "must be at most 1000"},
        Case{"checkpoint: {signal: SIGFOO}", "checkpoint.signal", "use SIGTERM"},
        Case{"checkpoint: {signal: KILL}", "checkpoint.signal", "SIGKILL cannot be caught"},
        Case{"checkpoint: {settle: 2h}", "checkpoint.settle", "must be at most 1h 0m"},
        Case{"checkpoint: {interval: 0}", "checkpoint.interval", "must be more than 0; auto"},
        Case{"checkpoint: {interval: often}", "checkpoint.interval", "often"},
        Case{"checkpoint: {interval: 90d}", "checkpoint.interval", "must be at most"},
        Case{"checkpoint: {save_signal: KILL}", "checkpoint.save_signal", "SIGKILL cannot be caught"},
        Case{"checkpoint: [a]", "checkpoint", "must be a map"},
        Case{"inputs: {a-b: ./x}", "inputs.a-b", "letters, digits and '_'"},
        Case{"inputs: {a: ''}", "inputs.a", "is empty"}, Case{"inputs: [./x]", "inputs", "must be a map"},
        Case{"outputs: [/etc/passwd]", "outputs[0]", "must be relative"},
        Case{"outputs: [a/../../b]", "outputs[0]", "without '..'"},
        Case{"metrics: {loss: 'loss=([0-9'}", "metrics.loss", "is no regular expression"},
        Case{"metrics: {loss: '(a+)+\\1$'}", "metrics.loss", "linear time"},
        Case{"metrics: {loss: '(?=x)(y)'}", "metrics.loss", "linear time"},
        Case{"metrics: {loss: 'loss'}", "metrics.loss", "exactly one group"},
        Case{"metrics: {loss: '(a)(b)'}", "metrics.loss", "exactly one group"},
        Case{"metrics: {loss: '((((a{100}){100}){100}){100})'}", "metrics.loss", "is no regular expression"},
        Case{"metrics: {'a b': '(x)'}", "metrics.a b", "letters, digits"},
        Case{"env: {1A: x}", "env.1A", "a variable's name"},
        Case{"env: {A=B: x}", "env.A=B", "a variable's name"},
        Case{"env: {BUOY_RANK: '0'}", "env.BUOY_RANK", "Buoy's own"},
        Case{"env: {A: [x]}", "env.A", "must be text, not a list"},
        Case{"source: abc", "source", "SHA-256"}));

TEST(JobYaml, RefusesWhatDoesNotFitTogether) {
  EXPECT_THAT(problemOf("max_run: 2h\nmax_wait: 1h\n"),
              HasSubstr("buoy.yaml:4:11: max_wait: is waiting and running together"));
  EXPECT_THAT(problemOf("inputs: {data: /a, DATA: /b}\n"), HasSubstr("differs only in case"));
  EXPECT_THAT(problemOf("pools: [a, a]\n"), HasSubstr("pools[1]: 'a' is named twice"));
}

TEST(JobYaml, RefusesBadNamesAndCommands) {
  EXPECT_THAT(problems("name: ../x\nrun: a"), HasSubstr("buoy.yaml:1:7: name: "));
  EXPECT_THAT(problems("name: j7\nrun: a"), HasSubstr("reads like a job's id"));
  EXPECT_THAT(problems("name: " + std::string(129, 'x') + "\nrun: a"), HasSubstr("1 to 128"));
  EXPECT_THAT(problems("name: x\nrun: [a, b]"), HasSubstr("run: must be text, not a list"));
  EXPECT_THAT(problems("name: x\nrun: '  '"), HasSubstr("buoy.yaml:2:6: run: is required"));
  EXPECT_THAT(problems("name: x\nrun: " + std::string(140'000, 'x')), HasSubstr("longer than Linux takes"));
}

TEST(JobYaml, LimitsTheEnvironment) {
  EXPECT_THAT(problemOf("env: {A: " + std::string(140'000, 'x') + "}"),
              HasSubstr("env.A: is longer than Linux takes"));
  JobSpec spec{.name = "x", .run = "a"};
  for (int i = 0; i < 12; ++i) spec.env["V" + std::to_string(i)] = std::string(100'000, 'x');
  ASSERT_EQ(validate(spec).size(), 1u);
  EXPECT_EQ(validate(spec).front().field, "env");
  EXPECT_THAT(validate(spec).front().message, HasSubstr("environment takes 1.1 MiB"));
  EXPECT_THAT(problems(kGood + std::string("env: {BIG: '") + std::string(10 << 20, 'x') + "'}"),
              HasSubstr("larger than 1.0 MiB"));
}

TEST(JobYaml, RefusesTextThatIsNotCleanUtf8) {
  EXPECT_THAT(problems("name: x\nrun: a\xFFz\n"), HasSubstr("buoy.yaml:2:7: is not valid UTF-8"));
  EXPECT_THAT(problems("name: x\nrun: \xC3\n"), HasSubstr("buoy.yaml:2:6: is not valid UTF-8"));
  EXPECT_THAT(problems(std::string("name: x\nrun: a\0b\n", 17)),
              HasSubstr("buoy.yaml:2:7: holds a control character"));
  EXPECT_THAT(problems(std::string("\0n\0a", 4)), HasSubstr("control character"));
  EXPECT_EQ(good("\xEF\xBB\xBFname: x\nrun: \xC3\xA9\n").run, "\xC3\xA9");
}

TEST(JobYaml, RefusesWhatIsNotOneMap) {
  EXPECT_THAT(problems(""), HasSubstr("must be a map"));
  EXPECT_THAT(problems("# nothing\n"), HasSubstr("must be a map"));
  EXPECT_THAT(problems("- a\n"), HasSubstr("must be a map of keys to values, not a list"));
  EXPECT_THAT(problems("name: [x\n"), HasSubstr("is not valid YAML"));
  EXPECT_THAT(problems("name: x\n\trun: a\n"), HasSubstr("buoy.yaml:2"));
  EXPECT_THAT(problems("name: x\nrun: a\n---\nname: y\n"), HasSubstr("more than one document"));
  EXPECT_THAT(problems("name: x\nname: y\nrun: a\n"),
              HasSubstr("buoy.yaml:2:1: the key 'name' stands twice"));
  EXPECT_THAT(problems("name: !!binary eA==\nrun: a\n"), HasSubstr("tags are not supported"));
  EXPECT_THAT(problems("? [a]\n: b\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(problems("name: *nowhere\n"), HasSubstr("is not valid YAML"));
  EXPECT_THAT(problems("name: &a [*a]\n"), HasSubstr("refers to itself"));
  EXPECT_THAT(problems("<<: [1]\n"), HasSubstr("'<<' merges maps"));
}

TEST(JobYaml, RefusesBombs) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'j'; ++c) {
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) bomb += std::string(i > 0 ? "," : "") + "*" + static_cast<char>(c - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(problems(bomb + kGood), HasSubstr("after its aliases are expanded"));
  std::string heavy = "a: &a '" + std::string(500'000, 'x') + "'\nb: [";
  for (int i = 0; i < 100; ++i) heavy += "*a, ";
  EXPECT_THAT(problems(heavy + "x]\n"), HasSubstr("larger than 4.0 MiB after its aliases are expanded"));
  EXPECT_THAT(problems("a: " + std::string(5000, '[') + std::string(5000, ']')),
              HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(problems("a: " + std::string(300'000, '{')), HasSubstr("nested more than 32 deep"));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(problems(deep), HasSubstr("nested more than 32 deep"));
  std::string dashes;
  for (int i = 0; i < 10'000; ++i) dashes += "- ";
  EXPECT_THAT(problems(dashes), HasSubstr("nested more than 32 deep"));
}

TEST(JobYaml, LocateGivesALaterProblemItsPlace) {
  const std::string text = std::string(kGood) + "pools:\n  - local\n  - lokal\n";
  EXPECT_EQ(locate(text, "buoy.yaml", Problem{{}, 0, 0, "pools[1]", "unknown"}).toString(),
            "buoy.yaml:5:5: pools[1]: unknown");
  EXPECT_EQ(locate(text, "buoy.yaml", Problem{{}, 0, 0, "queue", "unknown"}).toString(),
            "buoy.yaml:1:1: queue: unknown");
}

std::string jsonProblems(std::string_view text) {
  const auto spec = parseJobJson(text);
  if (spec) return "none";
  std::string all;
  for (const Problem& problem : spec.error())
    all +=
        std::to_string(problem.line) + ":" + std::to_string(problem.column) + " " + problem.toString() + "\n";
  return all;
}

TEST(JobJson, HasTheSameRules) {
  EXPECT_EQ(parseJobJson(R"({"name":"x","run":"a","max_run":"2h","resources":{"cpus":0.5}})")->max_run, 2h);
  EXPECT_EQ(jsonProblems(R"({"name":"x","run":"a","machnies":2})"),
            "1:23 machnies: unknown key 'machnies'; did you mean 'machines'?\n");
  EXPECT_THAT(jsonProblems("{\"name\":\"x\",\n \"run\":\"a\", \"checkpoint\": {\"keep\":\n 0}}"),
              HasSubstr("3:2 checkpoint.keep: must be at least 1"));
  EXPECT_THAT(jsonProblems("{\"run\":\"a\"}"), HasSubstr("name: is required"));
  EXPECT_THAT(jsonProblems("{\"name\":\"x\",\"run\":\"a\",\"machines\":true}"),
              HasSubstr("machines: must be a whole number, not true"));
}

TEST(JobJson, RefusesWhatIsNoJson) {
  EXPECT_THAT(jsonProblems(""), HasSubstr("is not valid JSON"));
  EXPECT_THAT(jsonProblems("{\"a\":1"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(jsonProblems("{\"a\":1}x"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(jsonProblems("{\"a\":\"\xFF\"}"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(jsonProblems("[]"), HasSubstr("must be a map"));
  EXPECT_THAT(jsonProblems("{\"a\":1,\"a\":2}"), HasSubstr("1:8 the key 'a' stands twice"));
  EXPECT_THAT(jsonProblems(std::string(100'000, '[')), HasSubstr("nested more than 32 deep"));
  EXPECT_THAT(jsonProblems("[" + std::string(50'000, ' ') + "1" +
                           [] {
                             std::string s;
                             for (int i = 0; i < 30'000; ++i) s += ",1";
                             return s;
                           }() +
                           "]"),
              HasSubstr("more than 20000 values"));
}

TEST(Signals, HaveTheirNumbers) {
  EXPECT_EQ(signalNumber("SIGTERM"), SIGTERM);
  EXPECT_EQ(signalNumber("SIGUSR2"), SIGUSR2);
  EXPECT_EQ(signalNumber("TERM"), std::nullopt);
  EXPECT_EQ(signalNumber("SIGKILL"), std::nullopt);
}

TEST(Paths, MayNotLeaveTheirDirectory) {
  for (const char* path : {"a", "a/b", "./a", "a/", "*.pt", "a b", ".hidden", "..."})
    EXPECT_TRUE(isRelativePath(path)) << path;
  for (const char* path : {"", "/", "/a", ".", "..", "a/..", "../a", "a//b", "a/./b", "./", "././a", "\xFF"})
    EXPECT_FALSE(isRelativePath(path)) << path;
  EXPECT_FALSE(isRelativePath(std::string(5000, 'a')));
  EXPECT_FALSE(isRelativePath(std::string_view("a\0b", 3)));
}

TEST(SourceManifests, RoundTrip) {
  const SourceManifest manifest{
      {{"train.py", 0755, 12, std::string(64, 'a')}, {"lib/x.py", 0644, 0, std::string(64, '0')}}};
  EXPECT_EQ(parseSourceManifest(toJson(manifest)), manifest);
}

TEST(SourceManifests, RefuseWhatCouldLeaveTheDirectory) {
  const std::string hash(64, 'a');
  const auto message = [&](std::vector<SourceFile> files) {
    const auto parsed = parseSourceManifest(toJson(SourceManifest{std::move(files)}));
    return parsed ? "none" : parsed.error().message;
  };
  EXPECT_EQ(message({{"a", 0644, 1, hash}}), "none");
  EXPECT_THAT(message({{"../a", 0644, 1, hash}}), HasSubstr("not below the source directory"));
  EXPECT_THAT(message({{"/a", 0644, 1, hash}}), HasSubstr("not below the source directory"));
  EXPECT_THAT(message({{"./a", 0644, 1, hash}}), HasSubstr("not below the source directory"));
  EXPECT_THAT(message({{"a", 0644, 1, "A" + hash.substr(1)}}), HasSubstr("sha256"));
  EXPECT_THAT(message({{"a", 040755, 1, hash}}), HasSubstr("mode"));
  EXPECT_THAT(message({{"a", 0644, 1, hash}, {"a", 0644, 1, hash}}), HasSubstr("stands twice"));
  EXPECT_THAT(message({{"a/b", 0644, 1, hash}, {"a", 0644, 1, hash}}), HasSubstr("is below a file"));
  EXPECT_FALSE(parseSourceManifest("{}x"));
}

// ---- properties

rc::Gen<std::string> textOf(const std::string& alphabet, std::size_t least, std::size_t most) {
  return rc::gen::mapcat(rc::gen::inRange(least, most + 1), [=](std::size_t size) {
    return rc::gen::container<std::string>(size, rc::gen::elementOf(alphabet));
  });
}

const std::string kWord = "abcXYZ019_";
const std::string kAnything = std::string("aZ0 \t\n\r\"\\/{}[]:,#&*!|>'%@`\x01\x7f") + "-?";

rc::Gen<Duration> durationUpTo(Duration most) {
  return rc::gen::map(rc::gen::inRange<std::int64_t>(0, most.count() + 1),
                      [](std::int64_t micros) { return Duration{micros}; });
}

rc::Gen<std::map<std::string, std::string>> mapOf(const std::string& prefix, rc::Gen<std::string> values) {
  return rc::gen::container<std::map<std::string, std::string>>(
      rc::gen::map(textOf(kWord, 0, 8), [=](const std::string& word) { return prefix + word; }),
      std::move(values));
}

container::Spec anyContainer() {
  const auto flip = [] { return *rc::gen::arbitrary<bool>(); };
  container::Spec spec;
  if (flip()) {
    spec.image = "registry.example.org/train:1";
  } else {
    spec.file = "docker/Dockerfile";
    spec.context = ".";
    spec.build_args = {{"VERSION", "1"}};
  }
  if (flip()) spec.command = {"python3", "train.py", "--lr 0.1"};
  if (flip()) spec.working_dir = "/workspace/src";
  if (flip()) spec.user = "1000:1000";
  if (flip()) spec.volumes = {{"/data", "/data", true}, {"", "/scratch", false}};
  spec.network = *rc::gen::element(container::Network::automatic, container::Network::host);
  if (spec.network != container::Network::host) spec.ports = {{8888, 8888, false}, {53, 0, true}};
  if (flip()) spec.env = {{"A", "${BUOY_ATTEMPT}"}};
  if (flip()) spec.secrets = {{"TOKEN", "/run/secrets/token"}};
  if (flip()) spec.commands = "apt-get install -y tmux";
  if (flip()) spec.runtime_args = {"--cap-add", "SYS_PTRACE", "--ipc=host"};
  if (flip()) spec.gpus = *rc::gen::inRange(-1, 9);
  if (flip()) spec.shm_size = ByteCount{1 << 30};
  spec.privileged = flip();
  if (flip()) spec.ulimits = {{"nofile", {1024, 4096}}, {"memlock", {-1, -1}}};
  return spec;
}

JobSpec anySpec() {
  JobSpec spec;
  spec.name = "n" + *textOf(kWord, 0, 20);
  spec.run = "r" + *textOf(kAnything, 0, 100) + "\xE2\x82\xAC";
  spec.queue = "q" + *textOf(kWord, 0, 8);
  spec.machines = *rc::gen::inRange(1, 10'001);
  spec.main_decides = spec.machines > 1 && *rc::gen::arbitrary<bool>();
  spec.resources.milli_cpus = *rc::gen::inRange(1, 4'096'001);
  spec.resources.gpus = *rc::gen::inRange(0, 1'025);
  spec.resources.memory = ByteCount{*rc::gen::oneOf(
      rc::gen::just<std::uint64_t>(0), rc::gen::inRange<std::uint64_t>(1u << 20, (1ull << 50) + 1))};
  const auto pools = *rc::gen::inRange(0, 4);
  for (int i = 0; i < pools; ++i) spec.pools.push_back("p" + std::to_string(i));
  spec.spot = *rc::gen::element(engine::SpotPreference::prefer, engine::SpotPreference::only,
                                engine::SpotPreference::never);
  spec.priority = *rc::gen::inRange(-1'000'000, 1'000'001);
  if (*rc::gen::arbitrary<bool>()) {
    spec.checkpoint =
        CheckpointSpec{"d" + *textOf("ab.-_", 0, 9), *rc::gen::inRange(1, 1'001),
                       *rc::gen::element<std::string>("SIGTERM", "SIGUSR1", "SIGCONT"), *durationUpTo(1h)};
    if (*rc::gen::arbitrary<bool>()) spec.checkpoint->from = "job:n" + *textOf(kWord, 0, 9) + "/state";
  }
  spec.outputs = *rc::gen::container<std::vector<std::string>>(
      rc::gen::map(textOf("a*.? ", 0, 9), [](const std::string& text) { return "o" + text; }));
  spec.metrics = *mapOf("m", rc::gen::element<std::string>("loss=([0-9.]+)", "(\\d+)", "\"(x)\""));
  spec.max_run = *durationUpTo(24h * 100);
  spec.max_wait = spec.max_run + *durationUpTo(24h * 100);
  spec.retry_failures = *rc::gen::inRange(0, 1'001);
  spec.stop_grace = *durationUpTo(24h);
  if (*rc::gen::arbitrary<bool>()) {
    Deadline& deadline = spec.deadline.emplace();
    if (*rc::gen::arbitrary<bool>()) {
      deadline.in = Duration{1} + *durationUpTo(24h * 300);
    } else {
      deadline.at = Time{Duration{1}} + *durationUpTo(24h * 30'000);
    }
    spec.work = Duration{1} + *durationUpTo(24h * 300);
    spec.policy = engine::SpotRule::spot_first;
    spec.spot = engine::SpotPreference::prefer;
  }
  spec.budget = Money{*rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 50)};
  spec.env = *mapOf("E", textOf(kAnything, 0, 40));
  if (*rc::gen::arbitrary<bool>()) spec.container = anyContainer();
  if (*rc::gen::arbitrary<bool>()) spec.door = R"({"kind":"batch","tags":{"a":"b"}})";
  if (*rc::gen::arbitrary<bool>())
    spec.source = std::string(64, *rc::gen::elementOf(std::string("0123456789abcdef")));
  return spec;
}

RC_GTEST_PROP(JobJson, ReadsBackWhatToJsonWrites, ()) {
  const JobSpec spec = anySpec();
  RC_ASSERT(validate(spec).empty());
  const auto parsed = parseJobJson(toJson(spec));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == spec);
  RC_ASSERT(toJson(*parsed) == toJson(spec));
}

// JSON is YAML: both roads lead to the same job. Control characters are the exception, which our YAML
// refuses.
RC_GTEST_PROP(JobYaml, ReadsWhatToJsonWritesToo, ()) {
  JobSpec spec = anySpec();
  const auto clean = [](std::string& text) {
    std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  };
  clean(spec.run);
  for (auto& [key, value] : spec.env) clean(value);
  const auto parsed = parseJobYaml(toJson(spec), "job.json");
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(*parsed == spec);
}

RC_GTEST_PROP(JobYaml, NeverDependsOnLuck, (const std::string& text)) {
  const auto parsed = parseJobYaml(text, "buoy.yaml");
  RC_ASSERT(parsed.has_value() || !parsed.error().empty());
}

TEST(JobContainers, HaveShortAndLongForms) {
  const JobSpec in_short = good("name: x\nrun: a\nimage: python:3.11\n");
  ASSERT_TRUE(in_short.container);
  EXPECT_EQ(in_short.container->image, "python:3.11");
  EXPECT_EQ(good("name: x\ncontainer: python:3.11\n").container, in_short.container);
  const JobSpec spec = good(R"(
name: x
run: python3 train.py
container:
  file: docker/Dockerfile
  context: .
  build_args: {USER_ID: 1000}
  project_dir: /srv/project
  user: host
  volumes: ["/data:/data:ro", /scratch, {host: /a b, path: /b}]
  ports: [8888, "6006:6007", {container: 53, host: 53, udp: true}]
  env: {STEP: "${BUOY_ATTEMPT}"}
  runtime_args: [--ipc=host, --cap-add, SYS_PTRACE]
  gpus: all
  shm_size: 1GiB
  ulimits: {nofile: 1024:4096, memlock: unlimited, stack: {soft: 1, hard: 2}}
)");
  const container::Spec& read = *spec.container;
  EXPECT_EQ(read.volumes, (std::vector<container::Volume>{
                              {"/data", "/data", true}, {"", "/scratch", false}, {"/a b", "/b", false}}));
  EXPECT_EQ(read.ports,
            (std::vector<container::Port>{{8888, 0, false}, {6007, 6006, false}, {53, 53, true}}));
  EXPECT_EQ(read.gpus, container::Spec::kAllGpus);
  EXPECT_EQ(read.ulimits.at("nofile"), (container::Ulimit{1024, 4096}));
  EXPECT_EQ(read.ulimits.at("memlock"), (container::Ulimit{-1, -1}));
  EXPECT_EQ(*parseJobJson(toJson(spec)), spec);
  EXPECT_TRUE(toRequest(spec).image);
}

TEST(JobContainers, MistakesAreNamedWhereTheyStand) {
  const auto problem = [](const std::string& section) { return problemOf("container: {" + section + "}\n"); };
  EXPECT_THAT(problem("user: root"), HasSubstr("container.image: is required"));
  EXPECT_THAT(problem("image: a, file: Dockerfile"), HasSubstr("container.file: and image exclude"));
  EXPECT_THAT(problem("file: ../Dockerfile"), HasSubstr("below the project"));
  EXPECT_THAT(problem("image: a, volumes: [data]"), HasSubstr("container.volumes[0]: must be HOST:PATH"));
  EXPECT_THAT(problem("image: a, ports: [70000]"), HasSubstr("container.ports[0]: must be a port"));
  EXPECT_THAT(problem("image: a, ports: [80], network: host"), HasSubstr("exclude one another"));
  EXPECT_THAT(problem("image: a, gpus: some"), HasSubstr("container.gpus: must be a number or 'all'"));
  EXPECT_THAT(problem("image: a, runtime_args: [--frobnicate]"), HasSubstr("--frobnicate is not known here"));
  EXPECT_THAT(problem("image: a, ulimits: {files: 3}"), HasSubstr("container.ulimits.files: is no limit"));
  EXPECT_THAT(problem("image: a, imgae: b"), HasSubstr("did you mean"));
  EXPECT_THAT(problemOf("image: a\ncontainer: b\n"), HasSubstr("exclude one another"));
  EXPECT_THAT(problemOf("machines: 2\ncontainer: {image: a, network: bridge}\n"), HasSubstr("use host"));
}

TEST(JobInputs, ComeFromPathsBucketsAndJobs) {
  const JobSpec spec = good(R"(
name: x
run: a
inputs:
  plain: ./data
  train: {from: s3://bucket/sets/train/, distribution: sharded}
  base: {from: job:pretrain/model, mode: download, cache: false}
  text: {from: "s3://bucket", mode: stream}
)");
  EXPECT_EQ(spec.inputs.at("plain"), (InputSpec{.from = "./data"}));
  EXPECT_EQ(spec.inputs.at("train").distribution, InputSpec::Distribution::sharded);
  EXPECT_FALSE(spec.inputs.at("base").cache);
  EXPECT_EQ(spec.inputs.at("text").mode, InputSpec::Mode::stream);
  EXPECT_EQ(*parseJobJson(toJson(spec)), spec);
  EXPECT_EQ(parseInputSource("s3://bucket/sets/train/")->path, "s3://bucket/sets/train");
  const auto source = parseInputSource("job:j42/source@" + std::string(64, 'a'));
  ASSERT_TRUE(source);
  EXPECT_EQ(source->job, "j42");
  EXPECT_EQ(toString(*source), "job:j42/source@" + std::string(64, 'a'));
}

TEST(JobInputs, MistakesAreNamedWhereTheyStand) {
  const auto problem = [](const std::string& input) { return problemOf("inputs: {" + input + "}\n"); };
  EXPECT_THAT(problem("a: s3://"), HasSubstr("names no bucket: write s3://bucket/prefix"));
  EXPECT_THAT(problem("a: s3://bucket/x/../y"), HasSubstr("'..' component"));
  EXPECT_THAT(problem("a: gs://bucket/x"), HasSubstr("not known: write a path, s3://bucket/prefix or job:"));
  EXPECT_THAT(problem("a: job:base"), HasSubstr("must be job:base/output, /model, /state or /source"));
  EXPECT_THAT(problem("a: job:base/weights"), HasSubstr("must be job:base/output"));
  EXPECT_THAT(problem("a: job:../output"), HasSubstr("names no job"));
  EXPECT_THAT(problem("a: job:b/output@x"), HasSubstr("'@'"));
  EXPECT_THAT(problem("a: {mode: stream}"), HasSubstr("inputs.a: is empty"));
  EXPECT_THAT(problem("a: {from: ./x, mode: pipe}"), HasSubstr("link, download"));
  EXPECT_THAT(problem("a: {from: ./x, distribution: split}"), HasSubstr("replicated"));
  EXPECT_THAT(problem("a: {from: ./x, chache: true}"), HasSubstr("cache"));
  EXPECT_THAT(problem("a: {from: s3://bucket/x, mode: link}"),
              HasSubstr("inputs.a.mode: only a path can be linked"));
  EXPECT_THAT(problem("a: {from: job:j1/state, mode: stream}"), HasSubstr("downloaded, not streamed"));
  EXPECT_THAT(problem("a: {from: ./x, mode: stream}, a_0: ./y"),
              HasSubstr("inputs.a_0: is also what the stream"));
}

}  // namespace
}  // namespace buoy::api
