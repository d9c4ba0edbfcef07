#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace buoy::engine {

// Objects by ids that are given out in order, of which a few of the latest live at a time: found by index, in
// pages that are freed when they are empty. An object never moves while it lives.
template <class Slot>
class SlotTable {
 public:
  Slot* find(std::uint64_t id) const {
    const std::uint64_t page = id / kPageSize;
    if (page >= pages_.size() || !pages_[page]) return nullptr;
    return pages_[page]->slots[id % kPageSize].get();
  }
  // Made when missing.
  Slot& at(std::uint64_t id) {
    const std::uint64_t number = id / kPageSize;
    if (number >= pages_.size()) pages_.resize(number + 1);
    if (!pages_[number]) pages_[number] = std::make_unique<Page>();
    Page& page = *pages_[number];
    std::unique_ptr<Slot>& slot = page.slots[id % kPageSize];
    if (!slot) {
      slot = std::make_unique<Slot>();
      ++page.used;
      ++size_;
    }
    return *slot;
  }
  void erase(std::uint64_t id) {
    if (!find(id)) return;
    std::unique_ptr<Page>& page = pages_[id / kPageSize];
    page->slots[id % kPageSize].reset();
    --size_;
    if (--page->used == 0) page.reset();
  }
  std::size_t size() const { return size_; }
  // In the order of ids. Nothing may be made or erased meanwhile.
  template <class Visit>
  void forEach(Visit visit) const {
    for (const std::unique_ptr<Page>& page : pages_) {
      if (!page) continue;
      for (const std::unique_ptr<Slot>& slot : page->slots) {
        if (slot) visit(*slot);
      }
    }
  }

 private:
  static constexpr std::uint64_t kPageSize = 64;
  struct Page {
    std::array<std::unique_ptr<Slot>, kPageSize> slots;
    std::uint32_t used = 0;
  };

  std::vector<std::unique_ptr<Page>> pages_;
  std::size_t size_ = 0;
};

}  // namespace buoy::engine
