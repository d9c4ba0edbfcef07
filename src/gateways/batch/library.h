#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/node.h"
#include "base/result.h"
#include "base/synchronized.h"
#include "store/store.h"

namespace buoy::gateways::batch {

// Kinds of documents (docs/formats/state.md).
inline constexpr std::string_view kEnvironment = "batch/compute-environment";
inline constexpr std::string_view kQueue = "batch/job-queue";
inline constexpr std::string_view kDefinition = "batch/job-definition";  // "name:0000000003"
inline constexpr std::string_view kPolicy = "batch/scheduling-policy";
inline constexpr std::string_view kTags = "batch/tags";  // "job-queue/train"

// The documents of this door as they were last committed, in memory: what Batch says of things that the
// engine has no word for. Threads: any.
class Library {
 public:
  using Document = std::shared_ptr<const api::Node>;
  struct Entry {
    std::string name;
    Document document;
  };

  // data_loss: what the store kept is no JSON.
  Status load(const std::vector<store::Resource>& resources);
  // After it was committed; an empty body takes it out.
  Status put(const store::Resource& resource);

  Document find(std::string_view kind, std::string_view name);  // null: there is none
  // By name, behind `after`, whose names begin with `prefix`; at most `most`.
  std::vector<Entry> list(std::string_view kind, std::string_view prefix, std::string_view after,
                          std::size_t most);
  // A number that no revision of this definition has, nor was given before; from 1 on.
  std::uint32_t nextRevision(const std::string& definition);

 private:
  struct Shelves {
    std::map<std::string, std::map<std::string, Document, std::less<>>, std::less<>> by_kind;
    std::map<std::string, std::uint32_t> last_revision;
  };
  Synchronized<Shelves> shelves_;
};

// "train:0000000003": so that names in order are revisions in order.
std::string definitionKey(std::string_view name, std::uint32_t revision);

}  // namespace buoy::gateways::batch
