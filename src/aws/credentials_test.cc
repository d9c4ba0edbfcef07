#include "aws/credentials.h"

#include <gtest/gtest.h>

#include <atomic>

#include "aws/container.h"
#include "aws/credential_process.h"
#include "aws/service_call.h"
#include "aws/settings.h"
#include "aws/test_support.h"
#include "base/clock.h"

namespace buoy::aws {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kRoles = "/latest/meta-data/iam/security-credentials/";

class CredentialsChain : public testing::Test {
 protected:
  Result<std::shared_ptr<CredentialsProvider>> provider(const std::string& profile = {}) {
    auto settings = loadSettings(home.environment, profile);
    if (!settings) return fail(settings.error());
    return defaultCredentials(home.environment, *settings, clock);
  }
  Result<Credentials> get(const std::string& profile = {}) {
    BUOY_TRY(const auto found, provider(profile));
    return found->get();
  }
  // The access key, or the error's sentence.
  std::string key(const std::string& profile = {}) {
    const auto credentials = get(profile);
    return credentials ? credentials->access_key : credentials.error().message;
  }
  Error errorOf(const std::string& profile = {}) {
    const auto credentials = get(profile);
    return credentials ? Error{} : credentials.error();
  }
  void keysInEnvironment() {
    home.environment["AWS_ACCESS_KEY_ID"] = "AKIDenv";
    home.environment["AWS_SECRET_ACCESS_KEY"] = "secret-env";
  }

