#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "api/node.h"
#include "base/strings.h"

namespace buoy::api {
namespace {

// Leaves the parser from inside one of its calls; never leaves this file.
struct Refused {
  Problem problem;
};

Node::Kind plainKind(const std::string& text) {
  if (text == "true" || text == "false") return Node::Kind::boolean;
  return isJsonNumber(text) ? Node::Kind::number : Node::Kind::string;
}

// Builds the tree from the parser's events. Working on events, not on the library's own nodes, bounds depth
// and expansion while parsing, sees duplicate keys, and has the mark of everything.
class YamlTreeBuilder final : public YAML::EventHandler {
 public:
  YamlTreeBuilder(const std::string& file, const TreeLimits& limits) : file_(file), limits_(limits) {}

  Node root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // Without a value yaml-cpp has no token to mark: the key's place is the one that helps.
    Node node;
    node.mark = toMark(mark);
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      refuse(toMark(mark), "refers to itself: an alias cannot stand inside its own anchor");
    Node copy = found->second.node;
    spend(toMark(mark), found->second.nodes - 1, found->second.bytes);
    add(std::move(copy), YAML::NullAnchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.mark = toMark(mark);
    checkTag(node.mark, tag);
    node.kind = tag == "?" || tag.empty() ? plainKind(value) : Node::Kind::string;
    node.text = value;
    add(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Kind::list, mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Kind::map, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  [[noreturn]] void refuse(Mark mark, std::string message) const {
    throw Refused{problemAt(file_, mark, {}, std::move(message))};
  }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = YAML::NullAnchor;
    bool has_key = false;  // in a map: the next value belongs to `key`
    std::string key;
    Mark key_mark;
    bool merges = false;  // some key is <<
    std::size_t nodes_before = 0, bytes_before = 0;
  };
  struct Anchored {
    Node node;
    std::size_t nodes = 0, bytes = 0;
  };

  static Mark toMark(const YAML::Mark& mark) {
    return mark.is_null() ? Mark{} : Mark{mark.line + 1, mark.column + 1};
  }

  void checkTag(Mark mark, const std::string& tag) const {
    if (tag.empty() || tag == "?" || tag == "!" || tag == "tag:yaml.org,2002:str") return;
    refuse(mark, "has the tag " + inQuotes(tag) + ": tags are not supported");
  }

  // The whole tree costs what it has after aliases are expanded, whatever the text's size.
  void spend(Mark mark, std::size_t nodes, std::size_t bytes) {
    nodes_ += nodes;
    bytes_ += bytes;
    if (nodes_ > limits_.nodes) {
      refuse(mark,
             "has more than " + std::to_string(limits_.nodes) + " values after its aliases are expanded");
    }
    if (bytes_ > 4 * limits_.bytes) {
      refuse(mark, "is larger than " + formatByteCount(ByteCount{4 * limits_.bytes}) +
                       " after its aliases are expanded");
    }
  }

  void open(Node::Kind kind, const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) {
    Frame frame;
    frame.node.kind = kind;
    frame.node.mark = toMark(at);
    frame.anchor = anchor;
    frame.nodes_before = nodes_;
    frame.bytes_before = bytes_;
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse(frame.node.mark, "has the tag " + inQuotes(tag) + ": tags are not supported");
    if (frames_.size() >= limits_.depth) {
      refuse(frame.node.mark, "is nested more than " + std::to_string(limits_.depth) + " deep");
    }
    frames_.push_back(std::move(frame));
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (frame.node.kind == Node::Kind::map) {
      if (const Node* twice = duplicateKey(frame.node)) {
        refuse(twice->key_mark, "the key " + inQuotes(twice->key) + " stands twice in the same map");
      }
      if (frame.merges) merge(frame.node);
    }
    put(std::move(frame.node), frame.anchor, frame.nodes_before, frame.bytes_before);
  }

  void add(Node node, YAML::anchor_t anchor) { put(std::move(node), anchor, nodes_, bytes_); }

  // A complete node takes its place in the innermost open one.
  void put(Node node, YAML::anchor_t anchor, std::size_t nodes_before, std::size_t bytes_before) {
    spend(node.mark, 1, node.text.size());
    if (anchor != YAML::NullAnchor)
      anchors_[anchor] = Anchored{node, nodes_ - nodes_before, bytes_ - bytes_before};
    if (frames_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& parent = frames_.back();
    if (parent.node.kind == Node::Kind::list) {
      parent.node.items.push_back(std::move(node));
      return;
    }
    if (!parent.has_key) {
      if (node.kind == Node::Kind::list || node.kind == Node::Kind::map || node.kind == Node::Kind::null) {
        refuse(node.mark, "a key must be a plain word, not a list, a map or nothing");
      }
      parent.has_key = true;
      parent.key = std::move(node.text);
      parent.key_mark = node.mark;
      parent.merges = parent.merges || parent.key == "<<";
      return;
    }
    parent.has_key = false;
    node.key = std::move(parent.key);
    node.key_mark = parent.key_mark;
    if (node.kind == Node::Kind::null) node.mark = node.key_mark;
    parent.node.items.push_back(std::move(node));
  }

  // `<<: *base` and `<<: [*a, *b]`: keys that the map does not have itself; the earlier source wins.
  void merge(Node& map) const {
    std::vector<Node> own;
    std::vector<Node> sources;
    for (Node& item : map.items) {
      if (item.key != "<<") {
        own.push_back(std::move(item));
      } else if (item.kind == Node::Kind::list) {
        for (Node& source : item.items) sources.push_back(std::move(source));
      } else {
        sources.push_back(std::move(item));
      }
    }
    std::unordered_set<std::string> keys;
    for (const Node& item : own) keys.insert(item.key);
    for (Node& source : sources) {
      if (source.kind != Node::Kind::map)
        refuse(source.mark, "'<<' merges maps: it must be a map or a list of maps");
      for (Node& item : source.items) {
        if (keys.insert(item.key).second) own.push_back(std::move(item));
      }
    }
    map.items = std::move(own);
  }

  const std::string& file_;
  const TreeLimits& limits_;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::size_t nodes_ = 0;
  std::size_t bytes_ = 0;
};

Mark markAt(std::string_view text, std::size_t at) {
  Mark mark{1, 1};
  for (const char c : text.substr(0, at)) {
    mark = c == '\n' ? Mark{mark.line + 1, 1} : Mark{mark.line, mark.column + 1};
  }
  return mark;
}

// yaml-cpp guesses encodings and lets control characters through: only clean UTF-8 reaches it.
std::optional<Problem> checkText(std::string_view text, const std::string& file, const TreeLimits& limits) {
  if (text.size() > limits.bytes) {
    return problemAt(file, {}, {}, "is larger than " + formatByteCount(ByteCount{limits.bytes}));
  }
  if (!isValidUtf8(text)) {
    std::size_t line_start = 0;
    while (line_start < text.size()) {
      const std::size_t end = std::min(text.find('\n', line_start), text.size());
      if (!isValidUtf8(text.substr(line_start, end - line_start))) break;
      line_start = end + 1;
    }
    std::size_t at = line_start;
    const std::size_t line_end = std::min(text.find('\n', line_start), text.size());
    for (std::size_t length = 1; at < line_end; at += length) {
      length = 1;
      while (length <= 4 && at + length <= line_end && !isValidUtf8(text.substr(at, length))) ++length;
      if (length > 4 || at + length > line_end) break;
    }
    return problemAt(file, markAt(text, at), {}, "is not valid UTF-8: save the file as UTF-8");
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) {
      return problemAt(file, markAt(text, i), {},
                       "holds a control character (byte " + std::to_string(byte) + "): remove it");
    }
  }
  return std::nullopt;
}

}  // namespace

Parsed<Node> parseYamlTree(std::string_view text, const std::string& file, const TreeLimits& limits) {
  const auto refuse = [](Problem problem) {
    return tl::unexpected(std::vector<Problem>{std::move(problem)});
  };
  if (auto problem = checkText(text, file, limits)) return refuse(std::move(*problem));
  YamlTreeBuilder builder(file, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return Node{};
    YamlTreeBuilder rest(file, limits);
    if (parser.HandleNextDocument(rest)) {
      rest.refuse(rest.root.mark, "holds more than one document: keep one, without further '---'");
    }
  } catch (Refused& refused) {
    return refuse(std::move(refused.problem));
  } catch (const YAML::Exception& error) {
    const Mark mark = error.mark.is_null() ? Mark{} : Mark{error.mark.line + 1, error.mark.column + 1};
    return refuse(problemAt(file, mark, {}, "is not valid YAML: " + error.msg));
  } catch (const std::exception& error) {
    return refuse(problemAt(file, {}, {}, std::string("is not valid YAML: ") + error.what()));
  }
  return std::move(builder.root);
}

}  // namespace buoy::api
