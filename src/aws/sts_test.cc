#include "aws/sts.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>

#include "aws/credentials.h"
#include "aws/settings.h"
#include "aws/sigv4.h"
#include "aws/test_support.h"
#include "base/clock.h"
#include "base/strings.h"
#include "net/url.h"

namespace buoy::aws {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::string sha256(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EXPECT_EQ(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr), 1);
  return toHex({digest.data(), size});
}

// The parameters of a form.
std::string parameter(const net::Request& request, std::string_view name) {
  const auto all = net::parseQuery(request.body);
  if (!all) return "not a form";
  for (const auto& [key, value] : *all) {
    if (key == name) return value;
  }
  return "";
}

std::string roleXml(const std::string& action, const std::string& name, Time expires) {
  return strCat({"<", action, "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><", action,
                 "Result><AssumedRoleUser><Arn>arn:x</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIA",
                 name, "</AccessKeyId><SecretAccessKey>secret-", name,
                 "</SecretAccessKey><SessionToken>token-", name, "</SessionToken><Expiration>",
                 formatTime(expires), "</Expiration></Credentials></", action, "Result></", action,
                 "Response>"});
}

std::string errorXml(const std::string& code, const std::string& message) {
  return strCat(
      {"<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender"
       "</Type><Code>",
       code, "</Code><Message>", message, "</Message></Error></ErrorResponse>"});
}

// The last part of a role's ARN.
std::string roleOf(const net::Request& request) {
  const std::string arn = parameter(request, "RoleArn");
  return arn.substr(arn.rfind('/') + 1);
}

const std::string kArn = "arn:aws:iam::1:role/";

class Sts : public testing::Test {
 protected:
  Sts() : service([this](const net::Request& request) { return answer(request); }) {
    home.environment["AWS_ENDPOINT_URL_STS"] = service.url();
    home.environment["AWS_REGION"] = "eu-west-1";
  }

  Result<std::shared_ptr<CredentialsProvider>> provider(const std::string& profile = {}) {
    auto settings = loadSettings(home.environment, profile);
    if (!settings) return fail(settings.error());
    return defaultCredentials(home.environment, *settings, clock);
  }
  Result<Credentials> get(const std::string& profile) {
    BUOY_TRY(const auto found, provider(profile));
    return found->get();
  }
  // The access key, or the error's sentence, which never shows a secret.
  std::string key(const std::string& profile = {}) {
    const auto credentials = get(profile);
    if (credentials) return credentials->access_key;
    for (const char* secret : {"secret-", "token-"})
      EXPECT_FALSE(contains(credentials.error().message, secret));
    return credentials.error().message;
  }
  Error errorOf(const std::string& profile) {
    const auto credentials = get(profile);
    if (credentials) return {};
    for (const char* secret : {"secret-", "token-"})
      EXPECT_FALSE(contains(credentials.error().message, secret));
    return credentials.error();
  }
  // Whether these keys signed the request for sts in this region.
  void expectSigned(const net::Request& request, const Credentials& by, const std::string& region) {
    Signer signer({.region = region, .service = "sts"});
    const NameValues headers = signer.sign(
        {.method = "POST",
         .path = "/",
         .query = {},
         .headers = {{"Host", service.host()}, {"Content-Type", std::string(request.header("Content-Type"))}},
         .payload_sha256 = sha256(request.body)},
        by, clock.now());
    for (const auto& [name, value] : headers) EXPECT_EQ(request.header(name), value) << name;
  }

  Synchronized<std::function<net::Response(const net::Request&)>> handler{
      [this](const net::Request& request) {
        return answerOf(roleXml(parameter(request, "Action"), roleOf(request), clock.now() + hours{1}));
      }};
  net::Response answer(const net::Request& request) {
    return handler.withLock([](auto& now) { return now; })(request);
  }
  void answerWith(std::function<net::Response(const net::Request&)> next) {
    handler.withLock([&](auto& now) { now = std::move(next); });
  }

  Home home;
  FakeClock clock;
  Service service;
};

