#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/node.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

// Where the parser is in the text. The handler below asks it at each token, because the library tells no
// positions.
struct Cursor {
  std::string_view text;
  std::size_t position = 0;   // bytes the lexer has taken
  std::size_t looked_at = 0;  // up to here lines are counted
  int line = 1;
  std::size_t line_start = 0;

  // The mark of the token that begins at or after `from`; calls must come with rising `from`.
  Mark markFrom(std::size_t from) {
    constexpr std::string_view kBetweenTokens = " \t\r\n,:";
    while (from < text.size() && kBetweenTokens.find(text[from]) != std::string_view::npos) ++from;
    return markAt(from);
  }

  Mark markAt(std::size_t at) {
    for (; looked_at < at && looked_at < text.size(); ++looked_at) {
      if (text[looked_at] == '\n') {
        ++line;
        line_start = looked_at + 1;
      }
    }
    return Mark{line, static_cast<int>(at - std::min(at, line_start)) + 1};
  }
};

// Feeds the lexer and counts what it takes.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(Cursor* cursor, std::size_t at) : cursor_(cursor), at_(at) {}
  reference operator*() const { return cursor_->text[at_]; }
  CountingIterator& operator++() {
    cursor_->position = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  Cursor* cursor_;
  std::size_t at_;
};

// Builds the tree; says no as soon as a limit is passed.
class JsonTreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonTreeBuilder(Cursor& cursor, const TreeLimits& limits) : cursor_(cursor), limits_(limits) {}

  Node root;
  std::optional<Problem> problem;

  bool null() override { return add(Node::Kind::null, {}) != nullptr; }
  bool boolean(bool value) override { return add(Node::Kind::boolean, value ? "true" : "false") != nullptr; }
  bool number_integer(std::int64_t value) override {
    return add(Node::Kind::number, std::to_string(value)) != nullptr;
  }
  bool number_unsigned(std::uint64_t value) override {
    return add(Node::Kind::number, std::to_string(value)) != nullptr;
  }
  bool number_float(double, const std::string& text) override {
    return add(Node::Kind::number, text) != nullptr;
  }
  bool string(std::string& value) override { return add(Node::Kind::string, std::move(value)) != nullptr; }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // JSON has none
  bool start_object(std::size_t) override { return open(Node::Kind::map); }
  bool start_array(std::size_t) override { return open(Node::Kind::list); }
  bool end_array() override { return close(); }

  bool end_object() override {
    if (const Node* twice = duplicateKey(*open_.back())) {
      return refuse(twice->key_mark, "the key " + inQuotes(twice->key) + " stands twice in the same object");
    }
    return close();
  }

  bool key(std::string& name) override {
    key_mark_ = cursor_.markFrom(token_end_);
    token_end_ = cursor_.position;
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: what is wrong"
    std::string_view what = error.what();
    if (const auto at = what.find("parse error"); at != std::string_view::npos) {
      if (const auto colon = what.find(": ", at); colon != std::string_view::npos)
        what.remove_prefix(colon + 2);
    }
    std::string message = "is not valid JSON: ";
    for (const char c : what) message += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    return refuse(cursor_.markAt(position > 0 ? position - 1 : 0), std::move(message));
  }

 private:
  bool refuse(Mark mark, std::string message) {
    if (!problem) problem = problemAt({}, mark, {}, std::move(message));
    return false;
  }

  Node* add(Node::Kind kind, std::string text) {
    const Mark mark = cursor_.markFrom(token_end_);
    // A number ends where the lexer sees something else, which it has taken and puts back.
    token_end_ = kind == Node::Kind::number ? cursor_.position - 1 : cursor_.position;
    if (++nodes_ > limits_.nodes) {
      refuse(mark, "has more than " + std::to_string(limits_.nodes) + " values");
      return nullptr;
    }
    Node* node = &root;
    if (!open_.empty()) {
      std::vector<Node>& siblings = open_.back()->items;
      // Growing from one to sixteen moves a usual object's fields five times: half the cost of a listing.
      if (siblings.empty()) siblings.reserve(open_.back()->kind == Node::Kind::map ? 16 : 4);
      node = &siblings.emplace_back();
    }
    node->kind = kind;
    node->mark = mark;
    node->text = std::move(text);
    if (!open_.empty() && open_.back()->kind == Node::Kind::map) {
      node->key = std::move(key_);
      node->key_mark = key_mark_;
    }
    return node;
  }

  bool open(Node::Kind kind) {
    Node* node = add(kind, {});
    if (node == nullptr) return false;
    if (open_.size() >= limits_.depth) {
      return refuse(node->mark, "is nested more than " + std::to_string(limits_.depth) + " deep");
    }
    open_.push_back(node);  // stays valid: only the innermost open node gets items
    return true;
  }

  bool close() {
    open_.pop_back();
    token_end_ = cursor_.position;
    return true;
  }

  Cursor& cursor_;
  const TreeLimits& limits_;
  std::vector<Node*> open_;
  std::string key_;
  Mark key_mark_;
  std::size_t token_end_ = 0;
  std::size_t nodes_ = 0;
};

}  // namespace

Parsed<Node> parseJsonTree(std::string_view text, const TreeLimits& limits) {
  const auto refuse = [](Problem problem) {
    return tl::unexpected(std::vector<Problem>{std::move(problem)});
  };
  if (text.size() > limits.bytes) {
    return refuse(problemAt({}, {}, {}, "is larger than " + formatByteCount(ByteCount{limits.bytes})));
  }
  Cursor cursor{.text = text};
  JsonTreeBuilder builder(cursor, limits);
  try {
    const bool whole = nlohmann::json::sax_parse(CountingIterator(&cursor, 0),
                                                 CountingIterator(&cursor, text.size()), &builder);
    if (!whole || builder.problem) {
      return refuse(builder.problem.value_or(problemAt({}, {}, {}, "is not valid JSON")));
    }
  } catch (const std::exception& error) {
    return refuse(problemAt({}, {}, {}, std::string("is not valid JSON: ") + error.what()));
  }
  return std::move(builder.root);
}

}  // namespace buoy::api
