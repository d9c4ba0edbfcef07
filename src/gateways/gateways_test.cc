#include <gtest/gtest.h>

#include "gateways/batch/container.h"
#include "gateways/batch/jobs.h"
#include "gateways/batch/library.h"
#include "gateways/front/members.h"
#include "gateways/front/signature_gate.h"
#include "gateways/logs/filter_pattern.h"
#include "gateways/logs/streams.h"

namespace buoy::gateways {
namespace {

TEST(Recognise, TellsServicesByTargetPathAndScope) {
  const auto call = [](std::string_view method, std::string_view path, std::string_view target = {},
                       std::string_view authorization = {}) {
    return front::recognise(
        {.method = method, .path = path, .target = target, .authorization = authorization});
  };
  ASSERT_TRUE(call("POST", "/v1/submitjob"));
  EXPECT_EQ(call("POST", "/v1/submitjob")->operation, "submitjob");
  EXPECT_EQ(call("POST", "/", "Logs_20140328.GetLogEvents")->service, front::Service::logs);
  const auto tags = call("GET", "/v1/tags/arn%3Aaws%3Abatch%3Ar%3A0%3Ajob%2Fj1");
  ASSERT_TRUE(tags);
  EXPECT_EQ(tags->resource, "arn:aws:batch:r:0:job/j1");
  EXPECT_FALSE(call("POST", "/v1/jobs"));
  EXPECT_FALSE(call("POST", "/v1/jobs/j1/cancel"));
  EXPECT_FALSE(call("GET", "/v1/submitjob"));
  EXPECT_TRUE(call("GET", "/v1/whatever", {}, "AWS4-HMAC-SHA256 nonsense")) << "it is answered as AWS would";
}

class SignatureGateTest : public testing::Test {
 protected:
  front::SignatureGate gate_{[](const std::string& key) {
    return key == "known" ? std::optional<std::string>("secret") : std::nullopt;
  }};

