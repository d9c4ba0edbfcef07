#include "api/openapi.h"

#include <gtest/gtest.h>

#include <set>

#include "api/node.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

const Node& document() {
  static const Node root = parseJsonTree(openApiDocument(), kMessageLimits).value();
  return root;
}

// "#/components/schemas/Job" → that node.
const Node* resolve(std::string_view reference) {
  if (!reference.starts_with("#/")) return nullptr;
  const Node* node = &document();
  for (const std::string_view part : split(reference.substr(2), '/')) {
    node = node == nullptr ? nullptr : node->find(part);
  }
  return node;
}

template <class Visit>
void forEachNode(const Node& node, Visit visit) {
  visit(node);
  for (const Node& item : node.items) forEachNode(item, visit);
}

TEST(OpenApi, IsADocumentOfVersion31) {
  ASSERT_NE(document().find("openapi"), nullptr);
  EXPECT_EQ(document().find("openapi")->text, "3.1.0");
}

TEST(OpenApi, EveryReferenceResolves) {
  std::set<std::string> used;
  forEachNode(document(), [&](const Node& node) {
    if (node.key != "$ref") return;
    EXPECT_NE(resolve(node.text), nullptr) << node.text;
    used.insert(node.text);
  });
  for (const Node& schema : resolve("#/components/schemas")->items) {
    const bool named_only = schema.key == "SourceManifest";  // the body of a blob
    EXPECT_TRUE(named_only || used.contains("#/components/schemas/" + schema.key))
        << schema.key << " is used by nothing";
  }
}

TEST(OpenApi, EveryOperationHasAnIdOfItsOwnAndAnswers) {
  std::set<std::string> ids;
  for (const Node& path : document().find("paths")->items) {
    EXPECT_TRUE(path.key.starts_with("/v1/"));
    for (const Node& operation : path.items) {
      if (operation.key == "parameters") continue;
      ASSERT_NE(operation.find("operationId"), nullptr) << path.key;
      EXPECT_TRUE(ids.insert(operation.find("operationId")->text).second) << path.key;
      EXPECT_NE(operation.find("responses"), nullptr) << path.key;
      EXPECT_NE(operation.find("summary"), nullptr) << path.key;
    }
  }
  EXPECT_GT(ids.size(), 20u);
}

// What the parser knows and what the document says must not drift apart.
TEST(OpenApi, TheJobsKeysAreThoseOfTheParser) {
  const auto refused = parseJobJson(R"({"name":"x","run":"a","?":1})");
  ASSERT_FALSE(refused);
  const std::string& message = refused.error().front().message;
  const auto list = message.find("known here: ");
  ASSERT_NE(list, std::string::npos) << message;
  std::set<std::string> parser, documented;
  for (const std::string_view key : split(std::string_view(message).substr(list + 12), ','))
    parser.emplace(trim(key));
  for (const Node& property : resolve("#/components/schemas/JobSpec/properties")->items)
    documented.insert(property.key);
  EXPECT_EQ(parser, documented);
}

}  // namespace
}  // namespace buoy::api