constexpr const char* kUser =
    "[user]\naws_access_key_id = AKIDuser\naws_secret_access_key = secret-user\n"
    "aws_session_token = token-user\n";
const Credentials kUserKeys{"AKIDuser", "secret-user", "token-user", std::nullopt};

TEST_F(Sts, AssumesTheRoleOfAProfileSignedByItsSource) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn +
              "train\nsource_profile = user\nexternal_id = a&b =c\nrole_session_name = me\n"
              "duration_seconds = 1800\n");
  EXPECT_EQ(get("r").value(),
            (Credentials{"ASIAtrain", "secret-train", "token-train", clock.now() + hours{1}}));
  const auto requests = service.requests();
  ASSERT_EQ(requests.size(), 1u);
  const net::Request& asked = requests[0];
  EXPECT_EQ(asked.method + " " + asked.target, "POST /");
  EXPECT_EQ(parameter(asked, "Action"), "AssumeRole");
  EXPECT_EQ(parameter(asked, "Version"), "2011-06-15");
  EXPECT_EQ(parameter(asked, "RoleArn"), kArn + "train");
  EXPECT_EQ(parameter(asked, "RoleSessionName"), "me");
  EXPECT_EQ(parameter(asked, "ExternalId"), "a&b =c");
  EXPECT_EQ(parameter(asked, "DurationSeconds"), "1800");
  expectSigned(asked, kUserKeys, "eu-west-1");
}

TEST_F(Sts, AsksForNoMoreThanIsSet) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  EXPECT_EQ(key("r"), "ASIAtrain");
  const net::Request asked = service.requests().at(0);
  EXPECT_FALSE(contains(asked.body, "ExternalId"));
  EXPECT_FALSE(contains(asked.body, "DurationSeconds"));
  EXPECT_TRUE(parameter(asked, "RoleSessionName").starts_with("buoy-"));
}

TEST_F(Sts, KeepsTheRolesCredentialsAndRenewsThemBeforeTheyExpire) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  const auto found = provider("r").value();
  EXPECT_TRUE(found->get());
  EXPECT_TRUE(found->get());
  EXPECT_EQ(service.requests().size(), 1u);
  clock.advance(minutes{56});
  EXPECT_TRUE(found->get());
  EXPECT_EQ(service.requests().size(), 2u);
}

TEST_F(Sts, FollowsAChainOfRoles) {
  home.credentials(kUser);
  home.config("[profile a]\nrole_arn = " + kArn + "a\nsource_profile = b\n[profile b]\nrole_arn = " + kArn +
              "b\nsource_profile = c\n[profile c]\nrole_arn = " + kArn + "c\nsource_profile = user\n");
  EXPECT_EQ(key("a"), "ASIAa");
  const auto requests = service.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(roleOf(requests[0]) + roleOf(requests[1]) + roleOf(requests[2]), "cba");
  expectSigned(requests[0], kUserKeys, "eu-west-1");
  expectSigned(requests[1], {"ASIAc", "secret-c", "token-c", std::nullopt}, "eu-west-1");
  expectSigned(requests[2], {"ASIAb", "secret-b", "token-b", std::nullopt}, "eu-west-1");
}

TEST_F(Sts, SaysThatAChainLeadsBack) {
  home.config("[profile a]\nrole_arn = " + kArn + "a\nsource_profile = b\n[profile b]\nrole_arn = " + kArn +
              "b\nsource_profile = c\n[profile c]\nrole_arn = " + kArn +
              "c\nsource_profile = b\n[profile self]\nrole_arn = " + kArn + "s\nsource_profile = self\n");
  EXPECT_TRUE(contains(key("a"), "leads back to it: a -> b -> c -> b")) << key("a");
  EXPECT_EQ(errorOf("a").code, ErrorCode::invalid_argument);
  EXPECT_TRUE(contains(key("self"), "leads back to it: self -> self")) << key("self");
  EXPECT_TRUE(service.requests().empty());
}

