#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace buoy {

// A strong id: a positive number that prints with its kind's prefix ("j42", "m7"). Zero means none.
template <class Tag>
struct Id {
  std::uint64_t value = 0;

  auto operator<=>(const Id&) const = default;
  explicit operator bool() const { return value != 0; }
  std::string toString() const { return Tag::kPrefix + std::to_string(value); }

  // Exactly what toString prints; nullopt otherwise.
  static std::optional<Id> parse(std::string_view text) {
    const std::string_view prefix = Tag::kPrefix;
    if (text.size() <= prefix.size() || !text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    Id id;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id.value);
    if (error != std::errc{} || end != text.data() + text.size() || id.value == 0 || text[0] == '0')
      return std::nullopt;
    return id;
  }
};

struct JobTag {
  static constexpr const char* kPrefix = "j";
};
struct MachineTag {
  static constexpr const char* kPrefix = "m";
};
using JobId = Id<JobTag>;
using MachineId = Id<MachineTag>;

// Fencing epoch: goes up by one with every attempt of a job; the store refuses commits of a lower one.
using Epoch = std::uint64_t;

}  // namespace buoy

template <class Tag>
struct std::hash<buoy::Id<Tag>> {
  std::size_t operator()(buoy::Id<Tag> id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
