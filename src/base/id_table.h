#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace buoy {

// Objects by ids that are given out in order, of which a few of the latest live at a time: found by index, in
// pages that are freed when they are empty. An object never moves while it lives.
template <class T>
class IdTable {
 public:
  T* find(std::uint64_t id) const {
    const std::uint64_t page = id / kPageSize;
    if (page >= pages_.size() || !pages_[page]) return nullptr;
    return pages_[page]->items[id % kPageSize].get();
  }
  // Made when missing.
  T& make(std::uint64_t id) {
    T* const found = find(id);
    return found ? *found : add(id);
  }
  void erase(std::uint64_t id) {
    if (!find(id)) return;
    std::unique_ptr<Page>& page = pages_[id / kPageSize];
    page->items[id % kPageSize].reset();
    --size_;
    if (--page->used == 0) page.reset();
  }
  void clear() {
    pages_.clear();
    size_ = 0;
  }
  std::size_t size() const { return size_; }
  // In the order of ids. Nothing may be made or erased meanwhile.
  template <class Visit>
  void forEach(Visit visit) const {
    for (std::uint64_t number = 0; number < pages_.size(); ++number) {
      if (!pages_[number]) continue;
      for (std::uint64_t i = 0; i < kPageSize; ++i) {
        if (T* const item = pages_[number]->items[i].get()) visit(number * kPageSize + i, *item);
      }
    }
  }

 private:
  static constexpr std::uint64_t kPageSize = 64;
  struct Page {
    std::array<std::unique_ptr<T>, kPageSize> items;
    std::uint32_t used = 0;
  };

  T& add(std::uint64_t id) {
    const std::uint64_t number = id / kPageSize;
    if (number >= pages_.size()) pages_.resize(number + 1);
    if (!pages_[number]) pages_[number] = std::make_unique<Page>();
    Page& page = *pages_[number];
    ++page.used;
    ++size_;
    return *(page.items[id % kPageSize] = std::make_unique<T>());
  }

  std::vector<std::unique_ptr<Page>> pages_;
  std::size_t size_ = 0;
};

}  // namespace buoy