TEST_F(Sts, AProfileMayNameItselfForItsOwnKeys) {
  home.config("[profile self]\nrole_arn = " + kArn +
              "s\nsource_profile = self\naws_access_key_id = AKIDself\n"
              "aws_secret_access_key = secret-self\n");
  EXPECT_EQ(key("self"), "ASIAs");
  expectSigned(service.requests().at(0), {"AKIDself", "secret-self", "", std::nullopt}, "eu-west-1");
}

TEST_F(Sts, SaysWhatARoleLacks) {
  home.credentials(kUser);
  const auto tell = [&](const std::string& lines) {
    home.config("[profile r]\nrole_arn = " + kArn + "train\n" + lines + "[profile empty]\nregion = x\n");
    const std::string message = key("r");
    EXPECT_TRUE(contains(message, "profile '")) << message;
    return message;
  };
  EXPECT_TRUE(contains(tell(""), "needs a source_profile or a credential_source"));
  EXPECT_TRUE(contains(tell("source_profile = user\ncredential_source = Environment\n"), "both there"));
  EXPECT_TRUE(contains(tell("source_profile = nobody\n"), "names 'nobody', which does not exist"));
  EXPECT_TRUE(contains(tell("source_profile = empty\n"), "has no credentials, but another profile names it"));
  EXPECT_TRUE(contains(tell("source_profile = user\nmfa_serial = arn:x\n"), "MFA"));
  EXPECT_TRUE(
      contains(tell("source_profile = user\nduration_seconds = 1h\n"), "number of seconds, not '1h'"));
  EXPECT_TRUE(contains(tell("credential_source = Moon\n"), "not 'Moon'"));
  EXPECT_TRUE(contains(tell("credential_source = Environment\n"), "AWS_ACCESS_KEY_ID is not set"));
  EXPECT_TRUE(contains(tell("credential_source = EcsContainer\n"), "_FULL_URI are not set"));
  EXPECT_TRUE(service.requests().empty());
}

TEST_F(Sts, TakesTheSourceFromTheEnvironment) {
  home.environment["AWS_ACCESS_KEY_ID"] = "AKIDenv";
  home.environment["AWS_SECRET_ACCESS_KEY"] = "secret-env";
  home.config("[profile r]\nrole_arn = " + kArn + "train\ncredential_source = Environment\n");
  EXPECT_EQ(key("r"), "ASIAtrain");
  expectSigned(service.requests().at(0), {"AKIDenv", "secret-env", "", std::nullopt}, "eu-west-1");
}

TEST_F(Sts, TakesTheSourceFromTheContainer) {
  Service agent([&](const net::Request&) { return answerOf(documentOf("task", clock.now() + hours{1})); });
  home.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = agent.url() + "/role";
  home.config("[profile r]\nrole_arn = " + kArn + "train\ncredential_source = EcsContainer\n");
  EXPECT_EQ(key("r"), "ASIAtrain");
  expectSigned(service.requests().at(0), {"AKIDtask", "secret-task", "token-task", std::nullopt},
               "eu-west-1");
}

TEST_F(Sts, TakesTheSourceFromTheInstance) {
  Service metadata([&](const net::Request& request) {
    if (request.method == "PUT") return answerOf("session");
    if (request.path.ends_with("/")) return answerOf("its-role");
    return answerOf(documentOf("vm", clock.now() + hours{1}));
  });
  home.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.url();
  home.config("[profile r]\nrole_arn = " + kArn + "train\ncredential_source = Ec2InstanceMetadata\n");
  EXPECT_EQ(key("r"), "ASIAtrain");
  expectSigned(service.requests().at(0), {"AKIDvm", "secret-vm", "token-vm", std::nullopt}, "eu-west-1");
}

TEST_F(Sts, GetsANewCallerWhenItsOwnHasExpired) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  answerWith([this](const net::Request& request) {
    if (!contains(std::string(request.header("Authorization")), "AKIDnew")) {
      // Whoever renews the file contains done so by now.
      home.credentials("[user]\naws_access_key_id = AKIDnew\naws_secret_access_key = secret-new\n");
      return answerOf(errorXml("ExpiredToken", "The security token included in the request is expired"), 403);
    }
    return answerOf(roleXml("AssumeRole", roleOf(request), clock.now() + hours{1}));
  });
  EXPECT_EQ(key("r"), "ASIAtrain");
  ASSERT_EQ(service.requests().size(), 2u);
  expectSigned(service.requests()[1], {"AKIDnew", "secret-new", "", std::nullopt}, "eu-west-1");
}