  Home home;
  FakeClock clock;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(CredentialsChain, TakesTheEnvironmentFirst) {
  keysInEnvironment();
  home.environment["AWS_SESSION_TOKEN"] = "token-env";
  home.environment["AWS_CREDENTIAL_EXPIRATION"] = formatTime(clock.now() + hours{1});
  home.credentials("[default]\naws_access_key_id = AKIDfile\naws_secret_access_key = secret-file\n");
  EXPECT_EQ(get().value(), (Credentials{"AKIDenv", "secret-env", "token-env", clock.now() + hours{1}}));
  EXPECT_EQ(key("default"), "AKIDfile") << "a profile that is asked for by name is meant";
}

TEST_F(CredentialsChain, SaysThatAPairOfKeysIsNotWhole) {
  home.environment["AWS_ACCESS_KEY_ID"] = "AKIDenv";
  EXPECT_EQ(key(), "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not");
  home.environment.clear();
  home.environment["HOME"] = home.path("");
  home.credentials("[default]\naws_access_key_id = AKIDfile\n");
  EXPECT_TRUE(has(key(), "has no aws_secret_access_key")) << key();
  home.credentials("[default]\naws_secret_access_key = secret-file\n");
  EXPECT_TRUE(has(key(), "no aws_access_key_id")) << key();
  EXPECT_FALSE(has(key(), "secret-file"));
}

TEST_F(CredentialsChain, TakesKeysOfTheProfileTheCredentialsFileFirst) {
  home.config(
      "[profile a]\naws_access_key_id = AKIDconfig\naws_secret_access_key = secret-config\n"
      "[profile b]\naws_access_key_id = AKIDb\naws_secret_access_key = secret-b\n");
  home.credentials(
      "[a]\naws_access_key_id = AKIDa\naws_secret_access_key = secret=a\naws_session_token = t/a==\n");
  EXPECT_EQ(get("a").value(), (Credentials{"AKIDa", "secret=a", "t/a==", std::nullopt}));
  EXPECT_EQ(key("b"), "AKIDb");
}

TEST_F(CredentialsChain, ReadsTheFileAgainWhenItsKeysAreRefused) {
  home.credentials("[default]\naws_access_key_id = AKIDone\naws_secret_access_key = s\n");
  const auto found = provider().value();
  const Credentials first = found->get().value();
  home.credentials("[default]\naws_access_key_id = AKIDtwo\naws_secret_access_key = s\n");
  EXPECT_EQ(found->get()->access_key, "AKIDone");
  found->reject(first);
  EXPECT_EQ(found->get()->access_key, "AKIDtwo");
}

TEST_F(CredentialsChain, RunsTheCredentialProcessAndAgainBeforeItsKeysExpire) {
  home.write("given", documentOf("proc", clock.now() + hours{1}));
  home.write("helper", "#!/bin/sh\necho \"$1\" >>\"$HOME/ran\"\ncat \"$HOME/given\"\n", 0700);
  home.config("[default]\ncredential_process = \"" + home.path("helper") + "\" 'two words'\n");
  const auto found = provider().value();
  EXPECT_FALSE(os::readFile(home.path("ran"))) << "before anybody wants them";
  EXPECT_EQ(found->get().value(),
            (Credentials{"AKIDproc", "secret-proc", "token-proc", clock.now() + hours{1}}));
  home.write("given", documentOf("next", clock.now() + hours{2}));
  clock.advance(minutes{56});
  EXPECT_EQ(found->get()->access_key, "AKIDnext");
  EXPECT_EQ(os::readFile(home.path("ran")).value(), "two words\ntwo words\n");
}

TEST_F(CredentialsChain, SaysWhyTheCredentialProcessGaveNone) {
  const auto tell = [&](const std::string& script) {
    home.write("helper", "#!/bin/sh\n" + script, 0700);
    home.config("[default]\ncredential_process = " + home.path("helper") + " --password hunter2\n");
    const std::string message = key();
    EXPECT_FALSE(has(message, "hunter2")) << message;
    EXPECT_TRUE(has(message, "profile 'default'")) << message;
    return message;
  };
  EXPECT_TRUE(has(tell("echo 'sign in first' >&2; exit 4"), "failed with exit code 4: sign in first"));
  EXPECT_TRUE(has(tell("echo '{\"Version\": 1, hunter2'"), "not a JSON object"));
  EXPECT_TRUE(has(tell("echo '{\"AccessKeyId\": \"hunter2\"}'"), "without \"Version\": 1"));
  EXPECT_TRUE(
      has(tell("echo '{\"Version\": 1, \"AccessKeyId\": \"hunter2\"}'"), "without a SecretAccessKey"));
  EXPECT_TRUE(has(tell("echo '{\"Version\": 1, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"hunter2\", "
                       "\"Expiration\": \"hunter2\"}'"),
                  "no RFC 3339 time"));
  home.config("[default]\ncredential_process = no-such-program\n");
  EXPECT_TRUE(has(key(), "there is no program 'no-such-program' in PATH")) << key();
}

TEST_F(CredentialsChain, DoesNotWaitForACredentialProcessForEver) {
  const auto found = keepCredentials(
      credentialProcess("sleep 60", "profile 'x'", home.environment, std::chrono::milliseconds{50}), clock);
  const auto credentials = found->get();
  ASSERT_FALSE(credentials);
  EXPECT_EQ(credentials.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(credentials.error().retryable);
  EXPECT_TRUE(has(credentials.error().message, "did not end within"));
}

TEST_F(CredentialsChain, AsksTheContainersAgent) {
  Service agent([&](const net::Request&) { return answerOf(documentOf("task", clock.now() + hours{1})); });
  home.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = agent.url() + "/role?id=7";
  home.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "Basic abc";
  EXPECT_EQ(get().value(), (Credentials{"AKIDtask", "secret-task", "token-task", clock.now() + hours{1}}));
  home.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = home.write("token", "Bearer file");
  EXPECT_EQ(key(), "AKIDtask");
  const auto requests = agent.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].method + " " + requests[0].target, "GET /role?id=7");
  EXPECT_EQ(requests[0].header("host"), agent.host());
  EXPECT_EQ(requests[0].header("authorization"), "Basic abc");
  EXPECT_EQ(requests[1].header("authorization"), "Bearer file");
}

TEST_F(CredentialsChain, TriesTheContainersAgentAgainAndSaysWhatItAnswered) {
  std::atomic<int> status = 503;
  Service agent([&](const net::Request&) { return answerOf("hunter2", status); });
  home.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = agent.url() + "/hunter2";
  const Error busy = errorOf();
  EXPECT_EQ(busy.code, ErrorCode::unavailable);
  EXPECT_TRUE(busy.retryable);
  EXPECT_EQ(agent.requests().size(), 3u);
  status = 403;
  const Error refused = errorOf();
  EXPECT_EQ(refused.code, ErrorCode::unauthenticated);
  EXPECT_EQ(refused.message, "container credentials from " + agent.url() + ": status 403");
  status = 200;
  EXPECT_EQ(key(), "container credentials from " + agent.url() +
                       ": it answered something that is not a JSON object");
  home.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "hunter2\r\nx: y";
  EXPECT_TRUE(has(key(), "holds a line break"));
  EXPECT_FALSE(has(key(), "hunter2"));
}

TEST_F(CredentialsChain, SendsItsTokenToNoStrangerInTheOpen) {
  for (const char* url : {"http://example.com/x", "http://127.example.com/x", "http://169.254.169.254/x"}) {
    home.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    EXPECT_TRUE(has(key(), "must be asked by https://")) << key();
  }
}

TEST(ContainerOptions, PutTheRelativePathFirst) {
  EXPECT_EQ(containerOptions({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/role"},
                              {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x"}})
                .url,
            "http://169.254.170.2/v2/role");
  EXPECT_EQ(containerOptions({}).url, "");
}

// An instance metadata service as EC2 has it.
class Metadata {
 public:
  explicit Metadata(const Clock& clock)
      : clock_(clock), service_([this](const net::Request& request) { return answer(request); }) {}

  std::atomic<int> token_status = 200;
  std::atomic<bool> has_role = true, wants_token = true, fails = false;
  Duration life = hours{6};
  Service& service() { return service_; }

 private:
  net::Response answer(const net::Request& request) {
    if (request.target == "/latest/api/token") {
      const bool is_right =
          request.method == "PUT" && request.header("x-aws-ec2-metadata-token-ttl-seconds") == "21600";
      return answerOf("the-token", is_right ? token_status.load() : 400);
    }
    if (wants_token && request.header("x-aws-ec2-metadata-token") != "the-token") return answerOf("", 401);
    if (!has_role) return answerOf("", 404);
    if (request.target == kRoles) return answerOf("trainer\n");
    if (request.target != std::string(kRoles) + "trainer") return answerOf("", 404);
    if (fails) return answerOf(R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"hunter2"})");
    return answerOf(documentOf("ec2", clock_.now() + life));
  }

  const Clock& clock_;
  Service service_;
};

class InstanceRole : public CredentialsChain {
 protected:
  InstanceRole() { home.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.service().url(); }
  Metadata metadata{clock};
};

TEST_F(InstanceRole, IsAskedForWithATokenOfVersion2) {
  EXPECT_EQ(get().value(), (Credentials{"AKIDec2", "secret-ec2", "token-ec2", clock.now() + hours{6}}));
  ASSERT_EQ(metadata.service().requests().size(), 3u);
  EXPECT_EQ(metadata.service().requests()[0].header("host"), metadata.service().host());
}

TEST_F(InstanceRole, IsRefreshedAndKeptWhileTheServiceIsAway) {
  const auto found = provider().value();
  EXPECT_EQ(found->get()->expires, clock.now() + hours{6});
  clock.advance(hours{5} + minutes{55});
  EXPECT_EQ(found->get()->expires, clock.now() + hours{6});
  clock.advance(hours{5} + minutes{56});
  metadata.service().stop();
  EXPECT_EQ(found->get()->access_key, "AKIDec2");
  clock.advance(minutes{5});
  const auto gone = found->get();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::unavailable) << "it was there, so it will come back";
  EXPECT_TRUE(gone.error().retryable);
}

TEST_F(InstanceRole, IsAskedForWithoutATokenWhereThereIsOnlyVersion1) {
  metadata.token_status = 404;
  metadata.wants_token = false;
  EXPECT_EQ(key(), "AKIDec2");
  home.environment["AWS_EC2_METADATA_V1_DISABLED"] = "true";
  EXPECT_TRUE(has(key(), "hop limit")) << key();
  home.environment.erase("AWS_EC2_METADATA_V1_DISABLED");
  metadata.token_status = 400;
  EXPECT_TRUE(has(key(), "it takes no request for a token")) << key();
}

TEST_F(InstanceRole, IsUsedBeyondItsEndWhenItIsNotRenewed) {
  metadata.life = -minutes{1};
  EXPECT_EQ(get()->expires, clock.now() + minutes{10});
}

TEST_F(InstanceRole, SaysWhatIsMissing) {
  metadata.fails = true;
  const Error broken = errorOf();
  EXPECT_EQ(broken.code, ErrorCode::unavailable);
  EXPECT_EQ(broken.message,
            "instance metadata service at " + metadata.service().url() +
                ": it has no credentials for role 'trainer' ('AssumeRoleUnauthorizedAccess')");
  metadata.has_role = false;
  EXPECT_EQ(errorOf().code, ErrorCode::unauthenticated);
  EXPECT_TRUE(has(key(), "no IAM role is attached to this instance")) << key();
}

TEST_F(InstanceRole, IsNotAskedForWhenSwitchedOff) {
  home.environment["AWS_EC2_METADATA_DISABLED"] = "true";
  EXPECT_TRUE(has(key(), "AWS_EC2_METADATA_DISABLED")) << key();
  EXPECT_TRUE(metadata.service().requests().empty());
}

TEST_F(CredentialsChain, SaysWhereItLooked) {
  const Error error = errorOf();
  EXPECT_EQ(error.code, ErrorCode::unauthenticated);
  EXPECT_FALSE(error.retryable);
  for (const std::string& part :
       {std::string("AWS_ACCESS_KEY_ID"), home.path(".aws/credentials"), std::string("credential_process"),
        std::string("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        std::string("instance metadata service at http://127.0.0.1:1")}) {
    EXPECT_TRUE(has(error.message, part)) << error.message;
  }
}

TEST_F(CredentialsChain, TellsHowToUseAProfileThatSignsInByABrowser) {
  home.config("[default]\nsso_session = my\n[sso-session my]\nsso_start_url = https://x\n");
  EXPECT_TRUE(has(key(), "aws configure export-credentials --profile default")) << key();
}

TEST(Expiration, TakesOffsets) {
  const Time noon = parseTime("2026-11-21T12:00:00Z").value();
  for (const char* text : {"2026-11-21T12:00:00Z", "2026-11-21T12:00:00+00:00", "2026-11-21T13:30:00+01:30",
                           "2026-11-21T04:00:00.000-08:00"}) {
    EXPECT_EQ(parseExpiration(text), noon) << text;
  }
  for (const char* text : {"", "2026-11-21", "2026-11-21T12:00:00", "2026-11-21T12:00:00+0x:00", "+00:00"}) {
    EXPECT_FALSE(parseExpiration(text)) << text;
  }
}

}  // namespace
}  // namespace buoy::aws
