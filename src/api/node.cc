#include "api/node.h"

#include <unordered_set>

#include "api/json_writer.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

void write(JsonWriter& writer, const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      writer.null();
      return;
    case Node::Kind::boolean:
    case Node::Kind::number:
      writer.raw(node.text);
      return;
    case Node::Kind::string:
      writer.value(node.text);
      return;
    case Node::Kind::list:
      writer.beginArray();
      for (const Node& item : node.items) write(writer, item);
      writer.endArray();
      return;
    case Node::Kind::map:
      writer.beginObject();
      for (const Node& item : node.items) {
        writer.key(item.key);
        write(writer, item);
      }
      writer.endObject();
      return;
  }
}

// Removes the digits at the front; false if there are none.
bool takeDigits(std::string_view& text) {
  const std::size_t size = text.size();
  while (!text.empty() && isDigit(text.front())) text.remove_prefix(1);
  return text.size() < size;
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  if (kind != Kind::map) return nullptr;
  for (const Node& item : items) {
    if (item.key == name) return &item;
  }
  return nullptr;
}

std::string toJson(const Node& node) {
  std::string out;
  JsonWriter writer(out);
  write(writer, node);
  return out;
}

// A key may hold dots itself (a metric's name), so every key that begins the path is tried.
const Node* findByPath(const Node& root, std::string_view path) {
  if (path.empty()) return &root;
  if (root.kind == Node::Kind::list && path.front() == '[') {
    const std::size_t end = path.find(']');
    if (end == std::string_view::npos) return nullptr;
    std::size_t index = 0;
    for (const char c : path.substr(1, end - 1)) {
      if (!isDigit(c) || index > root.items.size()) return nullptr;
      index = index * 10 + static_cast<std::size_t>(c - '0');
    }
    if (index >= root.items.size()) return nullptr;
    return findByPath(root.items[index], path.substr(end + 1));
  }
  if (root.kind != Node::Kind::map) return nullptr;
  if (path.front() == '.') path.remove_prefix(1);
  for (const Node& item : root.items) {
    if (!path.starts_with(item.key)) continue;
    const std::string_view rest = path.substr(item.key.size());
    if (rest.empty()) return &item;
    if (rest.front() != '.' && rest.front() != '[') continue;
    if (const Node* found = findByPath(item, rest)) return found;
  }
  return nullptr;
}

bool isJsonNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.starts_with('0')) {
    text.remove_prefix(1);
  } else if (!takeDigits(text)) {
    return false;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!takeDigits(text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!takeDigits(text)) return false;
  }
  return text.empty();
}

const Node* duplicateKey(const Node& map) {
  constexpr std::size_t kFewKeys = 12;
  if (map.items.size() <= kFewKeys) {
    for (std::size_t i = 1; i < map.items.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        if (map.items[i].key == map.items[k].key) return &map.items[i];
      }
    }
    return nullptr;
  }
  std::unordered_set<std::string_view> keys;
  for (const Node& item : map.items) {
    if (!keys.insert(item.key).second) return &item;
  }
  return nullptr;
}

Problem problemAt(const std::string& file, Mark mark, std::string field, std::string message) {
  return Problem{file, mark.line, mark.column, std::move(field), std::move(message)};
}

}  // namespace buoy::api