TEST_F(Sts, AnExpiredCallerThatStaysExpiredIsSaidOnce) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  answerWith([](const net::Request&) { return answerOf(errorXml("ExpiredToken", "It is expired"), 403); });
  const Error error = errorOf("r");
  EXPECT_EQ(error.code, ErrorCode::unauthenticated);
  EXPECT_TRUE(
      contains(error.message, "AssumeRole for '" + kArn + "train': STS refuses: ExpiredToken: It is expired"))
      << error.message;
  EXPECT_EQ(service.requests().size(), 1u);
}

TEST_F(Sts, WebIdentityIsNotSignedAndItsTokenIsReadEachTime) {
  home.environment["AWS_ROLE_ARN"] = kArn + "pod";
  home.environment["AWS_ROLE_SESSION_NAME"] = "pod-7";
  home.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = home.write("jwt", "token-one\n");
  const auto found = provider().value();
  EXPECT_EQ(found->get()->access_key, "ASIApod");
  home.write("jwt", "token-two");
  clock.advance(minutes{58});
  EXPECT_EQ(found->get()->access_key, "ASIApod");
  const auto requests = service.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(parameter(requests[0], "Action"), "AssumeRoleWithWebIdentity");
  EXPECT_EQ(parameter(requests[0], "RoleSessionName"), "pod-7");
  EXPECT_EQ(parameter(requests[0], "WebIdentityToken"), "token-one");
  EXPECT_EQ(parameter(requests[1], "WebIdentityToken"), "token-two");
  EXPECT_TRUE(requests[0].header("Authorization").empty());
}

TEST_F(Sts, WebIdentityOfAProfileIsASourceOfARole) {
  home.config("[profile pod]\nrole_arn = " + kArn +
              "pod\nweb_identity_token_file = " + home.write("jwt", "token-one") +
              "\n[profile r]\nrole_arn = " + kArn + "train\nsource_profile = pod\n");
  EXPECT_EQ(key("r"), "ASIAtrain");
  ASSERT_EQ(service.requests().size(), 2u);
  expectSigned(service.requests()[1], {"ASIApod", "secret-pod", "token-pod", std::nullopt}, "eu-west-1");
}

TEST_F(Sts, SaysWhatTheWebIdentityLacks) {
  home.environment["AWS_WEB_IDENTITY_TOKEN_FILE"] = home.path("none");
  EXPECT_TRUE(contains(key(), "neither AWS_ROLE_ARN nor role_arn")) << key();
  home.environment["AWS_ROLE_ARN"] = kArn + "pod";
  EXPECT_TRUE(contains(key(), "web identity token")) << key();
  EXPECT_TRUE(contains(key(), home.path("none"))) << key();
  home.write("none", " \n");
  EXPECT_TRUE(contains(key(), "is empty")) << key();
  EXPECT_TRUE(service.requests().empty());
}

TEST_F(Sts, NamesWhatTheServiceSaysByKind) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  const struct {
    int status;
    std::string code;
    ErrorCode means;
  } cases[] = {
      {403, "AccessDenied", ErrorCode::permission_denied},
      {403, "RegionDisabledException", ErrorCode::permission_denied},
      {403, "InvalidClientTokenId", ErrorCode::unauthenticated},
      {403, "SignatureDoesNotMatch", ErrorCode::unauthenticated},
      {400, "ExpiredTokenException", ErrorCode::unauthenticated},
      {400, "ValidationError", ErrorCode::invalid_argument},
      {400, "Throttling", ErrorCode::unavailable},
      {503, "ServiceUnavailable", ErrorCode::unavailable},
  };
  for (const auto& c : cases) {
    answerWith([&](const net::Request&) { return answerOf(errorXml(c.code, "Why."), c.status); });
    const Error error = errorOf("r");
    EXPECT_EQ(error.code, c.means) << c.code;
    EXPECT_EQ(error.retryable, c.means == ErrorCode::unavailable) << c.code;
    EXPECT_TRUE(contains(error.message, c.code + ": Why.")) << error.message;
  }
  answerWith([](const net::Request&) { return answerOf("<html>no</html>", 418); });
  EXPECT_TRUE(contains(key("r"), "STS refuses: status 418")) << key("r");
}

