#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "objstore/checkpoint.h"
#include "objstore/object_store.h"

namespace buoy::objstore {

// What the ranks of a gang tell rank 0 by way of the store, below "parts/<epoch>/<rank>/"
// (docs/formats/checkpoint.md): "I am saving part n", "part n is saved", "nothing more will come". Not
// thread-safe; every rank has its own.
class GangParts {
 public:
  GangParts(ObjectStore& store, std::string objects, Epoch epoch)
      : store_(store), objects_(std::move(objects)), epoch_(epoch) {}

  struct Heard {
    std::uint64_t begun = 0;  // the part that it has begun to save
    std::uint64_t saved = 0;  // its newest part; 0: none
    bool ended = false;
    bool saving() const { return !ended && begun > saved; }
  };
  // By rank, `ranks` of them; what stands for rank 0 says nothing.
  Result<std::vector<Heard>> listen(std::uint32_t ranks) const;
  Result<Manifest> read(std::uint32_t rank, std::uint64_t number) const;

  Status begin(std::uint32_t rank, std::uint64_t number);
  Status takeBack(std::uint32_t rank, std::uint64_t number);  // begin(), but there was nothing to save
  Status publish(const Manifest& part);
  Status end(std::uint32_t rank);
  // Parts of this rank that no later version can be made of.
  Status forgetBelow(std::uint32_t rank, std::uint64_t number);

 private:
  std::string key(std::uint32_t rank, std::string_view name) const;

  ObjectStore& store_;
  const std::string objects_;  // "" or ends with '/'
  const Epoch epoch_;
};

// "parts/<epoch>/", below the checkpoints' prefix.
std::string partsPrefix(Epoch epoch);

}  // namespace buoy::objstore