  // Signs and knocks: the type of the refusal, or "".
  std::string knock(Time signed_at, Time now, const std::string& key = "known",
                    const std::string& secret = "secret") {
    aws::Signer signer({.region = "r", .service = "batch", .encode_path_twice = false});
    const aws::SignableRequest request{
        "POST", "/v1/submitjob", {}, {{"host", "h"}}, std::string(aws::kEmptyPayload)};
    const auto headers = signer.sign(request, {.access_key = key, .secret_key = secret}, signed_at);
    aws::SignableRequest sent = request;
    sent.headers = headers;
    std::string authorization, date;
    for (const auto& [name, value] : headers) {
      if (name == "Authorization") authorization = value;
      if (name == "x-amz-date") date = value;
    }
    const auto refused = gate_.check({authorization, date, now}, sent, true);
    return refused ? refused->error_type : std::string();
  }
  const Time now_ = parseTime("2026-11-21T12:00:00Z").value();
};

TEST_F(SignatureGateTest, LetsThroughWhatIsSignedAndFresh) {
  EXPECT_EQ(knock(now_, now_), "");
  EXPECT_EQ(knock(now_ - std::chrono::minutes{14}, now_), "");
  EXPECT_EQ(knock(now_ + std::chrono::minutes{14}, now_), "");
}

TEST_F(SignatureGateTest, RefusesOtherKeysSecretsAndClocks) {
  EXPECT_EQ(knock(now_, now_, "stranger"), "UnrecognizedClientException");
  EXPECT_EQ(knock(now_, now_, "known", "guess"), "InvalidSignatureException");
  EXPECT_EQ(knock(now_ - std::chrono::minutes{16}, now_), "InvalidSignatureException");
  EXPECT_EQ(knock(now_ + std::chrono::minutes{16}, now_), "InvalidSignatureException");
}

TEST_F(SignatureGateTest, RefusesARecordedCallButNotTwoOfOneSecond) {
  EXPECT_EQ(knock(now_, now_), "");
  EXPECT_EQ(knock(now_, now_ + std::chrono::seconds{1}), "");
  EXPECT_EQ(knock(now_, now_ + std::chrono::minutes{1}), "InvalidSignatureException");
  EXPECT_EQ(knock(now_ + std::chrono::seconds{1}, now_ + std::chrono::minutes{1}), "");
}

TEST(Names, OfThingsAreReadFromArnsOfAnyRegion) {
  using batch::Thing;
  EXPECT_EQ(batch::nameIn("arn:aws:batch:x:123:job-queue/q", Thing::job_queue), "q");
  EXPECT_EQ(batch::nameIn("q", Thing::job_queue), "q");
  EXPECT_FALSE(batch::parseArn("arn:aws:s3:::bucket/x"));
  EXPECT_FALSE(batch::parseArn("arn:aws:batch:x:123:job-queue/"));
  EXPECT_TRUE(batch::checkName("n", "a-B_9"));
  for (const char* bad : {"", "-a", "a b", "a/b", "ä"}) EXPECT_FALSE(batch::checkName("n", bad)) << bad;
  EXPECT_FALSE(batch::checkName("n", std::string(129, 'a')));
}

TEST(JobReferences, AreOfJobsTasksAndNodes) {
  EXPECT_EQ(batch::parseJobReference("j42")->job, JobId{42});
  EXPECT_EQ(batch::parseJobReference("j42:7")->index, 7u);
  EXPECT_EQ(batch::parseJobReference("j42#1")->node, 1u);
  EXPECT_EQ(batch::parseJobReference("arn:aws:batch:r:0:job/j42:7")->index, 7u);
  for (const char* bad : {"", "42", "j", "j42:", "j42:x", "j42#-1"})
    EXPECT_FALSE(batch::parseJobReference(bad)) << bad;
}

TEST(Container, OverridesAreLaidOverTheDefinition) {
  auto definition = front::Body::parse(R"({"image":"i","vcpus":2,"memory":64,"command":["a"],
    "environment":[{"name":"A","value":"1"},{"name":"B","value":"2"}]})");
  auto overrides = front::Body::parse(R"({"command":["b","Ref::x","pre-Ref::x.post","Ref::unknown"],
    "environment":[{"name":"B","value":"3"}],"resourceRequirements":[{"type":"VCPU","value":"0.5"},
    {"type":"GPU","value":"1"}]})");
  ASSERT_TRUE(definition && overrides);
  batch::Container container;
  ASSERT_TRUE(batch::layOver(*definition, &definition->root(), "c", container));
  ASSERT_TRUE(batch::layOver(*overrides, &overrides->root(), "o", container));
  EXPECT_EQ(container.image, "i");
  EXPECT_EQ(container.env, (std::map<std::string, std::string>{{"A", "1"}, {"B", "3"}}));
  EXPECT_EQ(container.resources.milli_cpus, 500);
  EXPECT_EQ(container.resources.gpus, 1);
  EXPECT_EQ(container.resources.memory.value, 64u << 20);
  EXPECT_EQ(batch::withParameters(container.command, {{"x", "it's"}}),
            (std::vector<std::string>{"b", "it's", "pre-it's.post", "Ref::unknown"}));
}