TEST_F(Sts, AsksOnceMoreAfterAServersOwnError) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  answerWith([&](const net::Request& request) {
    if (service.requests().size() < 2) return answerOf("busy", 500);
    return answerOf(roleXml("AssumeRole", roleOf(request), clock.now() + hours{1}));
  });
  EXPECT_EQ(key("r"), "ASIAtrain");
  EXPECT_EQ(service.requests().size(), 2u);
}

TEST_F(Sts, SaysThatNobodyAnswers) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  service.stop();
  const Error error = errorOf("r");
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_TRUE(error.retryable);
}

TEST_F(Sts, ShowsNothingOfAnAnswerThatIsWrong) {
  home.credentials(kUser);
  home.config("[profile r]\nrole_arn = " + kArn + "train\nsource_profile = user\n");
  const std::string good = roleXml("AssumeRole", "train", clock.now());
  const auto without = [&](const std::string& name) {
    std::string xml = good;
    const auto from = xml.find("<" + name + ">"), to = xml.find("</" + name + ">");
    return xml.erase(from, to - from + name.size() + 3);
  };
  const std::pair<std::string, std::string> cases[] = {
      {"token-train", "not XML"},
      {"<a><b>secret-train", "not XML"},
      {"<AssumeRoleResponse/>", "without credentials"},
      {without("AccessKeyId"), "without credentials"},
      {without("SecretAccessKey"), "without credentials"},
      {without("SessionToken"), "without credentials"},
      {without("Expiration"), "no RFC 3339 time"},
      {roleXml("AssumeRoleWithSAML", "train", clock.now()), "without credentials"},
  };
  for (const auto& [xml, message] : cases) {
    answerWith([&xml = xml](const net::Request&) { return answerOf(xml); });
    const std::string said = key("r");
    EXPECT_TRUE(contains(said, message)) << said;
    EXPECT_FALSE(contains(said, "ASIA")) << said;
  }
}

// STS repeats what it had signed, the session token among it.
TEST(StsError, ShowsTheFirstLineOnly) {
  const Error error =
      stsError(403, errorXml("SignatureDoesNotMatch",
                             "The signature does not match.\n\nThe Canonical String should have been\n"
                             "x-amz-security-token:token-user"));
  EXPECT_EQ(error.message, "STS refuses: SignatureDoesNotMatch: The signature does not match.");
  EXPECT_LT(stsError(403, errorXml("X", std::string(100'000, 'a'))).message.size(), 400u);
}

TEST(StsUrl, IsTheRegionsOwn) {
  Settings settings;
  settings.region = "eu-west-1";
  EXPECT_EQ(stsUrl(settings), "https://sts.eu-west-1.amazonaws.com");
  settings.use_fips = true;
  EXPECT_EQ(stsUrl(settings), "https://sts-fips.eu-west-1.amazonaws.com");
  settings.use_dualstack = true;
  EXPECT_EQ(stsUrl(settings), "https://sts-fips.eu-west-1.api.aws");
  settings = {};
  settings.region = "cn-north-1";
  EXPECT_EQ(stsUrl(settings), "https://sts.cn-north-1.amazonaws.com.cn");
  settings.use_dualstack = true;
  EXPECT_EQ(stsUrl(settings), "https://sts.cn-north-1.api.amazonwebservices.com.cn");
  settings.sts_endpoint = "http://127.0.0.1:1";
  EXPECT_EQ(stsUrl(settings), "http://127.0.0.1:1");
}

}  // namespace
}  // namespace buoy::aws
