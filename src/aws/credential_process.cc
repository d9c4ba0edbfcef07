#include "aws/credential_process.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "aws/ini_file.h"
#include "aws/service_call.h"
#include "base/strings.h"
#include "os/command_output.h"

namespace buoy::aws {
namespace {

constexpr std::size_t kLongestComplaint = 200;

// No more of what a program says: the rest may hold anything, secrets too.
std::string firstLine(std::string_view text) {
  std::string line(trim(split(trim(text), '\n').front()).substr(0, kLongestComplaint));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = '?';
  }
  return line;
}

class CredentialProcess final : public CredentialsSource {
 public:
  CredentialProcess(std::string command, std::string where, Environment environment, Duration limit)
      : command_(std::move(command)),
        where_("credential_process of " + std::move(where)),
        environment_(std::move(environment)),
        limit_(limit) {}

  Result<Credentials> fetch() override {
    const auto words = splitWords(command_);
    if (!words || words->empty()) {
      return fail(ErrorCode::invalid_argument, where_ + " is empty or has a quote that is not closed");
    }
    std::vector<std::string> environment;
    for (const auto& [name, value] : environment_) environment.push_back(strCat({name, "=", value}));
    auto output = os::runCommand(*words, environment, limit_);
    if (!output) return fail(output.error().wrap(where_));
    if (output->status.signalled || output->status.code != 0) {
      const std::string reason = firstLine(output->err);
      return fail(ErrorCode::unauthenticated,
                  strCat({where_, ": ", inQuotes(words->front()), " failed with ", output->status.toString(),
                          reason.empty() ? "" : ": ", reason}));
    }
    const auto document = nlohmann::json::parse(output->out, nullptr, false);
    if (document.is_object() && (!document.contains("Version") || document["Version"] != 1)) {
      return fail(ErrorCode::invalid_argument, where_ + " answered without \"Version\": 1");
    }
    return parseCredentials(output->out, where_);
  }

 private:
  const std::string command_, where_;
  const Environment environment_;
  const Duration limit_;
};

}  // namespace

std::unique_ptr<CredentialsSource> credentialProcess(std::string command, std::string where,
                                                     Environment environment, Duration limit) {
  return std::make_unique<CredentialProcess>(std::move(command), std::move(where), std::move(environment),
                                             limit);
}

}  // namespace buoy::aws
