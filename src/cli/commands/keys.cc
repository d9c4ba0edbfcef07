// buoy keys: access keys for AWS's own clients.
#include <memory>

#include "api/json_writer.h"
#include "api/node.h"
#include "base/strings.h"
#include "cli/commands/commands.h"
#include "cli/render/table.h"
#include "cli/submission.h"

namespace buoy::cli {
namespace {

std::string textOf(const api::Node& node, std::string_view key) {
  const api::Node* const found = node.find(key);
  return found == nullptr ? std::string() : found->text;
}

int create(const Context& context, const std::string& name, bool json) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  std::string request;
  api::JsonWriter(request).beginObject().field("name", name).endObject();
  auto body = (*connection)->post("/v1/keys", std::move(request));
  if (!body) return context.fail(body.error());
  if (json) {
    context.print(*body + "\n");
    return 0;
  }
  const auto tree = api::parseJsonTree(*body, api::kMessageLimits);
  if (!tree) return context.fail({ErrorCode::internal, "the server's answer holds no key", false});
  context.print("AWS_ACCESS_KEY_ID=" + textOf(*tree, "id") +
                "\nAWS_SECRET_ACCESS_KEY=" + textOf(*tree, "secret") + "\n");
  if (context.err_terminal)
    context.note(paint(context.err, Color::dim, "this is the only time that the secret is shown") + "\n");
  return 0;
}

int listKeys(const Context& context, bool json) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->get("/v1/keys");
  if (!body) return context.fail(body.error());
  if (json) {
    context.print(*body + "\n");
    return 0;
  }
  const auto tree = api::parseJsonTree(*body, api::kMessageLimits);
  const api::Node* const keys = tree ? tree->find("keys") : nullptr;
  if (keys == nullptr) return context.fail({ErrorCode::internal, "the server's answer holds no keys", false});
  Table table{{{"KEY"}, {"CREATED"}, {"FOR", Align::left, true}}, {}};
  for (const api::Node& key : keys->items) {
    table.rows.push_back({Cell(cleaned(textOf(key, "id")), Color::bold),
                          Cell(cleaned(textOf(key, "created"))), Cell(cleaned(textOf(key, "name")))});
  }
  context.print(renderTable(context.out, table));
  return 0;
}

int remove(const Context& context, const std::string& id) {
  auto connection = connect(context);
  if (!connection) return connection.error();
  auto body = (*connection)->remove("/v1/keys/" + id);
  if (!body) return context.fail(body.error());
  return 0;
}

}  // namespace

void addKeys(Command& root) {
  Command& command = root.add("keys", "Access keys for AWS's clients: create, list, delete");
  command.details =
      "With a key, `aws batch … --endpoint-url http://HOST:PORT` and boto3 work against this server\n"
      "(docs/migrating/batch.md).";
  auto json = std::make_shared<bool>(false);
  auto name = std::make_shared<std::string>();
  Command& creator = command.add("create", "Make a key; its secret is shown once");
  creator.option("--name", "TEXT", *name, "what it is for");
  creator.flag("--json", *json, "print the server's answer");
  creator.action = [name, json](Context& context) { return create(context, *name, *json); };

  Command& lister = command.add("list", "List the keys");
  lister.flag("--json", *json, "print the server's answer");
  lister.action = [json](Context& context) { return listKeys(context, *json); };

  auto id = std::make_shared<std::string>();
  Command& remover = command.add("delete", "Take a key away");
  remover.argument("KEY", *id, "its id");
  remover.action = [id](Context& context) { return remove(context, *id); };
}

}  // namespace buoy::cli
