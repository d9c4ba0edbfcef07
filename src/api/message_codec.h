#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "api/spec_codec.h"

// The frame of every message codec in this folder; not for other folders.
namespace buoy::api {

// Reads one object of a message: read(MapReader&) → T.
template <class Read>
auto parseObject(std::string_view json, Read read) -> Result<decltype(read(std::declval<MapReader&>()))> {
  BUOY_TRY(const Node root, parseMessage(json));
  Problems problems{{}};
  MapReader reader(problems, root, {});
  auto value = read(reader);
  BUOY_TRY_VOID(firstProblem(problems));
  return value;
}

// Calls read(MapReader&) for each object of the list at `key`.
template <class Read>
void readList(MapReader& parent, std::string_view key, Read read) {
  const Node* list = parent.list(key);
  if (list == nullptr) return;
  for (const Node& item : list->items) {
    MapReader reader(parent.problems(), item, std::string(key));
    read(reader);
  }
}

// Calls read(MapReader&) for the object at `key`, if there is one.
template <class Read>
void readChild(MapReader& parent, std::string_view key, Read read) {
  const Node* node = parent.find(key);
  if (node == nullptr) return;
  MapReader reader(parent.problems(), *node, parent.pathOf(key));
  read(reader);
}

// write(JsonWriter&) puts the fields of one object.
template <class Write>
std::string writeObject(Write write) {
  std::string out;
  JsonWriter writer(out);
  writer.beginObject();
  write(writer);
  writer.endObject();
  return out;
}

// An object whose one field is a list: {"machines": […]}.
template <class List, class Write>
std::string writeList(std::string_view key, const List& list, Write write) {
  return writeObject([&](JsonWriter& writer) {
    writer.key(key).beginArray();
    for (const auto& item : list) write(writer, item);
    writer.endArray();
  });
}

}  // namespace buoy::api
