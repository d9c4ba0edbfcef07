#pragma once

#include <pugixml.hpp>

#include "base/parse_number.h"
#include "base/strings.h"
#include "cloud/aws/answers.h"

// For the .cc files that read EC2's XML.
namespace buoy::cloud::aws::xml {

using pugi::xml_document;
using pugi::xml_node;

inline std::string text(const xml_node& parent, const char* name) {
  return std::string(trim(parent.child(name).child_value()));
}

inline bool flag(const xml_node& parent, const char* name) {
  return text(parent, name) == "true";
}

template <class Number>
Number number(const xml_node& parent, const char* name) {
  return parseNumber<Number>(text(parent, name)).value_or(0);
}

inline Time timeOf(const xml_node& parent, const char* name) {
  return parseTime(text(parent, name)).value_or(Time{});
}

inline std::vector<Tag> tagsOf(const xml_node& parent, const char* name = "tagSet") {
  std::vector<Tag> tags;
  for (const xml_node& item : parent.child(name).children("item")) {
    // A value may have spaces at its ends.
    tags.push_back({item.child("key").child_value(), item.child("value").child_value()});
  }
  return tags;
}

// The document's root if it has this name.
inline Result<xml_node> parse(xml_document& document, std::string_view body, const char* root) {
  const auto parsed = document.load_buffer(body.data(), body.size());
  const xml_node node = document.child(root);
  if (parsed && node) return node;
  return fail(ErrorCode::internal, strCat({"AWS's answer is no ", root}));
}

}  // namespace buoy::cloud::aws::xml
