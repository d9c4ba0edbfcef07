// buoy serve: be the server.
#include <filesystem>
#include <memory>

#include "cli/commands/commands.h"
#include "cli/connection.h"
#include "cli/context.h"
#include "cli/server_process.h"
#include "os/terminal.h"

namespace buoy::cli {
namespace {

struct ServeFlags {
  std::vector<std::string> listen;
  std::string certificate, key, config;
  bool background = false, insecure = false, unsigned_aws = false;
};

std::string absolute(const std::string& path) {
  std::error_code error;
  return path.empty() ? path : std::filesystem::absolute(path, error).string();
}

int runInBackground(const Context& context, const ServeFlags& flags) {
  auto address = serverAddress("");
  if (!address) return context.fail(address.error());
  std::vector<std::string> arguments;
  for (const std::string& listen : flags.listen) arguments.push_back("--listen=" + listen);
  if (!flags.certificate.empty()) arguments.push_back("--tls-cert=" + absolute(flags.certificate));
  if (!flags.key.empty()) arguments.push_back("--tls-key=" + absolute(flags.key));
  if (!flags.config.empty()) arguments.push_back("--config=" + absolute(flags.config));
  if (flags.insecure) arguments.push_back("--insecure");
  if (flags.unsigned_aws) arguments.push_back("--unsigned-aws");
  if (serverAnswers(*address))
    return context.fail(
        {ErrorCode::failed_precondition, "a server is running already on " + address->state_dir, false});
  auto started = startServer(*address, arguments);
  return started ? 0 : context.fail(started.error());
}

int serve(const Context& context, const ServeFlags& flags) {
  if (flags.certificate.empty() != flags.key.empty()) {
    return context.fail({ErrorCode::invalid_argument, "--tls-cert and --tls-key belong together", false});
  }
  if (flags.background) return runInBackground(context, flags);
  ServeOptions options;
  auto state = stateDirectory();
  if (!state) return context.fail(state.error());
  options.state_dir = std::move(*state);
  options.config_file = flags.config.empty() ? configFile() : absolute(flags.config);
  options.listen = flags.listen;
  options.tls_certificate = absolute(flags.certificate);
  options.tls_key = absolute(flags.key);
  options.insecure = flags.insecure;
  options.unsigned_aws = flags.unsigned_aws;
  options.agent = findAgent();
  auto executable = os::executablePath();
  if (executable) options.executable = std::move(*executable);
  const Status served = context.hooks.serve(options);
  return served ? 0 : context.fail(served.error());
}

}  // namespace

void addServe(Command& root) {
  auto flags = std::make_shared<ServeFlags>();
  Command& command = root.add("serve", "Run the server in the foreground, for several people");
  command.option("--listen", "HOST:PORT", flags->listen, "on TCP beside the Unix socket; may be repeated");
  command.option("--tls-cert", "FILE", flags->certificate, "certificate, PEM (self-signed)", Hint::file);
  command.option("--tls-key", "FILE", flags->key, "its key, PEM", Hint::file);
  command.flag("--insecure", flags->insecure, "TCP without TLS");
  command.flag("--unsigned-aws", flags->unsigned_aws,
               "requests of AWS's clients need no signature; loopback only");
  command.option("--config", "FILE", flags->config,
                 "pools, queues, store ($XDG_CONFIG_HOME/buoy/config.yaml)", Hint::file);
  command.flag("--background", flags->background, "detach when it answers");
  command.details = "Example:\n  buoy serve --listen 0.0.0.0:7433";
  command.action = [flags](Context& context) { return serve(context, *flags); };
}

}  // namespace buoy::cli