TEST(Container, IsRunAsTheDefinitionSays) {
  auto body =
      front::Body::parse(R"({"image":"i","user":"1000","privileged":true,"readonlyRootFilesystem":true,
    "ulimits":[{"name":"nofile","softLimit":1,"hardLimit":2}],
    "volumes":[{"name":"data","host":{"sourcePath":"/data"}},{"name":"scratch"}],
    "mountPoints":[{"sourceVolume":"data","containerPath":"/in","readOnly":true},
                   {"sourceVolume":"scratch","containerPath":"/tmp/s"}],
    "linuxParameters":{"sharedMemorySize":64,"devices":[{"hostPath":"/dev/fuse","permissions":["READ","WRITE"]}],
      "tmpfs":[{"containerPath":"/t","size":16,"mountOptions":["noexec"]}],"swappiness":10}})");
  ASSERT_TRUE(body);
  batch::Container container;
  ASSERT_TRUE(batch::layOver(*body, &body->root(), "c", container));
  const container::Spec spec = batch::containerSpec(container, {{"AWS_BATCH_JOB_ID", "${BUOY_JOB_ID}"}});
  EXPECT_EQ(spec.image, "i");
  EXPECT_EQ(spec.user, "1000");
  EXPECT_TRUE(spec.privileged);
  EXPECT_EQ(spec.ulimits.at("nofile"), (container::Ulimit{1, 2}));
  EXPECT_EQ(spec.volumes, (std::vector<container::Volume>{{"/data", "/in", true}, {"", "/tmp/s", false}}));
  EXPECT_EQ(spec.shm_size, ByteCount{64u << 20});
  EXPECT_EQ(spec.runtime_args,
            (std::vector<std::string>{"--read-only", "--memory-swappiness=10",
                                      "--device=/dev/fuse:/dev/fuse:rw", "--tmpfs=/t:size=16m,noexec"}));
  EXPECT_TRUE(container::check(spec).empty());
  EXPECT_EQ(spec.env.at("AWS_BATCH_JOB_ID"), "${BUOY_JOB_ID}");
}

TEST(Container, VolumesOfEfsAreDirectoriesOfAFileSystemOfTheJob) {
  auto body = front::Body::parse(R"({"volumes":[
      {"name":"data","efsVolumeConfiguration":{"fileSystemId":"fs-0a1","rootDirectory":"/sets/one/"}},
      {"name":"all","efsVolumeConfiguration":{"fileSystemId":"fs-0a1","transitEncryption":"DISABLED"}}],
    "mountPoints":[{"sourceVolume":"data","containerPath":"/in","readOnly":true},
                   {"sourceVolume":"all","containerPath":"/all"}]})");
  ASSERT_TRUE(body);
  batch::Container container;
  ASSERT_TRUE(batch::layOver(*body, &body->root(), "c", container));
  EXPECT_EQ(container.file_systems, (std::vector<cloud::FileSystemSpec>{{"fs-0a1", "/mnt/fs-0a1", {}}}));
  EXPECT_EQ(container.run.volumes, (std::vector<container::Volume>{{"/mnt/fs-0a1/sets/one", "/in", true},
                                                                   {"/mnt/fs-0a1", "/all", false}}));
  EXPECT_TRUE(cloud::checkStorage({{}, container.file_systems}).empty());
}

TEST(Container, MistakesAreNamed) {
  for (const auto& [json, said] :
       {std::pair{R"({"environment":[{"name":"AWS_BATCH_X","value":"1"}]})", "reserved"},
        std::pair{R"({"resourceRequirements":[{"type":"VCPU","value":"x"}]})", "value"},
        std::pair{R"({"resourceRequirements":[{"type":"DISK","value":"1"}]})", "VCPU, MEMORY or GPU"},
        std::pair{R"({"secrets":[{"name":"A B","valueFrom":"/x"}]})", "variable"},
        std::pair{R"({"secrets":[{"name":"A","valueFrom":"arn:aws:ssm:x"}]})", "file"},
        std::pair{R"({"volumes":[{"name":"v","efsVolumeConfiguration":{}}]})", "fileSystemId"},
        std::pair{R"({"volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"shared"}}]})", "fs-"},
        std::pair{R"({"volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"fs-1",
          "transitEncryption":"ENABLED"}}]})",
                  "plain NFS"},
        std::pair{R"({"volumes":[{"name":"v","efsVolumeConfiguration":{"fileSystemId":"fs-1",
          "authorizationConfig":{"iam":"ENABLED"}}}]})",
                  "authorizationConfig"},
        std::pair{R"({"mountPoints":[{"sourceVolume":"v","containerPath":"/x"}]})", "is no volume"},
        std::pair{R"({"ulimits":[{"name":"nofile"}]})", "softLimit"},
        std::pair{R"({"command":{"a":1}})", "command"}}) {
    auto body = front::Body::parse(json);
    ASSERT_TRUE(body) << json;
    batch::Container container;
    const Status laid = batch::layOver(*body, &body->root(), "c", container);
    ASSERT_FALSE(laid) << json;
    EXPECT_NE(laid.error().message.find(said), std::string::npos) << laid.error().message;
  }
}

