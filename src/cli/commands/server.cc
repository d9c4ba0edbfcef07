// buoy server: the background server of this state directory.
#include <memory>

#include "api/node.h"
#include "api/views.h"
#include "base/parse_number.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/exit_codes.h"
#include "cli/server_process.h"
#include "cli/submission.h"
#include "os/pidfd.h"

namespace buoy::cli {
namespace {

constexpr Duration kStopLimit = std::chrono::seconds{20};

struct StartFlags {
  std::vector<std::string> listen;
  std::string certificate, key;
  bool insecure = false;
};

Result<api::ServerView> status(Connection& connection) {
  BUOY_TRY(const std::string body, connection.get("/v1/server"));
  return api::parseServer(body);
}

std::string render(const Look& look, const api::ServerView& server) {
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += paint(look, Color::dim, pad(name, 10)) + value + "\n";
  };
  line("running", "version " + server.version + ", process " + std::to_string(server.pid) + ", up " +
                      age(server.started, wallClock()));
  for (std::size_t i = 0; i < server.endpoints.size(); ++i)
    line(i == 0 ? "listens" : "", server.endpoints[i]);
  line("state", server.state_dir);
  line("store", server.store);
  line("jobs",
       std::to_string(server.unfinished) + " unfinished, " + std::to_string(server.finished) + " finished");
  return text;
}

int start(const Context& context, const StartFlags& flags) {
  auto address = serverAddress(context.server);
  if (!address) return context.fail(address.error());
  if (!address->own)
    return context.fail(
        {ErrorCode::failed_precondition,
         "the server is elsewhere ($BUOY_SERVER or --server): " + address->endpoint.toString(), false});
  if (serverAnswers(*address)) {
    context.print("the server is running already\n");
    return 0;
  }
  std::vector<std::string> arguments;
  for (const std::string& listen : flags.listen) arguments.push_back("--listen=" + listen);
  if (!flags.certificate.empty()) arguments.push_back("--tls-cert=" + flags.certificate);
  if (!flags.key.empty()) arguments.push_back("--tls-key=" + flags.key);
  if (flags.insecure) arguments.push_back("--insecure");
  if (auto started = startServer(*address, arguments); !started) return context.fail(started.error());
  Connection connection(*address, Connection::Start::never);
  auto server = status(connection);
  if (!server) return context.fail(server.error());
  context.print(render(context.out, *server));
  return 0;
}

int stop(const Context& context) {
  auto connection = connect(context, Connection::Start::never);
  if (!connection) return connection.error();
  auto server = status(**connection);
  if (!server) {
    if (server.error().code != ErrorCode::unavailable) return context.fail(server.error());
    context.print("no server is running\n");
    return 0;
  }
  auto process = (*connection)->address().own ? os::Pidfd::open(static_cast<pid_t>(server->pid))
                                              : Result<os::Pidfd>(os::Pidfd{});
  if (auto asked = (*connection)->post("/v1/server/stop", ""); !asked) return context.fail(asked.error());
  if (process && *process && !process->waitEnded(kStopLimit)) {
    return context.fail({ErrorCode::deadline_exceeded,
                         "the server (process " + std::to_string(server->pid) + ") has not ended after 20 s",
                         false});
  }
  context.print("stopped; jobs go on, and the next command starts it again\n");
  return 0;
}

int showStatus(const Context& context, bool json) {
  auto connection = connect(context, Connection::Start::never);
  if (!connection) return connection.error();
  auto body = (*connection)->get("/v1/server");
  if (!body) return context.fail(body.error());
  if (json) {
    context.print(*body + "\n");
    return 0;
  }
  auto server = api::parseServer(*body);
  if (!server) return context.fail(server.error());
  context.print(render(context.out, *server));
  return 0;
}

int token(const Context& context) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->post("/v1/server/tokens", "");
  if (!body) return context.fail(body.error());
  const auto tree = api::parseJsonTree(*body, api::kMessageLimits);
  const api::Node* created = tree ? tree->find("token") : nullptr;
  if (created == nullptr)
    return context.fail({ErrorCode::internal, "the server's answer holds no token", false});
  context.print(created->text + "\n");
  if (context.err_terminal)
    context.note(paint(context.err, Color::dim, "this is the only time it is shown; use it as BUOY_TOKEN") +
                 "\n");
  return 0;
}

int log(const Context& context, const std::string& lines) {
  auto address = serverAddress(context.server);
  if (!address) return context.fail(address.error());
  const auto count = lines.empty() ? 50 : parseNumber<int>(lines);
  if (!count || *count < 1) {
    return context.fail(
        {ErrorCode::invalid_argument, "--lines must be a number from 1 on, not '" + lines + "'", false});
  }
  context.print(lastLines(address->log(), *count));
  if (context.err_terminal) context.note(paint(context.err, Color::dim, address->log()) + "\n");
  return 0;
}

}  // namespace

void addServer(Command& root) {
  Command& command = root.add("server", "The background server: start, stop, status, token, log");
  auto flags = std::make_shared<StartFlags>();
  Command& starter = command.add("start", "Start it, if it is not running");
  starter.option("--listen", "HOST:PORT", flags->listen, "on TCP as well; may be repeated");
  starter.option("--tls-cert", "FILE", flags->certificate, "certificate, PEM (self-signed)", Hint::file);
  starter.option("--tls-key", "FILE", flags->key, "its key, PEM", Hint::file);
  starter.flag("--insecure", flags->insecure, "TCP without TLS");
  starter.action = [flags](Context& context) { return start(context, *flags); };

  command.add("stop", "Stop it; jobs go on").action = [](Context& context) { return stop(context); };

  auto json = std::make_shared<bool>(false);
  Command& shower = command.add("status", "Say where it is and what it has to do");
  shower.flag("--json", *json, "print the server's answer");
  shower.action = [json](Context& context) { return showStatus(context, *json); };

  command.add("token", "Make a token for others to use it with").action = [](Context& context) {
    return token(context);
  };

  auto lines = std::make_shared<std::string>();
  Command& logger = command.add("log", "Print the end of its log");
  logger.option("--lines,-n", "N", *lines, "so many lines (50)");
  logger.action = [lines](Context& context) { return log(context, *lines); };
}

}  // namespace buoy::cli