TEST(Members, StandAsInTheText) {
  const std::string text = R"( {"a": {"b": [1, "}"]}, "c\"d":"x\\", "e" : -1.5 } )";
  const auto members = front::membersOf(text);
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 3u);
  EXPECT_EQ(front::valueOf(*members, "a"), R"({"b": [1, "}"]})");
  EXPECT_EQ(front::textOf(front::valueOf(*members, "c\"d")), "x\\");
  EXPECT_EQ(front::valueOf(*members, "e"), "-1.5");
  EXPECT_EQ(front::valueOf(*members, "f"), "");
  for (const char* wrong :
       {"", "[]", "{", R"({"a"})", R"({"a":})", R"({"a":1,})", R"({"a":[1})", R"({"a":1}})"})
    EXPECT_FALSE(front::membersOf(wrong)) << wrong;
}

TEST(Library, KeepsRevisionsInOrderAndNeverGivesOneTwice) {
  batch::Library library;
  const std::string kind(batch::kDefinition);
  for (const std::uint32_t revision : {1u, 2u, 10u})
    ASSERT_TRUE(library.put({kind, batch::definitionKey("train", revision), "{}"}));
  ASSERT_TRUE(library.put({kind, batch::definitionKey("trainer", 1), "{}"}));
  const auto all = library.list(kind, "train:", {}, 100);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all.back().name, batch::definitionKey("train", 10));
  EXPECT_EQ(library.list(kind, "train:", all[0].name, 1)[0].name, all[1].name);
  EXPECT_EQ(library.nextRevision("train"), 11u);
  EXPECT_EQ(library.nextRevision("train"), 12u);
  ASSERT_TRUE(library.put({kind, all[0].name, ""}));
  EXPECT_FALSE(library.find(kind, all[0].name));
  EXPECT_FALSE(library.put({kind, "x", "{"}));
}

TEST(FilterPatterns, AreWordsThatMustOrMayOrMustNotBeThere) {
  const auto matches = [](std::string_view pattern, std::string_view text) {
    const auto parsed = logs::FilterPattern::parse(pattern);
    EXPECT_TRUE(parsed) << pattern;
    return parsed && parsed->matches(text);
  };
  EXPECT_TRUE(matches("", "anything"));
  EXPECT_TRUE(matches("a b", "b a"));
  EXPECT_FALSE(matches("a b", "a"));
  EXPECT_TRUE(matches("\"a b\"", "x a b y"));
  EXPECT_FALSE(matches("\"a b\"", "b a"));
  EXPECT_TRUE(matches("?a ?b", "b"));
  EXPECT_FALSE(matches("a -b", "a b"));
  for (const char* bad : {"{ $.x = 1 }", "[a, b]", "\"open", "\"\""})
    EXPECT_FALSE(logs::FilterPattern::parse(bad)) << bad;
}

TEST(StreamNames, LeadToOneAttemptOfOneRank) {
  const auto place = logs::parseStreamName("train/default/j42.3.1");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->job, JobId{42});
  EXPECT_EQ(place->attempt, 3u);
  EXPECT_EQ(place->rank, 1u);
  EXPECT_EQ(logs::parseStreamName("train/default/j42.3")->rank, 0u);
  EXPECT_EQ(batch::logStreamName("train:7", JobId{42}, 3, 1), "train/default/j42.3.1");
  for (const char* bad : {"", "j42", "x/j42", "j42.x", "j42.1.2.3", "42.1"})
    EXPECT_FALSE(logs::parseStreamName(bad)) << bad;
}

}  // namespace
}  // namespace buoy::gateways
